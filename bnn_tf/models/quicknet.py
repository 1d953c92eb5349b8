"""QuickNet, binary-born: residual blocks of one binary convolution, and float transitions that are cheap to run."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf import layers
from bnn_tf.errors import ArgumentError
from bnn_tf.models.blocks import batch_norm
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register
from bnn_tf.models.residual import bare_conv, he_normal, normalized_conv, stages
from bnn_tf.models.schemes import FLOAT

# The batch norm behind scales; the border counts as +1, which needs no correction of the bit count.
_UNSCALED: dict[str, Any] = {
    "scaling": "none",
    "ste": "ste_sign",
    "input_scaling": False,
    "pad_value": 1,
    "kernel_constraint": layers.WeightClip(1.25),
}
# Two strides in the stem and a pool without padding in each transition leave nothing of smaller images.
_SMALLEST = 29


@register("quicknet")
def quicknet(
    scheme: str = "xnor",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (4, 4, 4, 4),
    **options: Unpack[Options],
) -> keras.Model:
    """A stem, four stages of binary 3×3 convolutions, each with a shortcut, float transitions between, average pool.

    The paper gives: the stem of a strided convolution, a strided depthwise one and a pointwise one; the block of sign,
    3×3 convolution, ReLU and batch norm with the identity added; the transition of an antialiased max pool and a
    pointwise convolution; the numbers of blocks and maps. Not from there but from its authors' Larq Zoo 1.0: a quarter
    of the first stage's maps in the stem, its batch norms, a border of +1, no alpha, weights clipped to ±1.25. Their
    straight-through estimators pass the gradient within ±1.25, the ones here within ±1.

    Larq Zoo's three sizes: this one, 13,234,088 weights; small, `filters=(32, 64, 256, 512)`; large,
    `blocks=(6, 8, 12, 6)`. Other schemes have the same graph with their own convolution.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; at least 29×29.
        classes: how many, at least 1.
        filters: feature maps of each stage.
        blocks: how many of them each stage has; as many numbers as `filters`.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> quicknet(input_shape=(32, 32, 3), classes=10, width=0.25).name
    'quicknet_xnor'

    Source: Bannink et al., "Larq Compute Engine: Design, Benchmark, and Deploy State-of-the-Art Binarized Neural
    Networks", 2021, section 5.
    """
    if len(filters) != len(blocks) or not filters or min(*filters, *blocks) < 1:
        raise ArgumentError(
            "quicknet: `filters` and `blocks` must hold one positive number for each stage. "
            f"Got filters={tuple(filters)} and blocks={tuple(blocks)}."
        )
    net = Network("quicknet", scheme, input_shape, classes, smallest=_SMALLEST, initializer=he_normal, **options)
    x = _stem(net, filters[0])
    for unit, maps, strides in stages(filters, blocks):
        if strides > 1:
            x = _transition(net, x, maps, strides, name=unit.replace("block1", "transition"))
        x = _block(net, x, name=unit)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return net.model(net.output(x))


def _stem(net: Network, filters: int) -> Any:
    x = normalized_conv(net, net.inputs, net.maps(filters // 4), 3, strides=2, scheme=net.first, name="conv1")
    x = _depthwise(3, strides=2, depthwise_initializer=net.kernel(), name="conv2")(x)
    # The pointwise convolution scales and the batch norm behind it shifts.
    x = keras.layers.BatchNormalization(momentum=0.9, scale=False, center=False, name="conv2_bn")(x)
    return _pointwise(net, x, filters, name="conv3")


def _block(net: Network, x: Any, *, name: str) -> Any:
    y = bare_conv(net, x, x.shape[-1], name=name, **(_UNSCALED if net.inner.binary_input else {}))
    y = batch_norm(f"{name}_bn")(keras.layers.ReLU(name=f"{name}_relu")(y))
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _transition(net: Network, x: Any, filters: int, strides: int, *, name: str) -> Any:
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = keras.layers.MaxPooling2D(strides, strides=1, name=f"{name}_pool")(x)
    blur = _depthwise(3, strides=strides, depthwise_initializer=layers.Blur(), trainable=False, name=f"{name}_blur")
    return _pointwise(net, blur(x), filters, name=name)


def _pointwise(net: Network, x: Any, filters: int, *, name: str) -> Any:
    return normalized_conv(net, x, net.maps(filters), 1, scheme=FLOAT, activation=None, name=name)


_depthwise = partial(keras.layers.DepthwiseConv2D, padding="same", use_bias=False)
