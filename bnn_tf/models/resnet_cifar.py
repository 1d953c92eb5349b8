"""The residual networks for images of 32×32: the thesis's of 6n + 2 layers, and a wide one."""

from collections.abc import Sequence

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm, conv_block
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register
from bnn_tf.models.residual import check_blocks, check_shortcuts, preactivation_block, stages

_CIFAR_10: ImageShape = (32, 32, 3)
_FILTERS = (16, 32, 64)
_WIDE_FILTERS = (64, 128, 256, 512)


class CifarOptions(Options, total=False):
    """What the residual networks for CIFAR take besides.

    Attributes:
        shortcuts: "block" for one around every two convolutions (the default), "conv" for one around each, which helps
            deep xnor networks to learn.
    """

    shortcuts: str


@register("resnet_cifar")
def resnet_cifar(
    scheme: str = "float",
    *,
    n: int = 2,
    input_shape: ImageShape = _CIFAR_10,
    classes: int = 10,
    **options: Unpack[CifarOptions],
) -> keras.Model:
    """Conv 3×3×16, n blocks each at 16, 32 and 64 maps, BN, ReLU, global average pool, dense: 6n + 2 layers.

    A block is two times BN, ReLU, conv 3×3, with a shortcut; under xnor, the sign takes the place of the ReLU. The
    first block of the second and third stage halves the image; its shortcut takes every second pixel and adds maps of
    zeros, so that shortcuts have no weights. The float form has 172,506 trainable weights for n = 2 (14 layers),
    464,154 for n = 5 (32) and 1,727,962 for n = 18 (110), as many as He's form with the ReLU behind the sum. Kernels
    start from Glorot's (Xavier's) uniform distribution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        n: blocks per stage, at least 1.
        input_shape: (height, width, channels) of an image; at least 4×4.
        classes: how many, at least 1.
        **options: `shortcuts`: see `CifarOptions`; `width`, `binarize_first`, `binarize_last`, `seed` and more: see
            `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> resnet_cifar("xnor", n=1, shortcuts="conv").output_shape
    (None, 10)

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, section 4.2; the order within a
    block: the same, "Identity Mappings in Deep Residual Networks", 2016.
    """
    return _preactivated("resnet_cifar", scheme, input_shape, classes, _FILTERS, n, **options)


@register("resnet14")
def resnet14(
    scheme: str = "float", *, input_shape: ImageShape = _CIFAR_10, classes: int = 10, **options: Unpack[CifarOptions]
) -> keras.Model:
    """`resnet_cifar` with n = 2: 14 layers. Args, returns, raises, source: see there."""
    return _preactivated("resnet14", scheme, input_shape, classes, _FILTERS, 2, **options)


@register("resnet32")
def resnet32(
    scheme: str = "float", *, input_shape: ImageShape = _CIFAR_10, classes: int = 10, **options: Unpack[CifarOptions]
) -> keras.Model:
    """`resnet_cifar` with n = 5: 32 layers. Args, returns, raises, source: see there."""
    return _preactivated("resnet32", scheme, input_shape, classes, _FILTERS, 5, **options)


@register("resnet110")
def resnet110(
    scheme: str = "float", *, input_shape: ImageShape = _CIFAR_10, classes: int = 10, **options: Unpack[CifarOptions]
) -> keras.Model:
    """`resnet_cifar` with n = 18: 110 layers. Args, returns, raises, source: see there."""
    return _preactivated("resnet110", scheme, input_shape, classes, _FILTERS, 18, **options)


@register("resnet_wide_cifar")
def resnet_wide_cifar(
    scheme: str = "float", *, input_shape: ImageShape = _CIFAR_10, classes: int = 10, **options: Unpack[CifarOptions]
) -> keras.Model:
    """A ResNet-18 for images of 32×32: conv 3×3×64, two blocks each at 64, 128, 256 and 512 maps; about 40 MB.

    Blocks and shortcuts are those of `resnet_cifar`. The float form has 11,000,138 trainable weights for 32×32×3 and 10
    classes.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8.
        classes: how many, at least 1.
        **options: those of `resnet_cifar`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> resnet_wide_cifar("bwn", width=0.25).output_shape
    (None, 10)

    Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016, with the stages of ResNet-18.
    """
    return _preactivated("resnet_wide_cifar", scheme, input_shape, classes, _WIDE_FILTERS, 2, **options)


def _preactivated(
    name: str,
    scheme: str,
    input_shape: ImageShape,
    classes: int,
    filters: Sequence[int],
    n: int,
    *,
    shortcuts: str = "block",
    **options: Unpack[Options],
) -> keras.Model:
    check_blocks(name, n)
    check_shortcuts(name, shortcuts)
    net = Network(name, scheme, input_shape, classes, smallest=2 ** (len(filters) - 1), **options)
    # The first block opens with a batch norm: none here.
    x = conv_block(
        net.inputs,
        net.first,
        net.maps(filters[0]),
        3,
        padding="same",
        activation=None,
        use_bias=False,
        kernel_initializer=net.kernel(),
        name="conv1",
    )
    for unit, maps, strides in stages(filters, [n] * len(filters)):
        x = preactivation_block(net, x, maps, strides, shortcuts=shortcuts, name=unit)
    x = keras.layers.ReLU(name="relu")(batch_norm("bn")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return net.model(net.output(x))
