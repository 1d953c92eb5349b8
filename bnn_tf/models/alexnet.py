"""AlexNet in the form that Caffe published, in torchvision's, and fitted to small images.

Kernels start as He et al. 2015 propose: the deviation of 0.01 of the paper needs its many epochs to get going.
"""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.errors import ArgumentError
from bnn_tf.layers import LocalResponseNormalization
from bnn_tf.models import pretrained
from bnn_tf.models.network import ImageShape, Network, Options, choose
from bnn_tf.models.registry import register

# The padding of Caffe's first convolution, and the smallest image that it leaves something of.
_SMALLEST = {"valid": 67, "same": 57}


@register("alexnet")
def alexnet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (227, 227, 3),
    classes: int = 1000,
    padding: str = "valid",
    pool_first: bool = False,
    dropout: float | None = None,
    weights: pretrained.Weights | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """AlexNet as published, in Caffe's form: grouped convolutions and local response normalisation.

    Conv 11×11×96 /4, LRN, max pool 3/2; 5×5×256 in 2 groups, LRN, max pool 3/2; 3×3×384; 3×3×384 and 3×3×256 in 2
    groups; max pool 3/2; dense 4096, dropout, 4096, dropout, `classes`. The float form has 60,965,224 weights for
    227×227×3 and 1000 classes, and for the paper's 224×224×3 with `padding="same"`.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 67×67, with `padding="same"` 57×57.
        classes: how many, at least 1.
        padding: of the first convolution, "valid" or "same".
        pool_first: whether the poolings come before the normalisations, as in CaffeNet, and not after, as in the paper.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are
            taken next.
        weights: path of `bvlc_alexnet.npy`, a dictionary of layer → [weights, biases]; only for the float form. With
            another number of classes, the last layer keeps its initial weights. These weights expect BGR images of
            0..255, less the mean (104, 117, 123).
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme, an option out of range, or weights that don't fit.

    Example:

    >>> alexnet("bwn", input_shape=(67, 67, 3), classes=102, width=0.125).output_shape
    (None, 102)

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012;
        Caffe's model zoo, `bvlc_alexnet`.
    """
    if weights is not None:
        pretrained.check_float("alexnet", scheme)
    smallest = choose("padding", padding, _SMALLEST)
    he = keras.initializers.HeUniform
    net = Network("alexnet", scheme, input_shape, classes, smallest=smallest, initializer=he, multiple=2, **options)
    x = net.conv(net.inputs, 96, 11, scheme=net.first, strides=4, padding=padding, name="conv1")
    x = _normalised_pool(x, pool_first, "1")
    x = net.conv(x, 256, 5, padding="same", groups=2, name="conv2")
    x = _normalised_pool(x, pool_first, "2")
    x = net.conv(x, 384, 3, padding="same", name="conv3")
    x = net.conv(x, 384, 3, padding="same", groups=2, name="conv4")
    x = net.conv(x, 256, 3, padding="same", groups=2, name="conv5")
    x = _pool("pool5")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dropout(net.dense(x, 4096, name="fc6"), dropout, name="drop6")
    x = net.dropout(net.dense(x, 4096, name="fc7"), dropout, name="drop7", before=net.last)
    model = net.model(net.output(x))
    if weights is not None:
        _load(model, weights)
    return model


@register("alexnet_torch")
def alexnet_torch(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """AlexNet as in torchvision: one tower, no normalisation.

    Conv 11×11×64 /4, max pool 3/2, 5×5×192, max pool 3/2, 3×3×384, 3×3×256, 3×3×256, max pool 3/2; dropout, dense 4096,
    dropout, 4096, `classes`. The float form has 61,100,840 weights for 224×224×3 and 1000 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 63×63. The dense layers see the last feature maps
            as large as they come, where torchvision averages them to 6×6.
        classes: how many, at least 1.
        dropout: the share of units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are taken
            next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> alexnet_torch("xnor", input_shape=(63, 63, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, as torchvision has it.
    """
    he = keras.initializers.HeUniform
    net = Network("alexnet_torch", scheme, input_shape, classes, smallest=63, initializer=he, **options)
    x = net.conv(net.inputs, 64, 11, scheme=net.first, strides=4, padding=2, name="conv1")
    return net.model(_after_first(net, x, dropout))


@register("alexnet_cifar")
def alexnet_cifar(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """`alexnet_torch` for small images: its first convolution is 5×5×64 with stride 1, and the rest is the same.

    For 32×32 the last feature maps are 3×3, and the float form has 28,714,826 weights for 10 classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 15×15.
        classes: how many, at least 1.
        dropout: the share of units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are taken
            next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> alexnet_cifar("bwn", classes=100, width=0.125).output_shape
    (None, 100)

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, its first and last
        layers fitted to CIFAR.
    """
    he = keras.initializers.HeUniform
    net = Network("alexnet_cifar", scheme, input_shape, classes, smallest=15, initializer=he, **options)
    x = net.conv(net.inputs, 64, 5, scheme=net.first, padding="same", name="conv1")
    return net.model(_after_first(net, x, dropout))


def _after_first(net: Network, x: Any, dropout: float | None) -> Any:
    """torchvision's AlexNet without its first convolution."""
    x = _pool("pool1")(x)
    x = net.conv(x, 192, 5, padding="same", name="conv2")
    x = _pool("pool2")(x)
    x = net.conv(x, 384, 3, padding="same", name="conv3")
    x = net.conv(x, 256, 3, padding="same", name="conv4")
    x = net.conv(x, 256, 3, padding="same", name="conv5")
    x = _pool("pool5")(x)
    x = net.dropout(keras.layers.Flatten(name="flatten")(x), dropout, name="drop6")
    x = net.dropout(net.dense(x, 4096, name="fc6"), dropout, name="drop7")
    return net.output(net.dense(x, 4096, name="fc7"))


def _pool(name: str) -> keras.Layer:
    return keras.layers.MaxPooling2D(3, 2, name=name)


def _normalised_pool(x: Any, pool_first: bool, number: str) -> Any:
    steps = [LocalResponseNormalization(name=f"norm{number}"), _pool(f"pool{number}")]
    for step in reversed(steps) if pool_first else steps:
        x = step(x)
    return x


def _load(model: keras.Model, path: pretrained.Weights) -> None:
    arrays = pretrained.read_arrays("alexnet", path)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    layers["fc8"] = layers.pop("logits")
    if missing := layers.keys() - arrays.keys():
        raise ArgumentError(
            f"alexnet: the weights lack the layers {', '.join(sorted(missing))}. Got {', '.join(sorted(arrays))}. "
            "Use bvlc_alexnet.npy or a file of the same names."
        )
    if arrays["fc8"][0].shape != tuple(layers["fc8"].kernel.shape):
        del layers["fc8"]
    for name, layer in layers.items():
        hint = "bvlc_alexnet.npy fits input_shape=(227, 227, 3) and width=1."
        pretrained.set_weights("alexnet", layer, arrays[name], hint=hint)
