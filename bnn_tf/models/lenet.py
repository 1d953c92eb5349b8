"""LeNet twice: as TensorFlow's early MNIST tutorial made it known, wide, and LeCun's LeNet-5, small."""

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network, Options, choose
from bnn_tf.models.registry import register

_DEVIATION = 0.1

# The padding of LeNet-5's first convolution, and the smallest image that it leaves something of.
_SMALLEST = {"valid": 16, "same": 12}


@register("lenet")
def lenet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (28, 28, 1),
    classes: int = 10,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Conv 5×5×32, max pool 2, conv 5×5×64, max pool 2, dense 1024, dropout, dense `classes`.

    The float form has 3,274,634 weights for 28×28×1 and 10 classes. Kernels start from a truncated normal of deviation
    0.1.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 4×4.
        classes: how many, at least 1.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are
            taken next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> lenet("xnor", input_shape=(8, 8, 1)).output_shape
    (None, 10)

    Source: TensorFlow 1.0's tutorial "Deep MNIST for Experts", 2017.
    """
    net = Network("lenet", scheme, input_shape, classes, smallest=4, initializer=_truncated_normal, **options)
    x = net.conv(net.inputs, 32, 5, scheme=net.first, padding="same", name="conv1")
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = net.conv(x, 64, 5, padding="same", name="conv2")
    x = keras.layers.MaxPooling2D(2, name="pool2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dense(x, 1024, name="dense1")
    x = net.dropout(x, dropout, name="dropout", before=net.last)
    return net.model(net.output(x))


@register("lenet5")
def lenet5(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 1),
    classes: int = 10,
    padding: str = "valid",
    **options: Unpack[Options],
) -> keras.Model:
    """Conv 5×5×6, max pool 2, conv 5×5×16, max pool 2, dense 120, 84 and `classes`, with ReLU.

    The float form has 61,706 weights, for 32×32×1 and 10 classes or for 28×28×1 with `padding="same"`.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 16×16, with `padding="same"` 12×12.
        classes: how many, at least 1.
        padding: of the first convolution, "valid" or "same"; the second has none.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> lenet5("bwn", input_shape=(28, 28, 1), padding="same").output_shape
    (None, 10)

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998; in the form
        that PyTorch's tutorials gave it, with ReLU, max pooling and a second convolution that sees all maps.
    """
    net = Network("lenet5", scheme, input_shape, classes, smallest=choose("padding", padding, _SMALLEST), **options)
    x = net.conv(net.inputs, 6, 5, scheme=net.first, padding=padding, name="conv1")
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    x = net.conv(x, 16, 5, name="conv2")
    x = keras.layers.MaxPooling2D(2, name="pool2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dense(x, 120, name="dense1")
    x = net.dense(x, 84, name="dense2")
    return net.model(net.output(x))


def _truncated_normal(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=_DEVIATION, seed=seed)
