"""What networks are made of. Each block takes the scheme, and so is written once for all of them.

    float              layer, ReLU
    float, normalized  layer, batch norm, ReLU
    binary weights     layer, batch norm, ReLU
    binary input       batch norm, sign, layer, ReLU     (XNOR-Net: normalised before the sign, or it would say little)

A layer with a batch norm of its own has no bias: the batch norm after it, or before the next sign, has one. A published
network that has both says `use_bias=True`, which holds in the float form.
"""

import random
from collections.abc import Callable
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


def conv_block(
    x: Any,
    scheme: Scheme,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    name: str,
    padding: str | int = "valid",
    **options: Any,
) -> Any:
    """A convolution with its normalisation and activation.

    Args:
        x: what comes in.
        scheme: which convolution it is.
        filters: how many feature maps.
        kernel_size: of the convolution.
        name: of the convolution; the batch norm's is `{name}_bn`, the activation's `{name}_relu`.
        padding: "valid", "same", or how many zeros to put on each of the four sides.
        **options: `normalize=True` gives the float form a batch norm too; `activation=None` leaves the ReLU out, or is
            another layer's class; `use_bias=True` gives the float form a bias beside its batch norm. The others go to
            the convolution.

    Returns:
        What goes out.
    """
    window: dict[str, Any] = {"filters": filters, "kernel_size": kernel_size, "padding": padding}
    if isinstance(padding, int):
        if scheme.binary_weights:  # which pads what it sees after the sign
            window["padding"] = ((padding, padding), (padding, padding))
        else:
            x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
            window["padding"] = "valid"
    return _block(x, scheme, scheme.conv, name, **window, **options)


def dense_block(x: Any, scheme: Scheme, units: int, *, name: str, **options: Any) -> Any:
    """A dense layer with its normalisation and activation; `options` as for `conv_block`."""
    return _block(x, scheme, scheme.dense, name, units=units, **options)


def output_layer(x: Any, scheme: Scheme, classes: int, *, name: str, **options: Any) -> Any:
    """The last layer, from features to logits: its bias stays, since no normalisation follows."""
    if scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    return scheme.dense(classes, name=name, **options)(x)


def _block(
    x: Any,
    scheme: Scheme,
    factory: LayerFactory,
    name: str,
    *,
    normalize: bool = False,
    activation: Callable[..., keras.Layer] | None = keras.layers.ReLU,
    use_bias: bool | None = None,
    **options: Any,
) -> Any:
    normalize = normalize or scheme.binary_weights
    if use_bias is None or scheme.binary_weights:
        use_bias = not normalize
    if scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    x = factory(name=name, use_bias=use_bias, **options)(x)
    if normalize and not scheme.binary_input:
        x = batch_norm(f"{name}_bn")(x)
    return x if activation is None else activation(name=f"{name}_relu")(x)


def batch_norm(name: str) -> keras.Layer:
    """A batch normalisation that also settles on small data sets."""
    return keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=name)


def scaled(count: int, width: float, multiple: int = 1) -> int:
    """`count` feature maps of the published network, at `width` times as many; a `multiple` of groups, never none."""
    return multiple * max(1, round(count * width / multiple))
