"""ZF Net: AlexNet with a finer first layer, found by looking at what its layers see."""

import keras
from typing_extensions import Unpack

from bnn_tf.layers import LocalResponseNormalization
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register


@register("zfnet")
def zfnet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Conv 7×7×96 /2, max pool 3/2, LRN; 5×5×256 /2, max pool 3/2, LRN; 3×3×384, 384, 256; max pool 3/2; dense.

    The dense layers are 4096, dropout, 4096, dropout, `classes`. The feature maps of a 224×224 image are 110, 55, 26,
    13 and 6 high, as in the paper, and the float form has 62,357,608 weights for 1000 classes. The paper's contrast
    normalisation is AlexNet's local response normalisation here.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 53×53.
        classes: how many, at least 1.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are
            taken next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> zfnet("bwn", input_shape=(53, 53, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", 2013, figure 3. Kernels start as
        He et al. 2015 propose.
    """
    he = keras.initializers.HeUniform
    net = Network("zfnet", scheme, input_shape, classes, smallest=53, initializer=he, **options)
    x = net.conv(net.inputs, 96, 7, scheme=net.first, strides=2, padding=1, name="conv1")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = net.conv(x, 256, 5, strides=2, name="conv2")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)
    x = LocalResponseNormalization(name="norm2")(x)
    x = net.conv(x, 384, 3, padding="same", name="conv3")
    x = net.conv(x, 384, 3, padding="same", name="conv4")
    x = net.conv(x, 256, 3, padding="same", name="conv5")
    x = keras.layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dropout(net.dense(x, 4096, name="fc6"), dropout, name="drop6")
    x = net.dropout(net.dense(x, 4096, name="fc7"), dropout, name="drop7", before=net.last)
    return net.model(net.output(x))
