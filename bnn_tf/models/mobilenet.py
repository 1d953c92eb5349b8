"""MobileNetV2: inverted residuals, that is narrow features between wide depthwise convolutions."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm, conv_block
from bnn_tf.models.keras_weights import load_mobilenet_v2
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.pretrained import Weights, check_float
from bnn_tf.models.registry import register
from bnn_tf.models.residual import STEMS, choose_stem, he_normal
from bnn_tf.models.schemes import Scheme

_ReLU6 = partial(keras.layers.ReLU, max_value=6.0)


class _Stage(NamedTuple):
    expansion: int
    filters: int
    blocks: int
    strides: int


# Table 2 of the paper.
_STAGES = (
    _Stage(1, 16, 1, 1),
    _Stage(6, 24, 2, 2),
    _Stage(6, 32, 3, 2),
    _Stage(6, 64, 4, 2),
    _Stage(6, 96, 3, 1),
    _Stage(6, 160, 3, 2),
    _Stage(6, 320, 1, 1),
)
_SMALL_BLOCKS = (1, 1, 2, 2, 2, 2, 1)
_STEM, _HEAD = 32, 1280


class MobileNetOptions(Options, total=False):
    """What the mobile networks take besides.

    Attributes:
        stem: "imagenet" (the image is halved five times; at least 32×32) or "cifar" (without the first two of these; at
            least 8×8); by default "imagenet" from 64×64 on.
        binarize_depthwise: whether the scheme also holds for the depthwise convolutions. They have few weights and
            suffer most, so they stay float otherwise.
        dropout: the share of features that training drops before the last layer, 0 <= dropout < 1; by default 0.2, and
            0 where signs are taken next.
    """

    stem: str | None
    binarize_depthwise: bool
    dropout: float | None


@register("mobilenet_v2")
def mobilenet_v2(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    weights: Weights | None = None,
    **options: Unpack[MobileNetOptions],
) -> keras.Model:
    """Conv 3×3×32, 17 inverted residuals of 16 to 320 maps with ReLU6, conv 1×1×1280, global average pool, dense.

    The float form has 3,504,872 trainable weights for ImageNet. `width` scales every feature map, without the paper's
    rounding to multiples of 8. Kernels start from He's normal distribution.

    Under xnor it learns slowly: 34 signs follow each other, no shortcut leads around a single one of them, and 7 of the
    17 blocks have none at all. For binary inputs, rather start from `bireal_resnet18` or `quicknet`.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the strides for ImageNet.
        classes: how many, at least 1.
        weights: "imagenet" for those of Keras Applications, or the path of such a file, into the float form; for three
            channels and width=1. With other than 1000 classes, the last layer starts afresh. Images must be prepared by
            `keras.applications.mobilenet_v2.preprocess_input`.
        **options: `stem`, `binarize_depthwise`, `dropout`: see `MobileNetOptions`; `width`, `binarize_first`,
            `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme, an option out of range, or weights that can't be had.

    Example:

    >>> mobilenet_v2("bwn", input_shape=(32, 32, 3), classes=10, width=0.25).output_shape
    (None, 10)

    Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
    """
    if weights is not None:
        check_float("mobilenet_v2", scheme)
    model = _mobilenet("mobilenet_v2", scheme, input_shape, classes, [stage.blocks for stage in _STAGES], **options)
    if weights is not None:
        load_mobilenet_v2("mobilenet_v2", model, weights, sum(stage.blocks for stage in _STAGES))
    return model


@register("mobilenet_v2_small")
def mobilenet_v2_small(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    **options: Unpack[MobileNetOptions],
) -> keras.Model:
    """MobileNetV2 with 11 blocks for a fast response: no stage has more than two.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the strides for ImageNet.
        classes: how many, at least 1.
        **options: those of `mobilenet_v2`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> mobilenet_v2_small("xnor", width=0.25).output_shape
    (None, 10)

    Source: as of `mobilenet_v2`; which blocks are left out is this project's choice.
    """
    return _mobilenet("mobilenet_v2_small", scheme, input_shape, classes, _SMALL_BLOCKS, **options)


def _mobilenet(
    name: str,
    scheme: str,
    input_shape: ImageShape,
    classes: int,
    counts: Sequence[int],
    *,
    stem: str | None = None,
    binarize_depthwise: bool = False,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    stem = choose_stem(stem, input_shape)
    net = Network(name, scheme, input_shape, classes, smallest=STEMS[stem], initializer=he_normal, **options)
    skipped = 2 if stem == "cifar" else 0
    x = _conv(net, net.inputs, net.maps(_STEM), 3, strides=1 if skipped else 2, scheme=net.first, name="conv1")
    block = 0
    for number, (stage, blocks) in enumerate(zip(_STAGES, counts, strict=True)):
        for index in range(blocks):
            strides = stage.strides if index == 0 and number >= skipped else 1
            x = _inverted_residual(net, x, stage, strides, binarize_depthwise, name=f"block{block}")
            block += 1
    x = _conv(net, x, net.maps(_HEAD), 1, name="conv2")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return net.model(net.output(net.dropout(x, dropout, name="dropout", usual=0.2, before=net.last)))


def _inverted_residual(net: Network, x: Any, stage: _Stage, strides: int, binarize: bool, *, name: str) -> Any:
    maps = net.maps(stage.filters)
    y = x
    if stage.expansion > 1:
        y = _conv(net, y, stage.expansion * x.shape[-1], 1, name=f"{name}_expand")
    y = _depthwise(net, y, strides, binarize, name=f"{name}_depthwise")
    y = _conv(net, y, maps, 1, activation=None, name=f"{name}_project")
    if strides > 1 or x.shape[-1] != maps:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _conv(
    net: Network, x: Any, maps: int, kernel_size: int, *, name: str, scheme: Scheme | None = None, **options: Any
) -> Any:
    options = {"activation": _ReLU6, "kernel_initializer": net.kernel(), **options}
    return conv_block(x, scheme or net.inner, maps, kernel_size, padding="same", normalize=True, name=name, **options)


def _depthwise(net: Network, x: Any, strides: int, binarize: bool, *, name: str) -> Any:
    channels = x.shape[-1]
    if binarize and net.inner.binary_weights:
        return _conv(net, x, channels, 3, strides=strides, groups=channels, name=name)
    # Each map sees the nine pixels of a window; He's initializer would take all maps for its inputs.
    initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / 9), seed=net.seeds.next())
    layer = keras.layers.DepthwiseConv2D(
        3, strides=strides, padding="same", use_bias=False, depthwise_initializer=initializer, name=name
    )
    return _ReLU6(name=f"{name}_relu")(batch_norm(f"{name}_bn")(layer(x)))
