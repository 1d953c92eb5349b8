"""The definition that can be run: every op in plain `keras.ops`, on any Keras backend, with no shared object.

    y[n,p,q,o] = K[n,p,q] * alpha[o] * sum_{i,j,c} X[n, p*s + i*d - top, q*s + j*d - left, c] * sign(w[i,j,c,o])

where X is x (weights binary) or sign(x) (both binary). Autodiff does the rest: only the sign has a gradient of its own,
and |u| the derivative 0 at 0. The C++ ops and their gradients are tested against this file.

TensorFlow's own ops take numbers below 1.2e-38 for zero, whose sign is +1; the C++ ops see their sign.

Arguments are trusted: `ops` has validated them.
"""

from typing import Any

import keras
from keras import ops

from bnn_tf.geometry import Window, same_padding, static_shape
from bnn_tf.quantizers import Quantizer

_WORD_BITS = 32
_LANES = 16


def binarize_kernel(kernel: Any, scaling: str, quantizer: Quantizer) -> tuple[Any, Any]:
    """sign(w) of a kernel [..., filters], and alpha: [filters], or a scalar."""
    if scaling == "none":
        alpha = ops.ones((), dtype=kernel.dtype)
    else:
        rank = len(kernel.shape)
        alpha = ops.mean(ops.abs(kernel), axis=tuple(range(rank - 1 if scaling == "channel" else rank)))
        if not quantizer.scale_gradient:
            alpha = ops.stop_gradient(alpha)
    return quantizer.sign(kernel), alpha


def binary_conv2d(x: Any, signs: Any, alpha: Any, window: Window) -> Any:
    """Binary weights, float input."""
    return alpha * convolution(x, signs, window)


def convolution(x: Any, kernel: Any, window: Window) -> Any:
    """The sum alone, with any kernel."""
    return _conv(_pad(x, static_shape(kernel), window), kernel, window)


def binary_conv_input2d(
    x: Any, signs: Any, alpha: Any, window: Window, input_scaling: bool, pad_value: int, quantizer: Quantizer
) -> Any:
    """Binary weights, binary input."""
    kernel_shape = static_shape(signs)
    y = alpha * _conv(_pad(quantizer.sign(x), kernel_shape, window, pad_value), signs, window)
    return y * _input_scale(x, kernel_shape, window) if input_scaling else y


def binary_dense(x: Any, signs: Any, alpha: Any) -> Any:
    """Binary weights, float input [batch, channels]."""
    return alpha * ops.matmul(x, signs)


def binary_dense_input(x: Any, signs: Any, alpha: Any, input_scaling: bool, quantizer: Quantizer) -> Any:
    """Binary weights, binary input [batch, channels]."""
    y = alpha * ops.matmul(quantizer.sign(x), signs)
    return y * ops.mean(ops.abs(x), axis=-1, keepdims=True) if input_scaling else y


def packed_shape(kernel_shape: Any, groups: int) -> tuple[int, int, int, int]:
    """The shape of the bits of a kernel [..., filters]: groups, blocks of 16 filters, words, 16."""
    return groups, -(-kernel_shape[-1] // groups // _LANES), -(-_run(kernel_shape) // _WORD_BITS), _LANES


def pack_kernel(kernel: Any, groups: int) -> Any:
    """The bits of a kernel [..., filters]: int32 [groups, blocks of 16 filters, words, 16]; see `packed_kernel.h`."""
    run, group_filters = _run(kernel.shape), kernel.shape[-1] // groups
    _, blocks, words, _ = packed_shape(kernel.shape, groups)
    bits = ops.reshape(ops.where(ops.greater_equal(kernel, 0), 0, 1), (run, groups, group_filters))
    bits = ops.pad(bits, ((0, words * _WORD_BITS - run), (0, 0), (0, blocks * _LANES - group_filters)))
    bits = ops.reshape(ops.cast(bits, "int32"), (words, _WORD_BITS, groups, blocks, _LANES))
    packed = ops.sum(ops.left_shift(bits, _bit_positions((1, _WORD_BITS, 1, 1, 1))), axis=1)
    return ops.transpose(packed, (1, 2, 0, 3))


def unpack_kernel(bits: Any, shape: tuple[int, ...]) -> Any:
    """The inverse of `pack_kernel`, as +1 and -1 of the given kernel shape."""
    groups, blocks, words, _ = bits.shape
    run, group_filters = _run(shape), shape[-1] // groups
    planes = ops.bitwise_and(ops.right_shift(ops.expand_dims(bits, -1), _bit_positions((_WORD_BITS,))), 1)
    planes = ops.transpose(planes, (2, 4, 0, 1, 3))  # word, bit, group, block, lane
    planes = ops.reshape(planes, (words * _WORD_BITS, groups, blocks * _LANES))[:run, :, :group_filters]
    return ops.reshape(1.0 - 2.0 * ops.cast(planes, "float32"), shape)


def _run(kernel_shape: Any) -> int:
    run = 1
    for size in kernel_shape[:-1]:
        run *= size
    return run


def _bit_positions(shape: tuple[int, ...]) -> Any:
    return ops.reshape(ops.arange(_WORD_BITS, dtype="int32"), shape)


def _pad(x: Any, kernel_shape: Any, window: Window, value: int = 0) -> Any:
    """The image with its border, so that the rest may be VALID. Sizes that are not known yet are tensors."""
    if window.padding == "explicit":
        top, bottom, left, right = window.explicit_padding
        amounts = [(top, bottom), (left, right)]
    elif window.padding == "valid":
        amounts = [(0, 0), (0, 0)]
    else:
        amounts = [
            _same_padding(ops.shape(x)[1 + axis], kernel_shape[axis], window.strides[axis], window.dilations[axis])
            for axis in (0, 1)
        ]
    if all(isinstance(amount, int) and amount == 0 for pair in amounts for amount in pair):
        return x
    return ops.pad(x, ((0, 0), *amounts, (0, 0)), constant_values=ops.cast(value, x.dtype))


def _same_padding(size: Any, kernel: int, stride: int, dilation: int) -> tuple[Any, Any]:
    if isinstance(size, int):
        return same_padding(size, kernel, stride, dilation)
    needed = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
    total = ops.maximum(needed, 0)
    return total // 2, total - total // 2


def _tap(x: Any, i: int, j: int, kernel_shape: Any, window: Window) -> Any:
    """What tap (i, j) of the kernel sees of the padded image, for every output pixel at once."""
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilations
    # The taps that follow need this much room behind; 0 would mean "nothing", None means "all".
    behind_h, behind_w = (kernel_shape[0] - 1 - i) * dilation_h, (kernel_shape[1] - 1 - j) * dilation_w
    return x[:, i * dilation_h : -behind_h or None : stride_h, j * dilation_w : -behind_w or None : stride_w, :]


def _input_scale(x: Any, kernel_shape: Any, window: Window) -> Any:
    """K: the mean of A = mean |x| under each window, zero outside the image and always divided by all taps."""
    groups = window.groups
    magnitude = ops.abs(x)
    if groups > 1:
        magnitude = ops.reshape(magnitude, (*ops.shape(x)[:-1], groups, ops.shape(x)[-1] // groups))
    a = ops.mean(magnitude, axis=-1, keepdims=groups == 1)
    a = _pad(a, kernel_shape, window)
    # The window is a product of a column and a row: kh + kw additions for each output, and no convolution of one
    # channel.
    kh, kw = kernel_shape[:2]
    (stride_h, stride_w), (dilation_h, dilation_w) = window.strides, window.dilations
    rows, columns = (
        Window(strides=(stride_h, 1), dilations=(dilation_h, 1)),
        Window(strides=(1, stride_w), dilations=(1, dilation_w)),
    )
    a = sum(_tap(a, i, 0, (kh, 1), rows) for i in range(kh))
    a = sum(_tap(a, 0, j, (1, kw), columns) for j in range(kw))
    k = a / (kh * kw)
    return k if groups == 1 else ops.repeat(k, kernel_shape[3] // groups, axis=-1)


def _conv(x: Any, kernel: Any, window: Window) -> Any:
    """A VALID convolution with everything that the backends' own lack."""
    groups = window.groups
    if (
        groups > 1 and keras.backend.backend() == "tensorflow"
    ):  # which has no gradient of a grouped convolution on the CPU
        single = window._replace(groups=1)
        parts = zip(ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
        return ops.concatenate([_conv(part, filters, single) for part, filters in parts], axis=-1)

    kernel_shape: Any = static_shape(kernel)
    strided, dilated = max(window.strides) > 1, max(window.dilations) > 1
    # TensorFlow's oneDNN returns garbage for some convolutions of one channel with unequal strides (kernel 4x2, strides
    # (1, 3), width 2 is one).
    broken = kernel_shape[2] == 1 and window.strides[0] != window.strides[1] and keras.backend.backend() == "tensorflow"
    if groups == 1 and ((strided and dilated) or broken):
        kh, kw = kernel_shape[:2]
        return sum(ops.matmul(_tap(x, i, j, kernel_shape, window), kernel[i, j]) for i in range(kh) for j in range(kw))
    if strided and dilated:
        dense = ops.conv(x, kernel, 1, "valid", "channels_last", window.dilations)
        return dense[:, :: window.strides[0], :: window.strides[1], :]
    return ops.conv(x, kernel, window.strides, "valid", "channels_last", window.dilations)
