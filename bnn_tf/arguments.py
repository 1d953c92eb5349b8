"""The arguments of the ops, read once: behind this file they have one form and are trusted."""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from bnn_tf.geometry import Window
from bnn_tf.quantizers import Quantizer

Pair = int | Sequence[int]
Padding = str | Sequence[Sequence[int]]
Ste = str | Quantizer | dict[str, Any] | None
Shape = tuple[int | None, ...]


class PackedKernel(NamedTuple):
    """A kernel of one bit a weight, as `pack_kernel` makes it. It takes the place of a float kernel, and has no
    gradient.

    Attributes:
        bits: int32 tensor [groups, blocks of 16 filters, words, 16].
        alpha: float32 tensor [filters], the scales.
        shape: the float kernel's shape.
    """

    bits: Any
    alpha: Any
    shape: tuple[int, ...]


class BinaryInput(NamedTuple):
    """What the ops with binary input take besides."""

    scaling: bool
    pad_value: int
    quantizer: Quantizer


def read_integer(op: str, argument: str, value: Any) -> int:
    """An integer of any kind as Python's."""
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{op}: `{argument}` must be an integer. Got {value!r}.") from None


def read_pair(op: str, argument: str, value: Any) -> tuple[int, int]:
    """(height, width) of a pair, or of one integer for both."""
    try:
        height, width = (operator.index(size) for size in (value if isinstance(value, Sequence) else (value, value)))
    except (TypeError, ValueError):
        raise ValueError(
            f"{op}: `{argument}` must be an integer or a pair of them (height, width). Got {value!r}."
        ) from None
    return height, width


def read_window(op: str, strides: Pair, padding: Padding, dilations: Pair, groups: int) -> Window:
    """How a kernel slides, of the arguments of a convolution."""
    explicit = (0, 0, 0, 0)
    if isinstance(padding, str):
        mode = padding.lower()
    else:
        try:
            (top, bottom), (left, right) = ((operator.index(size) for size in pair) for pair in padding)
        except (TypeError, ValueError):
            raise ValueError(
                f'{op}: unknown padding {padding!r}. Expected "same", "valid" or explicit pairs '
                "((top, bottom), (left, right))."
            ) from None
        mode, explicit = "explicit", (top, bottom, left, right)
    return Window(
        read_pair(op, "strides", strides),
        mode,
        explicit,
        read_pair(op, "dilations", dilations),
        read_integer(op, "groups", groups),
    )


def read_floats(op: str, argument: str, value: Any) -> tuple[Any, str]:
    """`value` as a float32 tensor, and the float dtype that it had."""
    if isinstance(value, keras.KerasTensor):
        raise ValueError(f"{op}: got a symbolic {argument}. In a functional model use the layer bnn_tf.layers.{op}.")
    tensor = keras.ops.convert_to_tensor(value)
    if str(getattr(tensor.dtype, "name", "")).endswith("_ref"):  # a variable of TensorFlow 1
        tensor = tensor.read_value()
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            f"{op}: the {argument} must be of a floating-point dtype. Got {dtype}. Cast it, with "
            f'keras.ops.cast({argument}, "float32") for example.'
        )
    return keras.ops.cast(tensor, "float32"), dtype


def packed_gradient_error(op: str) -> ValueError:
    """What differentiating an op with a packed kernel raises."""
    return ValueError(
        f"{op}: a packed kernel has no gradient. It is for inference; give the op (or the layer) the float kernel to "
        "train it."
    )
