"""The residual networks of the ImageNet tables: ResNet-18 to ResNet-152."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.errors import ArgumentError
from bnn_tf.models.keras_weights import load_resnet
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.pretrained import Weights, check_float
from bnn_tf.models.registry import register
from bnn_tf.models.residual import (
    STEMS,
    basic_block,
    bottleneck_block,
    choose_stem,
    he_normal,
    stages,
    stem_layers,
)
from bnn_tf.models.schemes import FLOAT

FILTERS = (64, 128, 256, 512)


class ResNetOptions(Options, total=False):
    """What the residual networks for ImageNet take besides.

    Attributes:
        stem: "imagenet" (7×7/2 and max pool 3/2; images of at least 32×32) or "cifar" (3×3; at least 8×8); by default
            "imagenet" from 64×64 on.
        binarize_shortcuts: whether the scheme also holds for the 1×1 convolutions of the shortcuts, float otherwise.
    """

    stem: str | None
    binarize_shortcuts: bool


class BottleneckOptions(ResNetOptions, total=False):
    """What those with bottleneck blocks take besides.

    Attributes:
        downsample: which convolution of a block halves the image: "3x3" as in torchvision (the default), or the first
            "1x1" as in the paper and in Keras Applications.
        weights: "imagenet" for those of Keras Applications, or the path of such a file, into the float form. They need
            downsample="1x1", three channels and width=1; with other than 1000 classes, the last layer starts afresh.
            Images must be prepared by `keras.applications.resnet.preprocess_input`.
    """

    downsample: str
    weights: Weights | None


def residual_network(
    name: str,
    scheme: str,
    input_shape: ImageShape,
    classes: int,
    block: Callable[..., Any],
    counts: Sequence[int],
    *,
    stem: str | None = None,
    binarize_shortcuts: bool = False,
    **options: Unpack[Options],
) -> keras.Model:
    """A stem, stages of 64, 128, 256 and 512 feature maps with `counts` blocks, global average pool, dense."""
    stem = choose_stem(stem, input_shape)
    net = Network(name, scheme, input_shape, classes, smallest=STEMS[stem], initializer=he_normal, **options)
    shortcut = net.inner if binarize_shortcuts else FLOAT
    x = stem_layers(net, stem)
    for unit, filters, strides in stages(FILTERS, counts):
        x = block(net, x, filters, strides, shortcut=shortcut, name=unit)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return net.model(net.output(x))


def _bottleneck(net: Network, x: Any, filters: int, strides: int, *, downsample: str, **options: Any) -> Any:
    both = (strides, 1) if downsample == "1x1" else (1, strides)
    return bottleneck_block(net, x, net.maps(filters), net.maps(4 * filters), both, **options)


def _bottleneck_network(
    name: str,
    application: str,
    scheme: str,
    input_shape: ImageShape,
    classes: int,
    counts: Sequence[int],
    *,
    downsample: str = "3x3",
    weights: Weights | None = None,
    **options: Unpack[ResNetOptions],
) -> keras.Model:
    if downsample not in ("1x1", "3x3"):
        raise ArgumentError(f'{name}: `downsample` must be "3x3" or "1x1". Got downsample={downsample!r}.')
    if weights is not None:
        check_float(name, scheme)
    if weights is not None and downsample != "1x1":
        raise ArgumentError(
            f"{name}: the weights of Keras Applications belong to the paper's form, whose first 1×1 convolutions "
            f'stride. Got downsample={downsample!r}. Pass downsample="1x1", or start from Keras\' own model: '
            f'bnn_tf.binarize(keras.applications.{application}(weights="imagenet"), scheme).'
        )
    block = partial(_bottleneck, downsample=downsample)
    model = residual_network(name, scheme, input_shape, classes, block, counts, **options)
    if weights is not None:
        load_resnet(name, model, application, weights, counts)
    return model


@register("resnet18")
def resnet18(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[ResNetOptions],
) -> keras.Model:
    """ResNet-18: a stem, then 2, 2, 2, 2 blocks of two 3×3 convolutions at 64, 128, 256, 512 feature maps.

    The float form has 11,689,512 trainable weights for ImageNet. Kernels start from He's normal distribution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the stem for ImageNet.
        classes: how many, at least 1.
        **options: `stem`, `binarize_shortcuts`: see `ResNetOptions`; `width`, `binarize_first`, `binarize_last`,
            `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> resnet18("bwn", input_shape=(32, 32, 3), classes=10, width=0.25).output_shape
    (None, 10)

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, table 1.
    """
    return residual_network("resnet18", scheme, input_shape, classes, basic_block, (2, 2, 2, 2), **options)


@register("resnet34")
def resnet34(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[ResNetOptions],
) -> keras.Model:
    """ResNet-34: as `resnet18`, with 3, 4, 6, 3 blocks; 21,797,672 trainable weights for ImageNet.

    Args, returns, raises, source: see `resnet18`.
    """
    return residual_network("resnet34", scheme, input_shape, classes, basic_block, (3, 4, 6, 3), **options)


@register("resnet50")
def resnet50(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[BottleneckOptions],
) -> keras.Model:
    """ResNet-50: a stem, then 3, 4, 6, 3 bottleneck blocks 1×1, 3×3, 1×1 of 64, 128, 256, 512 and 4 times as many maps.

    The float form has 25,557,032 trainable weights for ImageNet. Kernels start from He's normal distribution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the stem for ImageNet.
        classes: how many, at least 1.
        **options: `downsample`, `weights`: see `BottleneckOptions`; the others of `resnet18`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme, an option out of range, or weights that can't be had.

    Example:

    >>> resnet50("xnor", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, table 1.
    """
    return _bottleneck_network("resnet50", "ResNet50", scheme, input_shape, classes, (3, 4, 6, 3), **options)


@register("resnet101")
def resnet101(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[BottleneckOptions],
) -> keras.Model:
    """ResNet-101: as `resnet50`, with 3, 4, 23, 3 blocks; 44,549,160 trainable weights for ImageNet.

    Args, returns, raises, source: see `resnet50`.
    """
    return _bottleneck_network("resnet101", "ResNet101", scheme, input_shape, classes, (3, 4, 23, 3), **options)


@register("resnet152")
def resnet152(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[BottleneckOptions],
) -> keras.Model:
    """ResNet-152: as `resnet50`, with 3, 8, 36, 3 blocks; 60,192,808 trainable weights for ImageNet.

    Args, returns, raises, source: see `resnet50`.
    """
    return _bottleneck_network("resnet152", "ResNet152", scheme, input_shape, classes, (3, 8, 36, 3), **options)
