"""Where a convolution's taps fall, in plain Python: the twin of `geometry.h`, `arguments.h` and `options.h` in
`cc_ops/core`.

Output sizes, padding and every error sentence exist once, in the core. This copy speaks only where the core can't be
loaded, so that the composed path still stands on its own; a test holds the two together. Unknown sizes are `None`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

Size = int | None

_MAX_RUN = 2**30
_MAX_ARGUMENT = 2**30
_MAX_ELEMENTS = 2**56
_INT64 = 2**63 - 1


class Window(NamedTuple):
    """How a kernel slides over an image: the arguments of `conv_geometry` after the shapes, in its order."""

    strides: tuple[int, int] = (1, 1)
    padding: str = "same"  # same | valid | explicit
    explicit_padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, bottom, left, right
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1


def static_shape(tensor: Any) -> tuple[Size, ...] | None:
    """The shape with `None` for unknown sizes; `None` where even the rank is unknown, as in some graphs."""
    shape = tensor.shape
    if getattr(shape, "rank", 0) is None:
        return None
    # TensorFlow 1 has objects for sizes.
    return tuple(shape.as_list() if hasattr(shape, "as_list") else shape)


def conv_geometry(
    op: str,
    input_shape: Sequence[Size],
    kernel_shape: Sequence[Size],
    strides: Sequence[int] = (1, 1),
    padding: str = "same",
    explicit_padding: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> tuple[tuple[Size, Size, Size, Size], tuple[Size, Size, Size, Size]]:
    """Validates a convolution and works out its output.

    Args:
        op: names the op in messages.
        input_shape: [batch, height, width, channels].
        kernel_shape: [height, width, channels / groups, filters].
        strides, dilations: along height and width.
        padding: "same", "valid" or "explicit", in any case of letters.
        explicit_padding: (top, bottom, left, right), where padding is "explicit".
        groups: into how many the channels are split.

    Returns:
        The output's shape and (top, bottom, left, right).

    Raises:
        ValueError: where something is wrong; the sentence says what.
    """
    batch, channels, filters = input_shape[0], input_shape[3], kernel_shape[3]
    if any(size is not None and size < 0 for size in input_shape):
        raise ValueError(
            f"{op}: sizes can't be negative. Got an input of shape {_text(input_shape)}; expected [batch, height, "
            "width, channels]."
        )
    if any(size is not None and size < 1 for size in kernel_shape):
        raise ValueError(
            f"{op}: the kernel is empty. Got a kernel of shape {_text(kernel_shape)}; expected [height, width, "
            "channels / groups, filters] with every size at least 1."
        )
    for axis, name in enumerate(("height", "width")):
        if not 1 <= strides[axis] <= _MAX_ARGUMENT:
            raise ValueError(
                f"{op}: `strides` must lie in 1..2^30. Got {strides[axis]} along the {name}. Use 1 to visit every "
                "pixel."
            )
        if not 1 <= dilations[axis] <= _MAX_ARGUMENT:
            raise ValueError(
                f"{op}: `dilations` must lie in 1..2^30. Got {dilations[axis]} along the {name}. Use 1 for a kernel "
                "without holes."
            )
        if (kernel_shape[axis] or 0) > _MAX_ARGUMENT or (input_shape[1 + axis] or 0) > _MAX_ARGUMENT:
            raise ValueError(
                f"{op}: the {name} of image and kernel may be at most 2^30. Got an input of shape {_text(input_shape)} "
                f"and a kernel of shape {_text(kernel_shape)}. Check the shapes."
            )
    mode = padding.lower()
    if mode not in ("same", "valid", "explicit"):
        raise ValueError(
            f'{op}: unknown padding "{padding}". Expected "same", "valid" or explicit pairs '
            "((top, bottom), (left, right))."
        )
    if mode == "explicit" and not all(0 <= amount <= _MAX_ARGUMENT for amount in explicit_padding):
        raise ValueError(
            f"{op}: explicit padding must lie in 0..2^30. Got {_text(explicit_padding)} (top, bottom, left, right). "
            "Use 0 where nothing is to be added."
        )

    channels = _check_channels(op, input_shape, kernel_shape, groups)
    axes = [
        _axis(
            op, axis, input_shape[1 + axis], kernel_shape[axis], strides[axis], dilations[axis], mode, explicit_padding
        )
        for axis in range(2)
    ]
    (out_h, top, bottom), (out_w, left, right) = axes
    output_shape = (batch, out_h, out_w, filters)
    group_channels = None if channels is None else channels // groups
    _check_sizes(op, (batch, *input_shape[1:3], channels), (*kernel_shape[:2], group_channels, filters), output_shape)
    return output_shape, (top, bottom, left, right)


def dense_geometry(
    op: str, batch: Size, input_channels: Size, kernel_channels: Size, filters: Size
) -> tuple[Size, Size]:
    """Validates a dense layer [batch, channels] x [channels, filters] and returns its output's shape."""
    if kernel_channels == 0 or filters == 0:
        raise ValueError(
            f"{op}: the kernel is empty. Got a kernel of shape {_text((kernel_channels, filters))}; expected "
            "[channels, units] with both at least 1."
        )
    if None not in (input_channels, kernel_channels) and input_channels != kernel_channels:
        raise ValueError(
            f"{op}: the kernel takes {kernel_channels} channels and the input has {input_channels}. Expected a kernel "
            f"of shape [{input_channels}, units]."
        )
    channels = input_channels if kernel_channels is None else kernel_channels
    _check_sizes(op, (1, 1, batch, channels), (1, 1, channels, filters), (1, 1, batch, filters))
    return batch, filters


def check_rank(op: str, argument: str, shape: Sequence[Size], rank: int, layout: str) -> None:
    """Raises a ValueError unless `shape` has `rank` sizes, those that `layout` names."""
    if len(shape) != rank:
        raise ValueError(
            f"{op}: `{argument}` must have rank {rank}. Got shape {_text(shape)} of rank {len(shape)}. Reshape it to "
            f"{layout}."
        )


def check_scaling(op: str, scaling: str) -> None:
    """Raises a ValueError unless `scaling` is "channel", "tensor" or "none"."""
    if scaling not in ("channel", "tensor", "none"):
        raise ValueError(
            f'{op}: unknown `scaling` "{scaling}". Expected "channel" (a scale per filter), "tensor" (one per layer) '
            'or "none".'
        )


def check_pad_value(op: str, pad_value: int) -> None:
    """Raises a ValueError unless `pad_value` is -1, 0 or +1."""
    if not -1 <= pad_value <= 1:
        raise ValueError(
            f"{op}: `pad_value` must be -1, 0 or +1. Got {pad_value}. Use 0 for the padding that an ordinary "
            "convolution has."
        )


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """The zeros before and after an axis for SAME padding: as even as can be, the odd one at the end."""
    needed = (max(-(-size // stride), 1) - 1) * stride + (kernel - 1) * dilation + 1 - size
    total = max(needed, 0)
    return total // 2, total - total // 2


def _check_channels(op: str, input_shape: Sequence[Size], kernel_shape: Sequence[Size], groups: int) -> Size:
    """The input's channels, from whichever of the two shapes knows them."""
    if groups < 1:
        raise ValueError(f"{op}: `groups` must be at least 1. Got groups={groups}. Use 1 for an ordinary convolution.")
    channels, group_channels, filters = input_shape[3], kernel_shape[2], kernel_shape[3]
    if channels is not None and channels % groups:
        raise ValueError(
            f"{op}: `groups` must divide the input channels. Got groups={groups} and {channels} channels (input shape "
            f"{_text(input_shape)}). Try groups={math.gcd(groups, channels)}."
        )
    if filters is not None and filters % groups:
        raise ValueError(
            f"{op}: `groups` must divide the filters. Got groups={groups} and {filters} filters (kernel shape "
            f"{_text(kernel_shape)}). Try groups={math.gcd(groups, filters)}."
        )
    if group_channels is None:
        return channels
    if group_channels > _MAX_RUN // groups:
        raise ValueError(
            f"{op}: a kernel may see at most 2^30 channels. Got a kernel of shape {_text(kernel_shape)} and "
            f"groups={groups}. Check the shapes."
        )
    if channels is not None and channels != group_channels * groups:
        raise ValueError(
            f"{op}: the kernel sees {group_channels} channels a group and the input has {channels} in {groups} "
            f"group{'' if groups == 1 else 's'}. Got an input of shape {_text(input_shape)} and a kernel of shape "
            f"{_text(kernel_shape)}; expected a kernel of shape [height, width, {channels // groups}, filters]."
        )
    return group_channels * groups


def _axis(
    op: str, axis: int, size: Size, kernel: Size, stride: int, dilation: int, mode: str, explicit_padding: Sequence[int]
) -> tuple[Size, Size, Size]:
    """One axis: its output size, and the padding before and after."""
    if kernel is None:
        return None, None, None
    if mode == "same":
        return (
            (None, None, None) if size is None else (-(-size // stride), *same_padding(size, kernel, stride, dilation))
        )
    before, after = explicit_padding[2 * axis : 2 * axis + 2] if mode == "explicit" else (0, 0)
    if size is None:
        return None, before, after
    extent = (kernel - 1) * dilation + 1
    room = size + before + after - extent
    if room < 0 and size > 0:
        raise ValueError(
            f"{op}: the kernel is larger than the image. Got a {('height', 'width')[axis]} of {size} with "
            f"{before + after} of padding, and a kernel that spans {extent} (size {kernel}, dilation {dilation}). "
            'Use padding="same", a larger image or a smaller kernel.'
        )
    return 0 if room < 0 else room // stride + 1, before, after


def _check_sizes(
    op: str, input_shape: Sequence[Size], kernel_shape: Sequence[Size], output_shape: Sequence[Size]
) -> None:
    if _product(kernel_shape[:3]) > _MAX_RUN:
        raise ValueError(
            f"{op}: a filter may have at most 2^30 weights. Got a kernel of "
            f"{_size(kernel_shape[0])}x{_size(kernel_shape[1])} over {_size(kernel_shape[2])} channels. Use a smaller "
            "kernel, or more groups."
        )
    for what, shape in (("the input", input_shape), ("the kernel", kernel_shape), ("the output", output_shape)):
        if _product(shape) > _MAX_ELEMENTS:
            raise ValueError(
                f"{op}: {what} would have more than 2^56 elements. Got {_text(shape)}. Split the batch, or check the "
                "shapes."
            )


def _product(shape: Sequence[Size]) -> int:
    return math.prod(size for size in shape if size is not None)


def _size(size: Size) -> int:
    return -1 if size is None else size


def _text(shape: Sequence[Size]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
