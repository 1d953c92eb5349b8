"""Bi-Real networks, binary-born: a float shortcut around every single binary convolution."""

from collections.abc import Sequence

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register
from bnn_tf.models.residual import STEMS, birealized_conv, check_blocks, choose_stem, he_normal, stages, stem_layers
from bnn_tf.models.resnet import FILTERS


@register("bireal_resnet18")
def bireal_resnet18(
    scheme: str = "xnor",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    stem: str | None = None,
    prelu: bool = False,
    **options: Unpack[Options],
) -> keras.Model:
    """ResNet-18's convolutions, each with its batch norm and a shortcut of its own around it.

    Where the image is halved, the shortcut is a 2×2 average pool, a float 1×1 convolution and a batch norm. Under xnor,
    convolutions have alpha but no K, their input's gradient is ApproxSign's and their weights' the magnitude-aware
    one; the stem ends with a batch norm, before the first sign, and the stages with a ReLU. That is the graph of
    BinaryResNetE18, with 11,699,368 weights for ImageNet, statistics included; the paper has neither this batch norm
    nor the ReLUs before it and at the end. In the other schemes a ReLU follows each sum, and the float form has the
    11,689,512 trainable weights of ResNet-18. Kernels start from He's normal distribution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the stem for ImageNet.
        classes: how many, at least 1.
        stem: "imagenet" (7×7/2 and max pool 3/2) or "cifar" (3×3); by default "imagenet" from 64×64 on.
        prelu: whether a PReLU with a slope for each feature map follows each sum, in the place of the ReLU where there
            is one; docs/experiments.md says what it did under xnor.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> bireal_resnet18(input_shape=(32, 32, 3), classes=10, width=0.25).name
    'bireal_resnet18_xnor'

    Source: Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net", 2018; Bethge, Yang, Bornstein, Meinel, "Back to Simplicity:
    How to Train Accurate BNNs from Scratch?", 2019 (BinaryResNetE18); the PReLU: Liu, Shen, Savvides, Cheng,
    "ReActNet", 2020.
    """
    stem = choose_stem(stem, input_shape)
    net = Network(
        "bireal_resnet18", scheme, input_shape, classes, smallest=STEMS[stem], initializer=he_normal, **options
    )
    return _birealized(net, stem, FILTERS, (4, 4, 4, 4), prelu)


@register("bireal_cifar")
def bireal_cifar(
    scheme: str = "xnor",
    *,
    n: int = 3,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    prelu: bool = False,
    **options: Unpack[Options],
) -> keras.Model:
    """The shape of ResNet-20 (n = 3: 6n + 2 layers), built as `bireal_resnet18` is: conv 3×3×16, stages of 16, 32, 64.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        n: pairs of convolutions per stage, at least 1.
        input_shape: (height, width, channels) of an image; at least 4×4.
        classes: how many, at least 1.
        prelu: whether a PReLU with a slope for each feature map follows each sum, in the place of the ReLU where there
            is one; docs/experiments.md says what it did under xnor.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> bireal_cifar(n=1).output_shape
    (None, 10)

    Source: Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net", 2018; the stages: He, Zhang, Ren, Sun, "Deep Residual
    Learning for Image Recognition", 2015, section 4.2.
    """
    check_blocks("bireal_cifar", n)
    net = Network("bireal_cifar", scheme, input_shape, classes, smallest=4, initializer=he_normal, **options)
    return _birealized(net, "cifar", (16, 32, 64), [2 * n] * 3, prelu)


def _birealized(
    net: Network, stem: str, filters: Sequence[int], convolutions: Sequence[int], prelu: bool
) -> keras.Model:
    x = stem_layers(net, stem, filters[0])
    if net.inner.binary_input:
        x = batch_norm("stem_bn")(x)
    for unit, maps, strides in stages(filters, convolutions, unit="conv"):
        x = birealized_conv(net, x, maps, strides, name=unit, prelu=prelu)
    if net.inner.binary_input and not prelu:
        x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return net.model(net.output(x))
