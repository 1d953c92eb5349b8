"""Small convolutional networks for small images."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("cnn_mnist")
def cnn_mnist(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (28, 28, 1),
    classes: int = 10,
    **options: Unpack[Options],
) -> keras.Model:
    """Conv 3×3×16, ReLU, max pool 2, conv 3×3×32, ReLU, max pool 2, dense `classes`.

    The float form has 20,490 weights for 28×28×1 and 10 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 4×4.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> cnn_mnist("bwn").output_shape
    (None, 10)
    """
    net = Network("cnn_mnist", scheme, input_shape, classes, smallest=4, **options)
    x = _blocks(net, (16, 32))
    return net.model(net.output(keras.layers.Flatten(name="flatten")(x)))


@register("cnn_cifar")
def cnn_cifar(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    **options: Unpack[Options],
) -> keras.Model:
    """Three times conv 3×3, batch norm, ReLU, max pool 2, of 32, 64 and 128 feature maps; dense 256 and `classes`.

    The float form has 620,586 weights that train, for 32×32×3 and 10 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> cnn_cifar("xnor").output_shape
    (None, 10)
    """
    net = Network("cnn_cifar", scheme, input_shape, classes, smallest=8, **options)
    x = _blocks(net, (32, 64, 128), normalize=True)
    x = net.dense(keras.layers.Flatten(name="flatten")(x), 256, name="dense1")
    return net.model(net.output(x))


def _blocks(net: Network, filters: tuple[int, ...], **options: Any) -> Any:
    """Convolutions of 3×3, each with a pooling of 2."""
    x = net.inputs
    for number, count in enumerate(filters, 1):
        scheme = net.first if number == 1 else net.inner
        x = net.conv(x, count, 3, scheme=scheme, padding="same", name=f"conv{number}", **options)
        x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(x)
    return x
