"""ResNeXt-50: bottleneck blocks whose 3×3 convolution falls into groups."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.models.network import ImageShape, Network
from bnn_tf.models.registry import register
from bnn_tf.models.residual import bottleneck_block
from bnn_tf.models.resnet import ResNetOptions, residual_network

_GROUPS = 32


@register("resnext50_32x4d")
def resnext50_32x4d(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    **options: Unpack[ResNetOptions],
) -> keras.Model:
    """ResNeXt-50, 32×4d: as `resnet50`, its 3×3 convolutions twice as wide and in 32 groups of at first 4 maps.

    The float form has 25,028,904 trainable weights for ImageNet. `width` scales the maps of a group; there are always
    32 groups. Kernels start from He's normal distribution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 8×8, or 32×32 with the stem for ImageNet.
        classes: how many, at least 1.
        **options: those of `resnet18`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> resnext50_32x4d("xnor", input_shape=(32, 32, 3), classes=10, width=0.25).output_shape
    (None, 10)

    Source: Xie, Girshick, Dollár, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", 2016.
    """
    return residual_network("resnext50_32x4d", scheme, input_shape, classes, _block, (3, 4, 6, 3), **options)


def _block(net: Network, x: Any, filters: int, strides: int, **options: Any) -> Any:
    middle = _GROUPS * net.maps(2 * filters // _GROUPS)
    return bottleneck_block(net, x, middle, net.maps(4 * filters), (1, strides), groups=_GROUPS, **options)
