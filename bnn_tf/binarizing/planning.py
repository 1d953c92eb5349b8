"""Which layers of a model become binary, and why the others don't."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from bnn_tf.binarizing.report import Report, Row
from bnn_tf.binarizing.selecting import Selector, select
from bnn_tf.cloning import Call, calls, check_built, check_graph
from bnn_tf.errors import ArgumentError
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.models.schemes import get_scheme

# Layers of these classes hold weights that are no kernel, however many dimensions they have.
_NO_KERNEL = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.SpectralNormalization,
)

_KNOWN = (keras.layers.Conv2D, keras.layers.Dense, keras.layers.DepthwiseConv2D)


def plan(
    model: keras.Model,
    scheme: str,
    skip: Selector | Iterable[Selector] = (),
    *,
    binarize_first: bool = False,
    binarize_last: bool = False,
    depthwise: bool = False,
    normalize: bool = False,
) -> Report:
    """What `bnn_tf.binarize` would do with these arguments, without doing it.

    Args:
        model, scheme, skip, binarize_first, binarize_last, depthwise, normalize: see `bnn_tf.binarize`.

    Returns:
        The report, which prints as a table: each layer with a kernel, what it becomes, or why it stays float.

    Raises:
        ArgumentError: see `bnn_tf.binarize`; not where nothing can be binarized.

    Example:

    >>> print(plan(bnn_tf.models.lenet(), "bwn"))
    """
    return Plan(model, scheme, skip, binarize_first, binarize_last, depthwise, normalize).report


class Plan:
    """What becomes of each layer.

    Attributes:
        scheme: of the binary layers.
        report: for people.
        converted: the identities of the layers that become binary.
    """

    def __init__(
        self,
        model: keras.Model,
        scheme: str,
        skip: Selector | Iterable[Selector],
        binarize_first: bool,
        binarize_last: bool,
        depthwise: bool,
        normalize: bool,
    ):
        self.scheme = get_scheme(scheme)
        if normalize and not self.scheme.binary_input:
            raise ArgumentError(
                f"binarize: `normalize` is for schemes with binary inputs. Got normalize=True, scheme={scheme!r}. Set "
                'it off, or take "xnor".'
            )
        check_built("binarize", model)
        check_graph("binarize", model)
        made, _ = calls(model)
        first, last = _ends(made)
        layers = _layers_with_kernels(made)
        skipped = select("binarize", "skip", skip, {path: layer for path, (layer, _) in layers.items()})
        one_signed = _fed_by_one_sign(made) if self.scheme.binary_input and not normalize else set()
        dropped = _fed_by_dropout(made) if self.scheme.binary_input else set()
        rows = []
        self.converted: set[int] = set()
        for path, (layer, outer) in layers.items():
            checks = (
                (outer is not layer, f"made inside {outer.name!r} ({type(outer).__name__}), which calls it itself"),
                (isinstance(layer, BinaryLayer), "binary already"),
                (not self.scheme.binary_weights, "the scheme is float"),
                (path in skipped, "skipped"),
                *_obstacles(layer, depthwise),
                (id(layer) in first and not binarize_first, "first layer"),
                (id(layer) in last and not binarize_last, "last layer"),
            )
            why_not = next((reason for holds, reason in checks if holds), "")
            becomes = ""
            if not why_not:
                self.converted.add(id(layer))
                becomes = _class_name(self.scheme.dense if type(layer) is keras.layers.Dense else self.scheme.conv)
            remarks = (
                (id(layer) in one_signed, "after a ReLU: every sign of its input is +1"),
                (id(layer) in dropped, "after a dropout: its signs are others at inference"),
            )
            remark = why_not or "; ".join(text for holds, text in remarks if holds)
            rows.append(Row(path, type(layer).__name__, becomes, _kernel_size(layer), remark))
        self.report = Report(model.name, scheme, tuple(rows))


def _class_name(factory: Any) -> str:
    return getattr(factory, "func", factory).__name__


def _obstacles(layer: keras.Layer, depthwise: bool) -> list[tuple[bool, str]]:
    """What can be in the way of binarizing a layer that isn't binary: whether it is so, and the words for it."""
    name = type(layer).__name__
    base = next((cls for cls in _KNOWN if isinstance(layer, cls)), None)
    return [
        (base is None, f"{name} has no binary twin"),
        (type(layer) is not base, f"derived from {base.__name__ if base else ''}: what it computes isn't known"),
        (base is keras.layers.DepthwiseConv2D and not depthwise, "depthwise: few weights; depthwise=True binarizes it"),
        (getattr(layer, "data_format", None) == "channels_first" and base is not keras.layers.Dense, "channels_first"),
        (getattr(layer, "quantization_mode", None) is not None, "quantized already"),
        (bool(getattr(layer, "lora_enabled", False)), "its kernel has LoRA weights besides"),
    ]


# What the graph says.


def _layers_with_kernels(made: list[Call]) -> dict[str, tuple[keras.Layer, keras.Layer]]:
    """The layers with kernels by path, each with the layer in the graph that is or contains it."""
    found: dict[str, tuple[keras.Layer, keras.Layer]] = {}
    seen: set[int] = set()
    for call in made:
        if not isinstance(call.operation, keras.Layer):
            continue
        for layer in call.operation._flatten_layers():
            if _kernel_size(layer) and id(layer) not in seen:
                seen.add(id(layer))
                inside = "" if layer is call.operation else f"/{layer.name}"
                found[_unused(call.path + inside, found)] = (layer, call.operation)
    return found


def _unused(path: str, found: Iterable[str]) -> str:
    """The path, with a number where another layer has it: layers inside one of the user's own may share a name."""
    number = sum(other == path or other.startswith(f"{path}#") for other in found)
    return f"{path}#{number + 1}" if number else path


def _kernel_size(layer: keras.Layer) -> int:
    """How many weights of its own are in kernels, that is in tensors of two or more dimensions."""
    if isinstance(layer, BinaryLayer):
        return int(np.prod(layer.kernel.shape))
    if isinstance(layer, _NO_KERNEL):
        return 0
    inner = {id(weight) for part in layer._flatten_layers(include_self=False) for weight in part.weights}
    own = [weight.shape for weight in layer.weights if id(weight) not in inner]
    return sum(int(np.prod(shape)) for shape in own if len(shape) > 1)


def _has_kernel(operation: Any) -> bool:
    return isinstance(operation, keras.Layer) and any(map(_kernel_size, operation._flatten_layers()))


def _ends(made: list[Call]) -> tuple[set[int], set[int]]:
    """The identities of the layers with kernels that none comes before, and of those that none comes after."""
    first: set[int] = set()
    last: set[int] = set()
    after_one: set[int] = set()
    before_one: set[int] = set()
    kernels = [_has_kernel(call.operation) for call in made]
    for call, has_kernel in zip(made, kernels, strict=True):
        if has_kernel and not after_one & set(call.inputs):
            first.add(id(call.operation))
        if has_kernel or after_one & set(call.inputs):
            after_one.update(call.outputs)
    for call, has_kernel in zip(reversed(made), reversed(kernels), strict=True):
        if has_kernel and not before_one & set(call.outputs):
            last.add(id(call.operation))
        if has_kernel or before_one & set(call.outputs):
            before_one.update(call.inputs)
    return first, last


_NEVER_NEGATIVE = {"relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus", "exponential"}
# These give nothing negative where all they are given isn't.
_KEEPING_SIGNS = (
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.Maximum,
    keras.layers.Reshape,
    keras.layers.ZeroPadding2D,
)


def _fed_by_one_sign(made: list[Call]) -> set[int]:
    """The identities of the layers whose input is never negative."""
    tensors: set[int] = set()
    layers: set[int] = set()
    for call in made:
        layer = call.operation
        fed = bool(call.inputs) and set(call.inputs) <= tensors
        if fed:
            layers.add(id(layer))
        activation = getattr(getattr(layer, "activation", None), "__name__", None)
        relu = isinstance(layer, keras.layers.ReLU) and not layer.negative_slope
        if activation in _NEVER_NEGATIVE or relu or (fed and isinstance(layer, _KEEPING_SIGNS)):
            tensors.update(call.outputs)
    return layers


_DROPPING = (keras.layers.AlphaDropout, keras.layers.Dropout, keras.layers.GaussianDropout)


def _fed_by_dropout(made: list[Call]) -> set[int]:
    """The identities of the layers to which a dropout comes through no other layer with a kernel."""
    tensors: set[int] = set()
    layers: set[int] = set()
    for call in made:
        layer = call.operation
        fed = not tensors.isdisjoint(call.inputs)
        if fed:
            layers.add(id(layer))
        if (isinstance(layer, _DROPPING) and layer.rate) or (fed and not _has_kernel(layer)):
            tensors.update(call.outputs)
    return layers
