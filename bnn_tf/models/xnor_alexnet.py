"""XNOR-Net's AlexNet: one tower, normalised before each sign, the dense layers as convolutions."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("xnor_alexnet")
def xnor_alexnet(
    scheme: str = "xnor",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.0,
    **options: Unpack[Options],
) -> keras.Model:
    """AlexNet in the order that XNOR-Net found: batch norm, sign, convolution, pooling.

    Conv 11×11×96 /4, max pool 3/2; 5×5×256, max pool 3/2; 3×3×384, 3×3×384, 3×3×256, max pool 3/2; a convolution of
    4096 maps over all that is left (6×6), 1×1×4096; dense `classes`. There is neither local response normalisation nor
    a group nor, between binary layers, a ReLU. The first and the last layer are float, with batch norm and ReLU after
    the first and before the last. That makes 58,236,928 weights of one bit for 224×224×3. The other schemes
    have batch norm and ReLU after each convolution.

    Args:
        scheme: "xnor", "float", "bwn" or "dorefa".
        input_shape: (height, width, channels) of an image; at least 63×63.
        classes: how many, at least 1.
        dropout: the share of hidden units that training drops after each layer of 4096, 0 <= dropout < 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> xnor_alexnet(input_shape=(63, 63, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: Rastegari, Ordonez, Redmon, Farhadi, "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural
        Networks", 2016, and the authors' model definition. Kernels start as He et al. 2015 propose.
    """
    he = keras.initializers.HeUniform
    net = Network("xnor_alexnet", scheme, input_shape, classes, smallest=63, initializer=he, **options)
    x = net.conv(net.inputs, 96, 11, scheme=net.first, strides=4, padding=2, normalize=True, name="conv1")
    x = _pool(x, "pool1")
    x = _pool(_conv(net, x, 256, 5, "conv2"), "pool2")
    x = _conv(net, x, 384, 3, "conv3")
    x = _conv(net, x, 384, 3, "conv4")
    x = _pool(_conv(net, x, 256, 3, "conv5"), "pool5")
    x = _conv(net, x, 4096, tuple(x.shape[1:3]), "fc6", padding="valid")
    x = net.dropout(x, dropout, name="drop6")
    x = _conv(net, x, 4096, 1, "fc7")
    if net.inner.binary_input:
        x = keras.layers.ReLU(name="fc7_relu")(batch_norm("fc7_after")(x))
    x = net.dropout(keras.layers.Flatten(name="flatten")(x), dropout, name="drop7")
    return net.model(net.output(x))


def _conv(net: Network, x: Any, filters: int, kernel_size: Any, name: str, padding: str = "same") -> Any:
    activation = None if net.inner.binary_input else keras.layers.ReLU
    return net.conv(x, filters, kernel_size, padding=padding, normalize=True, activation=activation, name=name)


def _pool(x: Any, name: str) -> Any:
    return keras.layers.MaxPooling2D(3, 2, name=name)(x)
