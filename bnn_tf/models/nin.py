"""Network in Network: every convolution is followed by a small perceptron at each pixel, and no layer is dense."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("nin")
def nin(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """The network for CIFAR: three convolutions, each with two of 1×1, and global average pooling.

    Conv 5×5×192, 1×1×160, 1×1×96, max pool 3/2, dropout; 5×5×192, 1×1×192, 1×1×192, average pool 3/2, dropout; 3×3×192,
    1×1×192, 1×1×`classes`; global average pooling. The float form has 966,986 weights for RGB images and 10 classes.
    The maps that the last pooling averages are logits, without the ReLU of the paper, which leaves no class below zero.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; any size.
        classes: how many, at least 1.
        dropout: the share of feature values that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs
            are taken next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> nin("xnor", input_shape=(16, 16, 3), width=0.25).output_shape
    (None, 10)

    Source: Lin, Chen, Yan, "Network In Network", 2013; the sizes are those of the authors' Caffe model for CIFAR-10.
        Kernels start as He et al. 2015 propose.
    """
    net = Network("nin", scheme, input_shape, classes, smallest=1, initializer=keras.initializers.HeUniform, **options)
    x = net.conv(net.inputs, 192, 5, scheme=net.first, padding="same", name="conv1")
    x = _perceptron(net, x, (160, 96), "conv1")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = net.dropout(x, dropout, name="drop1")
    x = net.conv(x, 192, 5, padding="same", name="conv2")
    x = _perceptron(net, x, (192, 192), "conv2")
    x = keras.layers.AveragePooling2D(3, 2, padding="same", name="pool2")(x)
    x = net.dropout(x, dropout, name="drop2")
    x = net.conv(x, 192, 3, padding="same", name="conv3")
    x = net.output_map(_perceptron(net, x, (192,), "conv3"))
    return net.model(keras.layers.GlobalAveragePooling2D(name="logits")(x))


def _perceptron(net: Network, x: Any, units: tuple[int, ...], name: str) -> Any:
    for number, count in enumerate(units, 1):
        x = net.conv(x, count, 1, name=f"{name}_mlp{number}")
    return x
