"""How many multiply-accumulates a layer computes: one rule a class, and a way to add more.

A MAC is a weight or value times a value, added up with others: convolutions, matrix products, attention. What works
element by element is none, as in the literature: biases, normalisations, activations, poolings, the scales of binary
layers. Outside the image counts as inside (SAME padding), since that is what a kernel's size says.

    xnor       binary weights, binary input: XNOR and popcount
    add        binary weights, float input: additions and subtractions
    float32    the others
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bnn_tf.errors import ArgumentError
from bnn_tf.layers.binary import BinaryInput, BinaryLayer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates by kind.

    Attributes:
        xnor: of binary weights with a binary input.
        add: of binary weights with a float input.
        float32: the others.
    """

    xnor: int = 0
    add: int = 0
    float32: int = 0

    def __add__(self, other: "Macs") -> "Macs":
        return Macs(self.xnor + other.xnor, self.add + other.add, self.float32 + other.float32)

    def __mul__(self, times: int) -> "Macs":
        return Macs(self.xnor * times, self.add * times, self.float32 * times)

    def __floordiv__(self, parts: int) -> "Macs":
        return Macs(self.xnor // parts, self.add // parts, self.float32 // parts)

    @property
    def binary(self) -> int:
        """Those with binary weights."""
        return self.xnor + self.add

    @property
    def total(self) -> int:
        """All of them."""
        return self.binary + self.float32


# From the layer (or operation) and the shapes of its input and output, batch first, to a number or `Macs`. Several
# inputs or outputs come as a list of shapes.
Rule = Callable[[Any, Any, Any], "int | Macs"]

_RULES: dict[type, Rule] = {}


def register_macs(layer_class: type, rule: Rule) -> None:
    """Says how `bnn_tf.summary` counts the multiply-accumulates of a layer of your own.

    Args:
        layer_class: the class; what is derived from it and has no rule of its own follows, too.
        rule: takes the layer and the shapes of its input and output, batch first (lists of shapes where there are
            several), and returns how many one call computes, in it and in the layers inside it: a number, which counts
            as xnor or add where the class is derived from one of `bnn_tf.layers`, else as float32; or `Macs`. A later
            rule for the same class takes the place of the earlier one.

    Raises:
        ArgumentError: a ValueError, where `layer_class` is no class.

    Example:

    >>> class Gate(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.kernel = self.add_weight((shape[-1], shape[-1]))
    ...     def call(self, x):
    ...         return x * keras.ops.sigmoid(x @ self.kernel)
    >>> register_macs(Gate, lambda gate, input_shape, output_shape: input_shape[-1] * np.prod(output_shape))
    >>> bnn_tf.summary(keras.Sequential([keras.Input((10,)), Gate()])).macs.float32
    100
    """
    if not isinstance(layer_class, type):
        raise ArgumentError(f"register_macs: `layer_class` must be a class. Got {layer_class!r}.")
    _RULES[layer_class] = rule


def find_rule(operation: Any) -> Rule | None:
    """The rule for a layer, or for an operation of a functional model; None where there is none."""
    return next((_RULES[cls] for cls in type(operation).__mro__ if cls in _RULES), None)


def count(rule: Rule, operation: Any, input_shape: Any, output_shape: Any) -> Macs:
    """What the rule says, with the kind that the layer's class has."""
    macs = rule(operation, input_shape, output_shape)
    if isinstance(macs, Macs):
        return macs
    if isinstance(operation, BinaryInput):
        return Macs(xnor=int(macs))
    return Macs(add=int(macs)) if isinstance(operation, BinaryLayer) else Macs(float32=int(macs))


def no_rule(layer: Any) -> ArgumentError:
    """The error for a layer with weights and without a rule: it says what to do."""
    name = type(layer).__name__
    return ArgumentError(
        f"summary: can't tell how many multiply-accumulates {layer.name!r} ({name}) computes: it has weights, and no "
        f"rule is known for its class. Give one: bnn_tf.models.register_macs({name}, "
        "lambda layer, input_shape, output_shape: ...)."
    )
