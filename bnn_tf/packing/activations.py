"""Activations: what the file calls the functions and layers of Keras."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from bnn_tf.packing.converting import Step, rule
from bnn_tf.packing.graph import Node

SOFTMAX: dict[str, Any] = {"kind": "softmax"}  # a node of its own: it looks at all channels
_FUNCTIONS: dict[str, dict[str, Any]] = {
    "relu": {"kind": "relu", "max": None, "slope": 0.0},
    "relu6": {"kind": "relu", "max": 6.0, "slope": 0.0},
    "leaky_relu": {"kind": "relu", "max": None, "slope": 0.2},
    "softmax": SOFTMAX,
    **{
        name: {"kind": name}
        for name in ("sigmoid", "tanh", "hard_tanh", "elu", "selu", "gelu", "silu", "softplus", "hard_sigmoid")
    },
}
_KNOWN = {getattr(keras.activations, name): activation for name, activation in _FUNCTIONS.items()}
_NAMES = ", ".join(sorted(_FUNCTIONS))


def activated(step: Step, node: Node, function: Any, part: str = "activation") -> Node:
    """`node` followed by what a layer has for its `activation`: a function, a layer or None."""
    activation = _activation(step, function)
    if activation is None:
        return node
    if activation == SOFTMAX:
        return step.add("softmax", [node], node.shape, part)
    return step.add("activation", [node], node.shape, part, activation=activation)


def _activation(step: Step, function: Any) -> dict[str, Any] | None:
    if function is None or function is keras.activations.linear:
        return None
    if isinstance(function, keras.Layer):
        if type(function) not in _LAYERS:
            raise step.refusal(f"its activation is the layer {function.name!r} ({type(function).__name__}).")
        if not function.built:
            raise step.refusal(
                f"its activation, the layer {function.name!r} ({type(function).__name__}), has no weights yet.",
                "Call the model on data first.",
            )
        return _LAYERS[type(function)](replace(step, layer=function))
    if function not in _KNOWN:
        name = getattr(function, "__name__", repr(function))
        raise step.refusal(f"its activation is {name}, which a packed model doesn't know.", f"It knows {_NAMES}.")
    return _KNOWN[function]


def _relu(step: Step) -> dict[str, Any]:
    layer = step.layer
    if layer.threshold:
        raise step.refusal(f"its threshold is {layer.threshold}, and a packed model's ReLU has none.")
    maximum = None if layer.max_value is None else float(layer.max_value)
    return {"kind": "relu", "max": maximum, "slope": float(layer.negative_slope or 0)}


def _prelu(step: Step) -> dict[str, Any]:
    slope = step.floats(step.layer.alpha)
    if slope.size != slope.shape[-1]:
        raise step.refusal("its slopes differ from pixel to pixel.", "Make it with shared_axes=[1, 2].")
    return {"kind": "prelu", "slope": np.broadcast_to(slope.reshape(-1), (step.shape[-1] or 1,)).copy()}


def _elu(step: Step) -> dict[str, Any]:
    if step.layer.alpha != 1:
        raise step.refusal(f"its alpha is {step.layer.alpha}, and a packed model's ELU has 1.")
    return {"kind": "elu"}


def _softmax(step: Step) -> dict[str, Any]:
    if step.layer.axis not in (-1, len(step.shape)):
        raise step.refusal(f"its axis is {step.layer.axis}, and a packed model's softmax is over the last one.")
    return SOFTMAX


_LAYERS = {
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: lambda step: {"kind": "relu", "max": None, "slope": float(step.layer.negative_slope)},
    keras.layers.PReLU: _prelu,
    keras.layers.ELU: _elu,
    keras.layers.Softmax: _softmax,
}


@rule(*_LAYERS, keras.layers.Activation)
def _activation_layer(step: Step) -> Node:
    layer = step.layer
    function = layer.activation if isinstance(layer, keras.layers.Activation) else layer
    return activated(step, step.inputs[0], function, part="")


_BY_OPERATION = {
    "Relu": keras.activations.relu,
    "Relu6": keras.activations.relu6,
    "Sigmoid": keras.activations.sigmoid,
    "Silu": keras.activations.silu,
    "Tanh": keras.activations.tanh,
}


@rule(operations=tuple(_BY_OPERATION))
def _activation_operation(step: Step) -> Node:
    return activated(step, step.inputs[0], _BY_OPERATION[type(step.layer).__name__], part="")
