"""What each op of a packed model is in ONNX, channels first; the outputs equal those of docs/packed-format.md."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_tf import composed
from bnn_tf.errors import ArgumentError
from bnn_tf.exporting.onnx_graph import OnnxGraph, window_attributes
from bnn_tf.packing.graph import Bits, Floats, Node

Rule = Callable[..., str]

_OUT_IN_HEIGHT_WIDTH = (3, 2, 0, 1)


# What has weights.


def _conv2d(made: OnnxGraph, node: Node, x: str) -> str:
    return _activated(made, node, _conv(made, node, x, node.attributes["kernel"]))


def _binary_conv2d(made: OnnxGraph, node: Node, x: str) -> str:
    return _activated(made, node, _conv(made, node, x, _signs(node) * node.attributes["alpha"]))


def _binary_conv_input2d(made: OnnxGraph, node: Node, x: str) -> str:
    attributes = node.attributes
    signs, outside = _sign(made, x), attributes["pad_value"]
    window = window_attributes(node)
    if outside and any(window.get("pads", [1])):
        if "pads" not in window:
            raise ArgumentError(
                f"export: {node.name!r} pads with {outside} an image whose size is open. Build the model for one size."
            )
        top, left, bottom, right = window["pads"]
        amounts = made.integers((0, 0, top, left, 0, 0, bottom, right))
        signs = made.add("Pad", signs, amounts, made.floats(outside))
        window = {**window, "pads": [0, 0, 0, 0]}
    y = _scaled(made, node, _conv_op(made, signs, _signs(node), attributes["groups"], window))
    if attributes["input_scaling"]:
        y = made.add("Mul", y, _input_scale(made, node, x))
    return _activated(made, node, _biased(made, node, y))


def _input_scale(made: OnnxGraph, node: Node, x: str) -> str:
    """K: the mean of |x| over channels and window is a convolution with one number, for each group."""
    height, width, channels, filters = _signs(node).shape
    groups = node.attributes["groups"]
    # One filter a group; of several groups as many as the output has, since ONNX wouldn't repeat them.
    kernel = np.full((height, width, channels, filters if groups > 1 else 1), 1 / (height * width * channels))
    return _conv_op(made, made.add("Abs", x), kernel, groups, window_attributes(node))


def _dense(made: OnnxGraph, node: Node, x: str) -> str:
    return _activated(made, node, _biased(made, node, _product(made, x, node.attributes["kernel"])))


def _binary_dense(made: OnnxGraph, node: Node, x: str) -> str:
    kernel = _signs(node)[0, 0] * node.attributes["alpha"]
    return _activated(made, node, _biased(made, node, _product(made, x, kernel)))


def _binary_dense_input(made: OnnxGraph, node: Node, x: str) -> str:
    y = _scaled(made, node, _product(made, _sign(made, x), _signs(node)[0, 0]))
    if node.attributes["input_scaling"]:
        y = made.add("Mul", y, made.add("ReduceMean", made.add("Abs", x), axes=[-1], keepdims=1))
    return _activated(made, node, _biased(made, node, y))


def _scale_shift(made: OnnxGraph, node: Node, x: str) -> str:
    scale, shift = (made.by_channel(node.attributes[name], node) for name in ("scale", "shift"))
    return _activated(made, node, made.add("Add", made.add("Mul", x, scale), shift))


def _conv(made: OnnxGraph, node: Node, x: str, kernel: Floats) -> str:
    y = _conv_op(made, x, kernel, node.attributes["groups"], window_attributes(node))
    return _biased(made, node, y)


def _conv_op(made: OnnxGraph, x: str, kernel: Any, groups: int, window: dict[str, Any]) -> str:
    return made.add("Conv", x, made.floats(kernel.transpose(_OUT_IN_HEIGHT_WIDTH)), group=groups, **window)


def _product(made: OnnxGraph, x: str, kernel: Floats) -> str:
    return made.add("MatMul", x, made.floats(kernel))


def _biased(made: OnnxGraph, node: Node, y: str) -> str:
    bias = node.attributes["bias"]
    return y if bias is None else made.add("Add", y, made.by_channel(bias, node))


def _scaled(made: OnnxGraph, node: Node, y: str) -> str:
    return made.add("Mul", y, made.by_channel(node.attributes["alpha"], node))


def _sign(made: OnnxGraph, x: str) -> str:
    """+1 and -1: ONNX's own Sign has 0."""
    return made.add("Where", made.add("GreaterOrEqual", x, made.floats(0.0)), made.floats(1.0), made.floats(-1.0))


def _signs(node: Node) -> Floats:
    bits: Bits = node.attributes["bits"]
    return np.asarray(composed.unpack_kernel(bits.words, bits.shape), np.float32)


# Activations.


def _activated(made: OnnxGraph, node: Node, y: str) -> str:
    activation = node.attributes["activation"]
    if activation is None:
        return y
    kind = activation["kind"]
    if kind == "relu":
        return _relu(made, y, activation["max"], activation["slope"])
    if kind == "prelu":
        return made.add("PRelu", y, made.by_channel(activation["slope"], node))
    return _FUNCTIONS[kind](made, y)


def _relu(made: OnnxGraph, y: str, maximum: float | None, slope: float) -> str:
    y = made.add("LeakyRelu", y, alpha=slope) if slope else made.add("Relu", y)
    return y if maximum is None else made.add("Min", y, made.floats(maximum))


def _gelu(made: OnnxGraph, y: str) -> str:
    half = made.add("Mul", y, made.floats(0.5))
    erf = made.add("Erf", made.add("Mul", y, made.floats(1 / math.sqrt(2))))
    return made.add("Mul", half, made.add("Add", erf, made.floats(1.0)))


_FUNCTIONS: dict[str, Callable[[OnnxGraph, str], str]] = {
    "sigmoid": lambda made, y: made.add("Sigmoid", y),
    "tanh": lambda made, y: made.add("Tanh", y),
    "hard_tanh": lambda made, y: made.add("Clip", y, made.floats(-1.0), made.floats(1.0)),
    "hard_sigmoid": lambda made, y: made.add("HardSigmoid", y, alpha=1 / 6, beta=0.5),
    "elu": lambda made, y: made.add("Elu", y, alpha=1.0),
    "selu": lambda made, y: made.add("Selu", y),
    "gelu": _gelu,
    "silu": lambda made, y: made.add("Mul", y, made.add("Sigmoid", y)),
    "softplus": lambda made, y: made.add("Softplus", y),
}


# What has no weights.


def _pool(op: str, **options: Any) -> Rule:
    return lambda made, node, x: made.add(op, x, **window_attributes(node), **options)


def _global_pool(op: str) -> Rule:
    def rule(made: OnnxGraph, node: Node, x: str) -> str:
        y = made.add(op, x)
        return y if node.attributes["keepdims"] else made.add("Flatten", y)

    return rule


def _elementwise(op: str) -> Rule:
    def rule(made: OnnxGraph, node: Node, *inputs: str) -> str:
        return made.add(op, *inputs)

    return rule


def _add(made: OnnxGraph, node: Node, *inputs: str) -> str:
    return _activated(made, node, made.add("Sum", *inputs))


def _multiply(made: OnnxGraph, node: Node, *inputs: str) -> str:
    y = inputs[0]
    for other in inputs[1:]:
        y = made.add("Mul", y, other)
    return y


def _lrn(made: OnnxGraph, node: Node, x: str) -> str:
    options = node.attributes
    size = 2 * options["depth_radius"] + 1  # ONNX divides alpha by it
    return made.add("LRN", x, size=size, alpha=options["alpha"] * size, beta=options["beta"], bias=options["bias"])


def _pad(made: OnnxGraph, node: Node, x: str) -> str:
    top, bottom, left, right = node.attributes["padding"]
    return made.add("Pad", x, made.integers((0, 0, top, left, 0, 0, bottom, right)))


def _pad_channels(made: OnnxGraph, node: Node, x: str) -> str:
    before, after = node.attributes["before"], node.attributes["after"]
    return made.add("Pad", x, made.integers((0, before, 0, 0, 0, after, 0, 0)))


def _flatten(made: OnnxGraph, node: Node, x: str) -> str:
    return made.add("Flatten", made.channels_last(x, node.inputs[0]))


def _reshape(made: OnnxGraph, node: Node, x: str) -> str:
    shape = made.integers((-1, *node.attributes["shape"]))
    return made.channels_first(made.add("Reshape", made.channels_last(x, node.inputs[0]), shape), node)


def _windows(made: OnnxGraph, node: Node, x: str) -> str:
    (height, width), dilations = node.attributes["size"], node.attributes["dilations"]
    axes = made.integers((2, 3))
    taps = []
    for row in range(height):
        for column in range(width):
            start = (row * dilations[0], column * dilations[1])
            # From the back, since the image's size may be open; its own end is further than any index.
            left = ((height - 1 - row) * dilations[0], (width - 1 - column) * dilations[1])
            end = tuple(-each if each else 2**31 - 1 for each in left)
            taps.append(made.add("Slice", x, made.integers(start), made.integers(end), axes))
    return made.add("Concat", *taps, axis=1)


RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "binary_conv2d": _binary_conv2d,
    "binary_conv_input2d": _binary_conv_input2d,
    "binary_dense": _binary_dense,
    "binary_dense_input": _binary_dense_input,
    "scale_shift": _scale_shift,
    "activation": _activated,
    "max_pool2d": _pool("MaxPool"),
    "average_pool2d": _pool("AveragePool"),
    "global_average_pool": _global_pool("GlobalAveragePool"),
    "global_max_pool": _global_pool("GlobalMaxPool"),
    "add": _add,
    "multiply": _multiply,
    "subtract": _elementwise("Sub"),
    "maximum": _elementwise("Max"),
    "average": _elementwise("Mean"),
    "concat": lambda made, node, *inputs: made.add("Concat", *inputs, axis=1),
    "lrn": _lrn,
    "pad": _pad,
    "pad_channels": _pad_channels,
    "flatten": _flatten,
    "reshape": _reshape,
    "windows": _windows,
    "softmax": lambda made, node, x: made.add("Softmax", x, axis=1),
}
