"""Perceptrons: dense layers alone, the least that learns from images."""

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("mlp_mnist")
def mlp_mnist(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (28, 28, 1),
    classes: int = 10,
    **options: Unpack[Options],
) -> keras.Model:
    """Dense 300, ReLU, dense `classes`; 238,510 weights in float for 28×28×1 and 10 classes.

    There is no layer between the first and the last, so here the scheme holds for the first one, unless
    `binarize_first=False` is given.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; any size.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> mlp_mnist("xnor").output_shape
    (None, 10)
    """
    options.setdefault("binarize_first", True)
    net = Network("mlp_mnist", scheme, input_shape, classes, smallest=1, **options)
    x = keras.layers.Flatten(name="flatten")(net.inputs)
    return net.model(net.output(net.dense(x, 300, scheme=net.first, name="dense1")))


@register("mlp_cifar")
def mlp_cifar(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    **options: Unpack[Options],
) -> keras.Model:
    """Dense 256, ReLU, dense 32, ReLU, dense `classes`; 795,242 weights in float for 32×32×3 and 10 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; any size.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> mlp_cifar("bwn", classes=100).output_shape
    (None, 100)
    """
    net = Network("mlp_cifar", scheme, input_shape, classes, smallest=1, **options)
    x = keras.layers.Flatten(name="flatten")(net.inputs)
    x = net.dense(x, 256, scheme=net.first, name="dense1")
    x = net.dense(x, 32, name="dense2")
    return net.model(net.output(x))
