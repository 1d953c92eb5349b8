"""LeNet as TensorFlow's early MNIST tutorial made it known: two convolutions of 5×5 and a wide dense layer."""

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register

_DEVIATION = 0.1


@register("lenet")
def lenet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (28, 28, 1),
    classes: int = 10,
    dropout: float = 0.5,
    **options: Unpack[Options],
) -> keras.Model:
    """Conv 5×5×32, max pool 2, conv 5×5×64, max pool 2, dense 1024, dropout, dense `classes`.

    The float form has 3,274,634 weights for 28×28×1 and 10 classes. Kernels start from a truncated normal of deviation
    0.1.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 4×4.
        classes: how many, at least 1.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed`: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> lenet("xnor", input_shape=(8, 8, 1)).output_shape
    (None, 10)
    """
    net = Network("lenet", scheme, input_shape, classes, smallest=4, initializer=_truncated_normal, **options)
    x = net.conv(net.inputs, 32, 5, scheme=net.first, padding="same", name="conv1")
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = net.conv(x, 64, 5, padding="same", name="conv2")
    x = keras.layers.MaxPooling2D(2, name="pool2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dense(x, 1024, name="dense1")
    x = net.dropout(x, dropout, name="dropout")
    return net.model(net.output(x))


def _truncated_normal(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=_DEVIATION, seed=seed)
