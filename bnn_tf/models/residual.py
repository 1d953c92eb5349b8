"""The blocks of the residual networks, each written once for all schemes: `Network` says which convolution it is.

    basic, bottleneck      conv, BN, ReLU, ... conv, BN, + shortcut, ReLU      (He 2015, Xie 2016)
    preactivation          BN, ReLU, conv, BN, ReLU, conv, + shortcut          (He 2016)
    birealized             conv, BN, + shortcut: one around every convolution  (Liu 2018)

Where the input is binary, the batch norm of the first kind stands before the sign, and the sign is the nonlinearity of
the other two. Shortcuts stay float: they carry what the signs lose.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.layers import ZeroMaps
from bnn_tf.models.blocks import batch_norm, conv_block
from bnn_tf.models.network import Network
from bnn_tf.models.schemes import FLOAT, Scheme

# What a stem does to an image, and the strides of a network that starts with it and has stages of strides 1, 2, 2, 2.
STEMS = {"imagenet": 32, "cifar": 8}
# Images at least this high and wide start with the stem for ImageNet by default.
_LARGE = 64
SHORTCUTS = ("block", "conv")


def he_normal(seed: int) -> keras.initializers.Initializer:
    """A normal distribution of variance 2 / (inputs of a unit), for layers with ReLU: He et al. 2015."""
    return keras.initializers.HeNormal(seed)


def choose_stem(stem: str | None, input_shape: Sequence[int]) -> str:
    """`stem` as given, or what suits the images: "imagenet" from 64×64 on, "cifar" below.

    Raises:
        ArgumentError: a ValueError, for an unknown stem.
    """
    if stem is None:
        return "imagenet" if min(input_shape[:2], default=0) >= _LARGE else "cifar"
    if stem not in STEMS:
        raise unknown_name("stem", stem, STEMS)
    return stem


def check_shortcuts(name: str, shortcuts: str) -> None:
    """Raises an ArgumentError where `shortcuts` is neither "block" nor "conv"."""
    if shortcuts not in SHORTCUTS:
        raise ArgumentError(f'{name}: `shortcuts` must be "block" or "conv". Got shortcuts={shortcuts!r}.')


def check_blocks(name: str, n: int) -> None:
    """Raises an ArgumentError where `n` is no number of blocks."""
    if not isinstance(n, int) or n < 1:
        raise ArgumentError(f"{name}: `n` must be a whole number of blocks per stage, at least 1. Got n={n!r}.")


def stages(filters: Sequence[int], counts: Sequence[int], unit: str = "block") -> Iterator[tuple[str, int, int]]:
    """(name, filters, strides) of each unit: the first one of every stage but the first halves the image.

    Example:

    >>> list(stages((16, 32), (1, 2)))
    [('stage1_block1', 16, 1), ('stage2_block1', 32, 2), ('stage2_block2', 32, 1)]
    """
    for stage, (maps, count) in enumerate(zip(filters, counts, strict=True), start=1):
        for index in range(1, count + 1):
            yield f"stage{stage}_{unit}{index}", maps, 2 if stage > 1 and index == 1 else 1


def padding_alike(x: Any, scheme: Scheme, kernel_size: int, strides: int, name: str) -> tuple[Any, Any]:
    """Input and `padding` of a convolution that pads all sides alike; TensorFlow's "same" doesn't where it strides."""
    edge = kernel_size // 2
    if strides == 1 or edge == 0:
        return x, "same"
    if scheme.binary_weights:
        # After the sign, that is: zeros before it would count as +1.
        return x, ((edge, edge), (edge, edge))
    return keras.layers.ZeroPadding2D(edge, name=f"{name}_pad")(x), "valid"


def normalized_conv(
    net: Network,
    x: Any,
    maps: int,
    kernel_size: int,
    *,
    name: str,
    scheme: Scheme | None = None,
    strides: int = 1,
    **options: Any,
) -> Any:
    """A convolution of `maps` feature maps (already scaled by `width`) with its batch norm: `blocks.conv_block`."""
    scheme = scheme or net.inner
    x, padding = padding_alike(x, scheme, kernel_size, strides, name)
    options.setdefault("normalize", True)
    return conv_block(
        x,
        scheme,
        maps,
        kernel_size,
        name=name,
        strides=strides,
        padding=padding,
        kernel_initializer=net.kernel(),
        **options,
    )


def bare_conv(net: Network, x: Any, maps: int, *, name: str, strides: int = 1, **options: Any) -> Any:
    """A 3×3 convolution alone: who calls it normalises, before or after."""
    x, padding = padding_alike(x, net.inner, 3, strides, name)
    layer = net.inner.conv(
        filters=maps,
        kernel_size=3,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer=net.kernel(),
        name=name,
        **options,
    )
    return layer(x)


def stem_layers(net: Network, stem: str, filters: int = 64) -> Any:
    """The image's features: a convolution 7×7/2 and a max pool 3/2 for ImageNet, one of 3×3 for CIFAR."""
    maps = net.maps(filters)
    if stem == "cifar":
        return normalized_conv(net, net.inputs, maps, 3, scheme=net.first, name="conv1")
    x = normalized_conv(net, net.inputs, maps, 7, strides=2, scheme=net.first, name="conv1")
    # After a ReLU, a border of zeros is never the maximum.
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)


def projection(net: Network, x: Any, maps: int, strides: int, *, scheme: Scheme, name: str) -> Any:
    """`x` itself, or a strided 1×1 convolution of it where its shape has to change (He 2015's option B)."""
    if strides == 1 and x.shape[-1] == maps:
        return x
    return normalized_conv(net, x, maps, 1, strides=strides, scheme=scheme, activation=None, name=name)


def pooled_projection(net: Network, x: Any, maps: int, strides: int, *, name: str) -> Any:
    """`x` itself, or its 2×2 averages through a float 1×1 convolution where its shape has to change (Liu 2018)."""
    if strides > 1:
        x = keras.layers.AveragePooling2D(2, strides=strides, padding="same", name=f"{name}_pool")(x)
    elif x.shape[-1] == maps:
        return x
    return normalized_conv(net, x, maps, 1, scheme=FLOAT, activation=None, name=name)


def padded_shortcut(x: Any, maps: int, strides: int, *, name: str) -> Any:
    """`x` itself, or every second pixel of it with feature maps of zeros added (He 2015's option A): no weights."""
    if strides > 1:
        x = keras.layers.AveragePooling2D(1, strides=strides, name=f"{name}_pool")(x)
    return x if x.shape[-1] == maps else ZeroMaps(maps, name=f"{name}_pad")(x)


def add_relu(shortcut: Any, x: Any, name: str) -> Any:
    """The sum and its ReLU."""
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([shortcut, x]))


def basic_block(net: Network, x: Any, filters: int, strides: int, *, shortcut: Scheme, name: str) -> Any:
    """Two 3×3 convolutions with a shortcut around both; He et al., "Deep Residual Learning", 2015, figure 5, left."""
    maps = net.maps(filters)
    y = normalized_conv(net, x, maps, 3, strides=strides, name=f"{name}_conv1")
    y = normalized_conv(net, y, maps, 3, activation=None, name=f"{name}_conv2")
    return add_relu(projection(net, x, maps, strides, scheme=shortcut, name=f"{name}_shortcut"), y, name)


def bottleneck_block(
    net: Network,
    x: Any,
    middle: int,
    maps: int,
    strides: tuple[int, int],
    *,
    shortcut: Scheme,
    name: str,
    groups: int = 1,
) -> Any:
    """Convolutions 1×1 to `middle` maps, 3×3 in `groups`, 1×1 to `maps`; He 2015, figure 5, right; Xie 2016.

    `strides` are those of the first two. Both numbers of maps are already scaled by `width`.
    """
    y = normalized_conv(net, x, middle, 1, strides=strides[0], name=f"{name}_conv1")
    y = normalized_conv(net, y, middle, 3, strides=strides[1], groups=groups, name=f"{name}_conv2")
    y = normalized_conv(net, y, maps, 1, activation=None, name=f"{name}_conv3")
    straight = projection(net, x, maps, max(strides), scheme=shortcut, name=f"{name}_shortcut")
    return add_relu(straight, y, name)


def preactivation_block(net: Network, x: Any, filters: int, strides: int, *, shortcuts: str, name: str) -> Any:
    """Two times batch norm, ReLU (or sign), convolution 3×3; a shortcut around both, or with "conv" around each.

    Source: He et al., "Identity Mappings in Deep Residual Networks", 2016, with option A of He 2015.
    """
    maps = net.maps(filters)
    straight = padded_shortcut(x, maps, strides, name=f"{name}_shortcut")
    x = _preactivated_conv(net, x, maps, strides, name=f"{name}_conv1")
    if shortcuts == "conv":
        straight = x = keras.layers.Add(name=f"{name}_conv1_add")([straight, x])
    x = _preactivated_conv(net, x, maps, 1, name=f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([straight, x])


def _preactivated_conv(net: Network, x: Any, maps: int, strides: int, *, name: str) -> Any:
    x = batch_norm(f"{name}_bn")(x)
    if not net.inner.binary_input:
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return bare_conv(net, x, maps, strides=strides, name=name)


# Alpha as a constant to the gradient, and no K: it is the batch norm behind that scales.
_BIREAL = {"input_scaling": False, "input_ste": "approx_sign", "ste": "magnitude_aware_sign"}


def birealized_conv(net: Network, x: Any, filters: int, strides: int, *, name: str, prelu: bool = False) -> Any:
    """Convolution 3×3 and batch norm with a shortcut around them; a ReLU follows where no sign does, or a PReLU in all.

    Source: Liu et al., "Bi-Real Net", 2018, figure 3; the PReLU: Liu et al., "ReActNet", 2020, figure 5, without its
    shifts.
    """
    maps = net.maps(filters)
    signs = net.inner.binary_input
    y = bare_conv(net, x, maps, strides=strides, name=name, **(_BIREAL if signs else {}))
    y = batch_norm(f"{name}_bn")(y)
    straight = pooled_projection(net, x, maps, strides, name=f"{name}_shortcut")
    if not (signs or prelu):
        return add_relu(straight, y, name)
    total = keras.layers.Add(name=f"{name}_add")([straight, y])
    slopes = keras.initializers.Constant(0.25)  # He et al., "Delving Deep into Rectifiers", 2015
    return keras.layers.PReLU(slopes, shared_axes=[1, 2], name=f"{name}_prelu")(total) if prelu else total
