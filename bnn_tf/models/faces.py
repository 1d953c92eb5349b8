"""Two small networks for large images, made to tell the faces of a few hundred people apart."""

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("nnet")
def nnet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 200,
    **options: Unpack[Options],
) -> keras.Model:
    """Four convolutions of stride 2, dense 300 and `classes`, each with a ReLU.

    Conv 3×3×21; 3×3×20, batch norm; 3×3×15, padded by 1, batch norm; 5×5×7, padded by 1, batch norm. The float form has
    425,177 weights that train, for 224×224×3 and 200 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 23×23.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> nnet("bwn", input_shape=(32, 32, 3)).output_shape
    (None, 200)
    """
    net = Network("nnet", scheme, input_shape, classes, smallest=23, **options)
    x = net.conv(net.inputs, 21, 3, scheme=net.first, strides=2, name="conv1")
    x = net.conv(x, 20, 3, strides=2, normalize=True, name="conv2")
    x = net.conv(x, 15, 3, strides=2, padding=1, normalize=True, name="conv3")
    x = net.conv(x, 7, 5, strides=2, padding=1, normalize=True, name="conv4")
    x = net.dense(keras.layers.Flatten(name="flatten")(x), 300, name="dense1")
    return net.model(net.output(x))


@register("tronnet")
def tronnet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 200,
    **options: Unpack[Options],
) -> keras.Model:
    """Seven convolutions of stride 1 with two poolings of 3 among them, dense 300 and `classes`, each with a ReLU.

    Conv 3×3×21; 3×3×30, batch norm after its ReLU; max pool 3; 3×3×35 and 3×3×25 with batch norm; max pool 3; 3×3×20,
    3×3×15 and 5×5×10 with batch norm. All but the first are padded by 1. The float form has 1,547,333 weights that
    train, for 224×224×3 and 200 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 29×29.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> tronnet("xnor", input_shape=(32, 32, 3)).output_shape
    (None, 200)
    """
    net = Network("tronnet", scheme, input_shape, classes, smallest=29, **options)
    x = net.conv(net.inputs, 21, 3, scheme=net.first, name="conv1")
    x = net.conv(x, 30, 3, padding="same", name="conv2")
    x = batch_norm("conv2_after")(x)
    x = keras.layers.MaxPooling2D(3, name="pool2")(x)
    x = net.conv(x, 35, 3, padding="same", normalize=True, name="conv3")
    x = net.conv(x, 25, 3, padding="same", normalize=True, name="conv4")
    x = keras.layers.MaxPooling2D(3, name="pool4")(x)
    x = net.conv(x, 20, 3, padding="same", normalize=True, name="conv5")
    x = net.conv(x, 15, 3, padding="same", normalize=True, name="conv6")
    x = net.conv(x, 10, 5, padding=1, normalize=True, name="conv7")
    x = net.dense(keras.layers.Flatten(name="flatten")(x), 300, name="dense1")
    return net.model(net.output(x))
