"""What networks are made of. Each block takes the scheme, and so is written once for all of them.

    float             layer, ReLU
    binary weights    layer, batch norm, ReLU
    binary input      batch norm, sign, layer, ReLU      (XNOR-Net: normalised before the sign, or it would say little)

A binary layer has no bias: the batch norm after it, or before the next sign, has one.
"""

import random
from typing import Any

import keras

from bnn_tf.models.schemes import LayerFactory, Scheme

# Keras' 0.99 needs hundreds of steps to settle, and a small data set has only forty an epoch.
_BATCH_NORM_MOMENTUM = 0.9


class Seeds:
    """A stream of seeds, one for each initializer and dropout of a network: the same weights for the same seed."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def next(self) -> int:
        """The next seed."""
        return self._random.getrandbits(31)


def conv_block(x: Any, scheme: Scheme, filters: int, kernel_size: int, *, name: str, **options: Any) -> Any:
    """A convolution with its normalisation and ReLU; `options` go to the convolution."""
    return _block(x, scheme, scheme.conv, name, filters=filters, kernel_size=kernel_size, **options)


def dense_block(x: Any, scheme: Scheme, units: int, *, name: str, **options: Any) -> Any:
    """A dense layer with its normalisation and ReLU; `options` go to the layer."""
    return _block(x, scheme, scheme.dense, name, units=units, **options)


def output_layer(x: Any, scheme: Scheme, classes: int, *, name: str, **options: Any) -> Any:
    """The last layer, from features to logits: its bias stays, since no normalisation follows."""
    if scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    return scheme.dense(classes, name=name, **options)(x)


def _block(x: Any, scheme: Scheme, factory: LayerFactory, name: str, **options: Any) -> Any:
    if scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    x = factory(name=name, use_bias=not scheme.binary_weights, **options)(x)
    if scheme.binary_weights and not scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def batch_norm(name: str) -> keras.Layer:
    """A batch normalisation that also settles on small data sets."""
    return keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=name)


def scaled(count: int, width: float) -> int:
    """`count` feature maps of the published network, at `width` times as many; never none."""
    return max(1, round(count * width))
