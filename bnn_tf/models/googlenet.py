"""GoogLeNet: each module looks at its input with kernels of three sizes at once, after 1×1 convolutions thin it out."""

from typing import Any

import keras
from typing_extensions import Unpack

from bnn_tf.layers import LocalResponseNormalization
from bnn_tf.models.network import ImageShape, Network, Options
from bnn_tf.models.registry import register

# The auxiliary heads' average pooling of 5×5 sees maps of a sixteenth of the image.
_SMALLEST, _SMALLEST_WITH_HEADS = 1, 65

# Feature maps of a module's branches: 1×1; 1×1 before 3×3, 3×3; 1×1 before 5×5, 5×5; 1×1 after the pooling. Table 1 of
# the paper.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOLED_AFTER = ("3b", "4e")
_HEADS_AFTER = {"4a": "aux1", "4d": "aux2"}


@register("googlenet")
def googlenet(
    scheme: str = "float",
    *,
    input_shape: ImageShape = (224, 224, 3),
    classes: int = 1000,
    auxiliary: bool = False,
    batch_norm: bool = False,
    dropout: float | None = None,
    **options: Unpack[Options],
) -> keras.Model:
    """Three convolutions, nine inception modules, global average pooling, dropout, dense `classes`.

    For 224×224×3 and 1000 classes the float form has 6,998,552 weights, or 6,624,904 that train with `batch_norm=True`.

    With `auxiliary=True` the model has two more heads for training, and gives a dictionary of logits: "logits", "aux1"
    and "aux2". The paper adds their losses with the weights 1, 0.3 and 0.3, which `compile` takes as `loss_weights`.
    `keras.Model(model.input, model.output["logits"])` then is the network for inference.

    Args:
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image; any size, with `auxiliary=True` at least 65×65.
        classes: how many, at least 1.
        auxiliary: whether the model has the heads for training.
        batch_norm: the form of torchvision: in float too a batch normalisation in place of each convolution's bias,
            3×3 kernels where the paper has 5×5, and no local response normalisation.
        dropout: the share of features that training drops before the last layer, 0 <= dropout < 1; by default 0.4, and
            0 where signs are taken next.
        **options: `width`, `binarize_first`, `binarize_last`, `seed` and more: see `bnn_tf.models.Options`.

    Returns:
        An uncompiled `keras.Model` from images `[batch, height, width, channels]` to logits `[batch, classes]`, or to a
        dictionary of three.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an option out of range.

    Example:

    >>> googlenet("bwn", input_shape=(32, 32, 3), classes=10, width=0.125).output_shape
    (None, 10)

    Source: Szegedy et al., "Going Deeper with Convolutions", 2015. Kernels start as He et al. 2015 propose.
    """
    smallest = _SMALLEST_WITH_HEADS if auxiliary else _SMALLEST
    he = keras.initializers.HeUniform
    net = Network("googlenet", scheme, input_shape, classes, smallest=smallest, initializer=he, **options)
    x = _stem(net, batch_norm)
    outputs = {}
    for name, maps in _MODULES.items():
        x = _inception(net, x, maps, batch_norm, f"inception{name}")
        if auxiliary and name in _HEADS_AFTER:
            head = _HEADS_AFTER[name]
            outputs[head] = _head(net, x, batch_norm, head)
        if name in _POOLED_AFTER:
            x = _pool(x, f"pool{name[0]}")
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    outputs["logits"] = net.output(net.dropout(x, dropout, name="dropout", usual=0.4, before=net.last))
    return net.model(outputs if auxiliary else outputs["logits"])


def _stem(net: Network, batch_norm: bool) -> Any:
    x = net.conv(net.inputs, 64, 7, scheme=net.first, strides=2, padding="same", normalize=batch_norm, name="conv1")
    x = _pool(x, "pool1")
    if not batch_norm:
        x = LocalResponseNormalization(name="norm1")(x)
    x = net.conv(x, 64, 1, normalize=batch_norm, name="conv2_reduce")
    x = net.conv(x, 192, 3, padding="same", normalize=batch_norm, name="conv2")
    if not batch_norm:
        x = LocalResponseNormalization(name="norm2")(x)
    return _pool(x, "pool2")


def _inception(net: Network, x: Any, maps: tuple[int, ...], batch_norm: bool, name: str) -> Any:
    """Four branches side by side: 1×1, 3×3, 5×5, and a pooling."""
    one, reduce_3, three, reduce_5, five, pooled = maps

    def conv(x: Any, filters: int, kernel_size: int, branch: str) -> Any:
        return net.conv(x, filters, kernel_size, padding="same", normalize=batch_norm, name=f"{name}_{branch}")

    branches = [
        conv(x, one, 1, "1x1"),
        conv(conv(x, reduce_3, 1, "3x3_reduce"), three, 3, "3x3"),
        conv(conv(x, reduce_5, 1, "5x5_reduce"), five, 3 if batch_norm else 5, "5x5"),
        conv(_pool(x, f"{name}_pool", strides=1), pooled, 1, "pool_proj"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _head(net: Network, x: Any, batch_norm: bool, name: str) -> Any:
    """A classifier half-way, so that the gradient needn't come all the way from the end."""
    x = keras.layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = net.conv(x, 128, 1, normalize=batch_norm, name=f"{name}_conv")
    x = net.dense(keras.layers.Flatten(name=f"{name}_flatten")(x), 1024, name=f"{name}_dense")
    return net.output(net.dropout(x, None, name=f"{name}_dropout", usual=0.7, before=net.last), name=name)


def _pool(x: Any, name: str, strides: int = 2) -> Any:
    return keras.layers.MaxPooling2D(3, strides, padding="same", name=name)(x)
