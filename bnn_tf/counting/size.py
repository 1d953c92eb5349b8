"""How many weights a model has, and how many bytes they take with one bit for each binary one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from bnn_tf.layers.binary import BinaryLayer


@dataclass(frozen=True)
class Size:
    """The weights of a layer or a model, the statistics of its normalisations included.

    Attributes:
        binary_weights: those that inference needs one bit of.
        float_weights: the others, of 32 bits.
        scales: the alphas of the binary layers, 32 bits each: inference needs them in place of the latent weights.
        bit_bytes: what the binary weights take, each kernel's bits rounded up to whole bytes.
    """

    binary_weights: int = 0
    float_weights: int = 0
    scales: int = 0
    bit_bytes: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(
            self.binary_weights + other.binary_weights,
            self.float_weights + other.float_weights,
            self.scales + other.scales,
            self.bit_bytes + other.bit_bytes,
        )

    @property
    def packed_bytes(self) -> int:
        """One bit for a binary weight, 32 for any other and for each scale."""
        return self.bit_bytes + 4 * (self.float_weights + self.scales)

    @property
    def float_bytes(self) -> int:
        """32 bits for every weight, as in training."""
        return 4 * (self.binary_weights + self.float_weights)


def model_size(model: keras.Model) -> Size:
    """Counts the weights of a built model; the same for a trained model and for what `bnn_tf.freeze` makes of it.

    What layers share counts once.

    Example:

    >>> model_size(bnn_tf.models.lenet("bwn")).packed_bytes
    473896
    """
    return layer_size(model, set())


def layer_size(layer: keras.Layer, counted: set[int], *, inner: bool = True) -> Size:
    """Counts the weights of a layer, save those in `counted`, and adds them to it.

    Args:
        layer: a built layer.
        counted: the `id` of every variable that was counted before.
        inner: whether the weights of the layers inside it count, too.
    """
    total = Size()
    for part in layer._flatten_layers() if inner else [layer]:
        if isinstance(part, BinaryLayer):
            total += _kernel_size(part, counted)
    weights = layer.weights if inner else [*layer._trainable_variables, *layer._non_trainable_variables]
    return total + Size(float_weights=sum(math.prod(weight.shape) for weight in _new(weights, counted)))


def _kernel_size(layer: BinaryLayer, counted: set[int]) -> Size:
    if not list(_new(layer.kernel_variables, counted)):
        return Size()
    weights = math.prod(layer.kernel.shape)
    scales = {"channel": layer.kernel.shape[-1], "tensor": 1, "none": 0}[layer.scaling]
    return Size(binary_weights=weights, scales=scales, bit_bytes=-(-weights // 8))


def _new(variables: Iterable[Any], counted: set[int]) -> Iterable[Any]:
    """Those not in `counted`, where they then are."""
    for variable in variables:
        if id(variable) not in counted:
            counted.add(id(variable))
            yield variable
