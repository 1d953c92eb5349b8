"""Models to export, what they must be equal to, and the examples of docs/deploying.md."""

import re

import keras
import numpy as np
from conftest import ROOT
from packed_cases import functional

from bnn_tf import layers

conv, conv_input = layers.BinaryConv2D, layers.BinaryConvInput2D
LAYERS = {
    "conv": conv(5, 3, padding="same", activation="relu"),
    "conv-strided": conv(5, (3, 2), strides=(2, 1), padding="same", use_bias=False),
    "conv-dilated-strided": conv(5, 2, strides=2, dilation_rate=2, scaling="tensor"),
    "conv-explicit-groups": conv(4, 3, padding=((2, 0), (1, 3)), groups=2),
    "xnor": conv_input(5, 3, padding="same", activation="tanh"),
    "xnor-strided": conv_input(5, 3, strides=2, padding="same", scaling="none"),
    "xnor-padded": conv_input(5, 3, padding=((1, 1), (2, 0)), pad_value=-1),
    "xnor-groups": conv_input(4, 3, padding="same", groups=2, pad_value=1),
    "xnor-dilated": conv_input(5, 2, dilation_rate=2, input_scaling=False, ste="magnitude_aware_sign"),
    "dense": layers.BinaryDense(5, activation="sigmoid"),
    "dense-xnor": layers.BinaryDenseInput(5, scaling="tensor"),
    "dense-xnor-plain": layers.BinaryDenseInput(5, input_scaling=False, use_bias=False),
}
DOCUMENT = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
BLOCKS = dict(
    zip(("packed", "saved_model", "onnx"), re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL), strict=True)
)


def small_network():
    """Some of everything that people build, for images of 12×10×3."""

    def call(x):
        x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        y = conv(8, 3, padding="same")(x)
        y = conv_input(8, 3, padding="same")(keras.layers.BatchNormalization()(y))
        x = keras.layers.MaxPooling2D(2)(keras.layers.Add()([x, y]))
        x = conv_input(12, 3, strides=2, padding="same", input_scaling=False, pad_value=1)(x)
        x = keras.layers.Flatten()(keras.layers.AveragePooling2D(2, padding="same")(x))
        return keras.layers.Dense(4)(layers.BinaryDenseInput(6)(keras.layers.Dropout(0.5)(x)))

    return functional(call, (12, 10, 3))


def assert_twins(y, expected, tolerance=1e-5):
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def layer_of(name):
    """A new layer of `LAYERS`."""
    layer = LAYERS[name]
    return type(layer).from_config(layer.get_config())
