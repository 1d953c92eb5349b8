"""Rules for what has weights: convolutions and dense layers, float and binary, and normalisations."""

from typing import Any

import keras
import numpy as np

from bnn_tf import layers, ops
from bnn_tf.layers.frozen import FROZEN
from bnn_tf.packing.activations import activated
from bnn_tf.packing.converting import Step, rule
from bnn_tf.packing.graph import Bits, Floats, Node

_POINT = {"kernel": [1, 1], "strides": [1, 1], "dilations": [1, 1], "padding": "valid"}


def _trained_and_frozen(trained: Any) -> tuple[Any, Any]:
    return trained, FROZEN[trained]


def _window(step: Step) -> dict[str, Any]:
    layer = step.layer
    padding = layer.padding
    if padding not in ("same", "valid"):
        padding = [size for pair in padding for size in pair]
    return {
        "kernel": list(layer.kernel_size),
        "strides": _pair(layer.strides),
        "dilations": _pair(layer.dilation_rate),
        "padding": padding,
    }


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _bias(step: Step) -> Floats | None:
    return step.floats(step.layer.bias) if step.layer.use_bias else None


# Float.


@rule(keras.layers.Conv2D)
def _conv(step: Step) -> Node:
    return _float_conv(step, step.floats(step.layer.kernel), _window(step), step.layer.groups)


@rule(keras.layers.DepthwiseConv2D)
def _depthwise(step: Step) -> Node:
    kernel = _by_group(step.floats(step.layer.kernel))
    return _float_conv(step, kernel, _window(step), step.layer.kernel.shape[2])


@rule(keras.layers.SeparableConv2D)
def _separable(step: Step) -> Node:
    layer = step.layer
    kernel = _by_group(step.floats(layer.depthwise_kernel))
    shape = (*step.shape[:2], kernel.shape[-1])
    depthwise = {"window": _window(step), "groups": layer.depthwise_kernel.shape[2], "kernel": kernel}
    middle = step.add("conv2d", output=shape, part="depthwise", **depthwise, bias=None, activation=None)
    return _float_conv(step, step.floats(layer.pointwise_kernel), _POINT, 1, [middle])


def _by_group(kernel: Floats) -> Floats:
    """A depthwise kernel [height, width, channels, multiplier] as that of a convolution of as many groups."""
    height, width, channels, multiplier = kernel.shape
    return kernel.reshape(height, width, 1, channels * multiplier)


def _float_conv(
    step: Step, kernel: Floats, window: dict[str, Any], groups: int, inputs: list[Node] | None = None
) -> Node:
    node = step.add("conv2d", inputs, window=window, groups=groups, kernel=kernel, bias=_bias(step), activation=None)
    return activated(step, node, step.layer.activation)


@rule(keras.layers.Dense)
def _dense(step: Step) -> Node:
    kernel = step.floats(step.layer.kernel)
    if len(step.shape) == 3:  # of the channels of each pixel
        return _float_conv(step, kernel.reshape(1, 1, *kernel.shape), _POINT, 1)
    node = step.add("dense", kernel=kernel, bias=_bias(step), activation=None)
    return activated(step, node, step.layer.activation)


# Binary.


@rule(*_trained_and_frozen(layers.BinaryConv2D))
def _binary_conv(step: Step) -> Node:
    return _binary(step, "binary_conv2d", window=_window(step), groups=step.layer.groups)


@rule(*_trained_and_frozen(layers.BinaryConvInput2D))
def _binary_conv_input(step: Step) -> Node:
    padding = {"pad_value": int(step.layer.pad_value)}
    return _binary(
        step, "binary_conv_input2d", window=_window(step), groups=step.layer.groups, **padding, **_input(step)
    )


@rule(*_trained_and_frozen(layers.BinaryDense))
def _binary_dense(step: Step) -> Node:
    if len(step.shape) == 3:
        return _binary(step, "binary_conv2d", window=_POINT, groups=1)
    return _binary(step, "binary_dense")


@rule(*_trained_and_frozen(layers.BinaryDenseInput))
def _binary_dense_input(step: Step) -> Node:
    if len(step.shape) == 3:
        return _binary(step, "binary_conv_input2d", window=_POINT, groups=1, pad_value=0, **_input(step))
    return _binary(step, "binary_dense_input", **_input(step))


def _input(step: Step) -> dict[str, Any]:
    return {"input_scaling": bool(step.layer.input_scaling), "pre_scale": None, "pre_shift": None}


def _binary(step: Step, op: str, **attributes: Any) -> Node:
    layer = step.layer
    packed = layer.kernel
    if not isinstance(packed, ops.PackedKernel):
        step.floats(packed)
        packed = ops.pack_kernel(packed, layer.scaling, getattr(layer, "groups", 1))
    words = np.ascontiguousarray(keras.ops.convert_to_numpy(packed.bits))
    shape = (1,) * (4 - len(packed.shape)) + tuple(packed.shape)
    node = step.add(
        op, **attributes, bits=Bits(words, shape), alpha=step.floats(packed.alpha), bias=_bias(step), activation=None
    )
    return activated(step, node, layer.activation)


# A scale and a shift for each channel.


@rule(keras.layers.BatchNormalization)
def _batch_norm(step: Step) -> Node:
    layer = step.layer
    _check_axis(step, layer.axis)
    # In float32 and in this order, as Keras computes it: a value that equals the mean gets the sign that it has there.
    scale = np.float32(1) / np.sqrt(step.floats(layer.moving_variance) + np.float32(layer.epsilon))
    if layer.scale:
        scale = scale * step.floats(layer.gamma)
    shift = -step.floats(layer.moving_mean) * scale
    if layer.center:
        shift = step.floats(layer.beta) + shift
    return _scale_shift(step, scale, shift)


@rule(keras.layers.Normalization)
def _normalization(step: Step) -> Node:
    layer = step.layer
    if layer.invert:
        raise step.refusal("it is inverted.")
    _check_axis(step, layer.axis)
    deviation = np.maximum(np.sqrt(step.floats(layer.variance, np.float64)), keras.config.epsilon())
    mean = step.floats(layer.mean, np.float64)
    return _scale_shift(step, 1 / deviation, -mean / deviation)


@rule(keras.layers.Rescaling)
def _rescaling(step: Step) -> Node:
    return _scale_shift(step, np.asarray(step.layer.scale), np.asarray(step.layer.offset))


def _check_axis(step: Step, axis: Any) -> None:
    """Raises an ArgumentError unless the statistics are one for each channel, or one for all."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if any(each not in (-1, len(step.shape)) for each in axes):
        raise step.refusal(f"its axis is {axis}.", "A packed model scales each channel: make it with axis=-1.")


def _scale_shift(step: Step, scale: Any, shift: Any) -> Node:
    channels = step.shape[-1]
    if any(np.size(each) not in (1, channels) for each in (scale, shift)):
        raise step.refusal("it scales more than the channels.", "A packed model has one factor for each channel.")
    scale, shift = (
        np.broadcast_to(np.asarray(each, np.float32).reshape(-1), (channels or 1,)).copy() for each in (scale, shift)
    )
    return step.add("scale_shift", scale=scale, shift=shift, activation=None)
