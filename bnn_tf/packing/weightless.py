"""Rules for what has no weights: pools, sums, shapes, and what does nothing at inference."""

from typing import Any

import keras

from bnn_tf import layers
from bnn_tf.layers import ZeroMaps
from bnn_tf.packing.converting import Step, rule
from bnn_tf.packing.graph import Node

_FEATURES = "Its number of values must be known: build the model for images of one size."


@rule(keras.layers.MaxPooling2D)
def _max_pool(step: Step) -> Node:
    return step.add("max_pool2d", window=_pool_window(step))


@rule(keras.layers.AveragePooling2D)
def _average_pool(step: Step) -> Node:
    return step.add("average_pool2d", window=_pool_window(step))


def _pool_window(step: Step) -> dict[str, Any]:
    layer = step.layer
    return {"kernel": list(layer.pool_size), "strides": list(layer.strides), "padding": layer.padding}


@rule(keras.layers.GlobalAveragePooling2D)
def _global_average_pool(step: Step) -> Node:
    return step.add("global_average_pool", keepdims=bool(step.layer.keepdims))


@rule(keras.layers.GlobalMaxPooling2D)
def _global_max_pool(step: Step) -> Node:
    return step.add("global_max_pool", keepdims=bool(step.layer.keepdims))


@rule(keras.layers.Add, operations=("Add",))
def _add(step: Step) -> Node:
    return _elementwise(step, "add", activation=None)


@rule(keras.layers.Subtract, operations=("Subtract",))
def _subtract(step: Step) -> Node:
    return _elementwise(step, "subtract")


@rule(keras.layers.Multiply, operations=("Multiply",))
def _multiply(step: Step) -> Node:
    return _elementwise(step, "multiply")


@rule(keras.layers.Maximum, operations=("Maximum",))
def _maximum(step: Step) -> Node:
    return _elementwise(step, "maximum")


@rule(keras.layers.Average)
def _average(step: Step) -> Node:
    return _elementwise(step, "average")


def _elementwise(step: Step, op: str, **attributes: Any) -> Node:
    shapes = [node.shape for node in step.inputs]
    if len(shapes) < 2:
        raise step.refusal("one of its operands is a constant.", "Use a Rescaling layer.")
    if any(shape != shapes[0] for shape in shapes):
        raise step.refusal(f"its inputs differ in shape: {shapes}, without the batch.", "Bring them to one shape.")
    return step.add(op, **attributes)


@rule(keras.layers.Concatenate)
def _concatenate(step: Step) -> Node:
    if step.layer.axis not in (-1, len(step.shape)):
        raise step.refusal(f"its axis is {step.layer.axis}, and a packed model joins channels.", "Use axis=-1.")
    return step.add("concat", axis=-1)


@rule(layers.LocalResponseNormalization)
def _lrn(step: Step) -> Node:
    layer = step.layer
    return step.add(
        "lrn",
        depth_radius=int(layer.depth_radius),
        bias=float(layer.bias),
        alpha=float(layer.alpha),
        beta=float(layer.beta),
    )


@rule(keras.layers.ZeroPadding2D)
def _pad(step: Step) -> Node:
    return step.add("pad", padding=[size for pair in step.layer.padding for size in pair])


@rule(ZeroMaps)
def _pad_channels(step: Step) -> Node:
    missing = step.layer.filters - (step.inputs[0].shape[-1] or 0)
    return step.add("pad_channels", before=missing // 2, after=missing - missing // 2)


@rule(layers.Windows)
def _windows(step: Step) -> Node:
    return step.add("windows", size=list(step.layer.size), dilations=list(step.layer.dilation_rate))


@rule(keras.layers.Flatten)
def _flatten(step: Step) -> Node:
    return step.inputs[0] if len(step.inputs[0].shape) == 1 else step.add("flatten")


@rule(keras.layers.Reshape)
def _reshape(step: Step) -> Node:
    if None in step.shape:
        raise step.refusal(f"it makes {('batch', *step.shape)}.", _FEATURES)
    return step.add("reshape", shape=list(step.shape))


# What works in training only.
_IDLE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout2D,
)


@rule(*_IDLE)
def _idle(step: Step) -> Node:
    if step.shape != step.inputs[0].shape:
        raise step.refusal(f"it changes the shape {step.inputs[0].shape} to {step.shape}, without the batch.")
    return step.inputs[0]
