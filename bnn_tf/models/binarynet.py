"""BinaryNet, the first network trained with binary weights and binary activations throughout."""

from dataclasses import replace
from functools import partial
from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.models.blocks import batch_norm, dense_block
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register
from bnn_tf.models.schemes import Scheme

# The convolutions after the first one; a pooling follows each second one.
_CONVOLUTIONS = {"conv1_2": 128, "conv2_1": 256, "conv2_2": 256, "conv3_1": 512, "conv3_2": 512}


@register("binarynet")
def binarynet(
    scheme: str = "xnor",
    *,
    input_shape: ImageShape = (32, 32, 3),
    classes: int = 10,
    **options: Unpack[Options],
) -> keras.Model:
    """Twice conv 3×3×128, max pool 2; twice 256, max pool 2; twice 512, max pool 2; dense 1024, 1024, `classes`.

    As the paper has it, "xnor" here means signs alone: no scales alpha and no K, no ReLU; each layer's sums are pooled,
    then normalised, then binarized. Both pseudo-gradients are the hard tanh's. The first layer has binary weights and
    sees the image as it is, the last one is binary altogether with a batch normalisation after it, unless
    `binarize_first=False` and `binarize_last=False` are given. That makes 14,022,016 weights of one bit for 32×32×3 and
    10 classes. The other schemes have batch normalisation and ReLU. The paper trains with the squared hinge loss.

    Args:
        scheme: "xnor", "float", "bwn" or "dorefa".
        input_shape: (height, width, channels) of an image; at least 8×8.
        classes: how many, at least 1.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> binarynet(input_shape=(8, 8, 3), width=0.25).output_shape
    (None, 10)

    Source: Courbariaux, Hubara, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks", 2016.
    """
    options.setdefault("binarize_first", True)
    options.setdefault("binarize_last", True)
    net = Network("binarynet", scheme, input_shape, classes, smallest=8, **options)
    if net.inner.binary_input:
        net.first, net.inner, net.last = _image_as_it_is(net), _signs_alone(net.inner), _signs_alone(net.last)
    relu = None if net.inner.binary_input else keras.layers.ReLU
    x = _first_layer(net)
    for name, filters in _CONVOLUTIONS.items():
        x = net.conv(x, filters, 3, padding="same", normalize=True, activation=relu, name=name)
        if name.endswith("_2"):
            x = keras.layers.MaxPooling2D(2, name=name.replace("conv", "pool").removesuffix("_2"))(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = net.dense(x, 1024, normalize=True, activation=relu, name="dense1")
    x = net.dense(x, 1024, normalize=True, activation=relu, name="dense2")
    return net.model(_last_layer(net, x))


def _first_layer(net: Network) -> Any:
    """Of signs alone, it leaves the normalisation to the next layer, which binarizes what it gets."""
    if not net.inner.binary_input:
        return net.conv(net.inputs, 128, 3, scheme=net.first, padding="same", normalize=True, name="conv1_1")
    layer = net.first.conv(
        net.maps(128), 3, padding="same", use_bias=False, kernel_initializer=net.kernel(), name="conv1_1"
    )
    return layer(net.inputs)


def _last_layer(net: Network, x: Any) -> Any:
    if net.inner.binary_input and not net.last.binary_input:
        x = keras.layers.ReLU(name="dense2_relu")(batch_norm("dense2_after")(x))
    x = dense_block(x, net.last, net.classes, activation=None, kernel_initializer=net.kernel(), name="logits")
    return batch_norm("logits_after")(x) if net.last.binary_input else x


def _signs_alone(scheme: Scheme) -> Scheme:
    if not scheme.binary_input:
        return scheme
    options: dict[str, Any] = {"scaling": "none", "ste": "clip", "input_scaling": False}
    return replace(scheme, conv=partial(scheme.conv, **options), dense=partial(scheme.dense, **options))


def _image_as_it_is(net: Network) -> Scheme:
    if not net.first.binary_input:
        return net.first
    weights_only = net.scheme("bwn")
    return replace(weights_only, conv=partial(weights_only.conv, scaling="none", ste="clip"))
