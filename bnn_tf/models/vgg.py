"""VGG: convolutions of 3×3 in five blocks, each block ended by a pooling of 2, then three dense layers."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.errors import ArgumentError
from bnn_tf.models import pretrained
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register

# The convolutions of each block, and their feature maps: configurations A, B, D and E of the paper.
_CONVOLUTIONS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_FILTERS = (64, 128, 256, 512, 512)
_SMALLEST = 32
_IMAGENET = (224, 224)


@register("vgg11")
def vgg11(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Configuration A: 8 convolutions of 3×3, dense 4096, 4096, `classes`; 132,863,336 weights in float.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 32×32.
        classes: how many, at least 1.
        batch_norm: whether the float form has a batch normalisation after each convolution, besides its bias; the
            binary forms always have.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1; by default 0.5, and 0 where signs are
            taken next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> vgg11("bwn", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.
        Kernels start as He et al. 2015 propose.
    """
    return _vgg("vgg11", scheme, input_shape, classes, batch_norm, dropout, options)


@register("vgg13")
def vgg13(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Configuration B: 10 convolutions of 3×3, dense 4096, 4096, `classes`; 133,047,848 weights in float.

    Args:
        scheme, input_shape, classes, batch_norm, dropout, **options: see `vgg11`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> vgg13("dorefa", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: see `vgg11`.
    """
    return _vgg("vgg13", scheme, input_shape, classes, batch_norm, dropout, options)


@register("vgg16")
def vgg16(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float | None = None,
    weights: pretrained.Weights | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Configuration D: 13 convolutions of 3×3, dense 4096, 4096, `classes`; 138,357,544 weights in float.

    Args:
        scheme, input_shape, classes, batch_norm, dropout, **options: see `vgg11`.
        weights: "imagenet", or the path of a file with the weights of Keras' `VGG16`; only for the float form without
            batch normalisation. With another number of classes the last layer keeps its initial weights; with images
            other than 224×224 all dense layers do, and the file is the one without the top. The weights expect
            `keras.applications.vgg16.preprocess_input`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme, an option out of range, or weights that can't be had or
            don't fit.

    Example:

    >>> vgg16("xnor", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: see `vgg11`.
    """
    return _vgg("vgg16", scheme, input_shape, classes, batch_norm, dropout, options, weights)


@register("vgg19")
def vgg19(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float | None = None,
    weights: pretrained.Weights | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Configuration E: 16 convolutions of 3×3, dense 4096, 4096, `classes`; 143,667,240 weights in float.

    Args:
        scheme, input_shape, classes, batch_norm, dropout, **options: see `vgg11`.
        weights: as for `vgg16`, those of Keras' `VGG19`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme, an option out of range, or weights that can't be had or
            don't fit.

    Example:

    >>> vgg19("bwn", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: see `vgg11`.
    """
    return _vgg("vgg19", scheme, input_shape, classes, batch_norm, dropout, options, weights)


def _vgg(
    name: str,
    scheme: str,
    input_shape: ImageShape,
    classes: int,
    batch_norm: bool,
    dropout: float | None,
    options: Options,
    weights: pretrained.Weights | None = None,
) -> keras.Model:
    if weights is not None:
        _check_weights(name, scheme, batch_norm)
    he = keras.initializers.HeUniform
    net = Network(name, scheme, input_shape, classes, smallest=_SMALLEST, initializer=he, **options)
    x = net.inputs
    for block, (count, filters) in enumerate(zip(_CONVOLUTIONS[name], _FILTERS, strict=True), 1):
        for number in range(1, count + 1):
            x = net.conv(
                x,
                filters,
                3,
                scheme=net.first if x is net.inputs else net.inner,
                padding="same",
                normalize=batch_norm,
                use_bias=True,
                name=f"block{block}_conv{number}",
            )
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dropout(net.dense(x, 4096, name="fc1"), dropout, name="drop1")
    x = net.dropout(net.dense(x, 4096, name="fc2"), dropout, name="drop2", before=net.last)
    model = net.model(net.output(x))
    if weights is not None:
        _load(model, name, weights)
    return model


def _check_weights(name: str, scheme: str, batch_norm: bool) -> None:
    pretrained.check_float(name, scheme)
    if batch_norm:
        raise ArgumentError(f"{name}: the pretrained weights have no batch normalisation. Use batch_norm=False.")


def _load(model: keras.Model, name: str, weights: pretrained.Weights) -> None:
    options: dict[str, Any] = {}
    if model.input_shape[1:3] != _IMAGENET:
        options = {"include_top": False, "input_shape": (*model.input_shape[1:3], 3)}
    for theirs in pretrained.application(name, name.upper(), weights, **options).layers:
        if not theirs.weights:
            continue
        ours = model.get_layer("logits" if theirs.name == "predictions" else theirs.name)
        if ours.name != "logits" or ours.kernel.shape == theirs.kernel.shape:
            pretrained.set_weights(name, ours, theirs.get_weights(), hint="They fit RGB images and width=1.")
