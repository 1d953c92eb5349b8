"""Blocks of binary layers, with TFLearn's conventions."""

from typing import Any

import tensorflow.compat.v1 as tf

from bnn_tf.errors import ArgumentError
from bnn_tf.frontends.tflearn_layers import binary_conv_2d, binary_conv_input_2d
from bnn_tf.frontends.tflearn_parts import Activation, Ste, scoped, tflearn


@scoped
def binary_residual_block(
    incoming: Any,
    nb_blocks: int,
    out_channels: int,
    downsample: bool = False,
    downsample_strides: int = 2,
    activation: Activation = "relu",
    batch_norm: bool = True,
    bias: bool = True,
    weights_init: Any = "variance_scaling",
    bias_init: Any = "zeros",
    regularizer: Any = "L2",
    weight_decay: float = 0.0001,
    trainable: bool = True,
    restore: bool = True,
    reuse: bool = False,
    scope: Any = None,
    name: str = "BinaryResidualBlock",
    scaling: str = "channel",
    ste: Ste = "identity",
    binary_input: bool = False,
    input_scaling: bool = True,
    pad_value: int = 0,
    input_ste: Ste = "clip",
) -> Any:
    """`tflearn.residual_block` with binary convolutions: two times batch norm, activation, 3×3, and a shortcut.

    As there, `downsample` halves the image in each of the `nb_blocks`: give the first block of a stage a call of its
    own. The shortcut is averaged to the smaller image and widened by maps of zeros: it has no weights.

    Args:
        incoming: 4-D tensor [batch, height, width, in_channels].
        nb_blocks: how many blocks follow each other.
        out_channels: filters of each convolution, at least those of the input.
        downsample: whether each block has `downsample_strides`.
        downsample_strides: of the first convolution of a block.
        activation: before each convolution; with `binary_input` there is none, since the sign takes its place.
        batch_norm: whether there is one before each activation or sign.
        bias, weights_init, bias_init, regularizer, weight_decay, trainable, restore, reuse, scope, name, scaling, ste:
            see `binary_conv_2d`.
        binary_input: whether the convolutions see signs: `binary_conv_input_2d`.
        input_scaling, pad_value, input_ste: see `binary_conv_input_2d`.

    Returns:
        A 4-D tensor [batch, new_height, new_width, out_channels].

    Raises:
        AssertionError, Exception, ValueError: see `binary_conv_2d`.

    Example:

    >>> image = tflearn.input_data([None, 32, 32, 16])
    >>> binary_residual_block(image, 1, 32, downsample=True).shape.as_list()
    [None, 16, 16, 32]

    Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016.
    """
    options: dict[str, Any] = {
        "bias": bias,
        "weights_init": weights_init,
        "bias_init": bias_init,
        "regularizer": regularizer,
        "weight_decay": weight_decay,
        "trainable": trainable,
        "restore": restore,
        "scaling": scaling,
        "ste": ste,
    }
    conv = binary_conv_2d
    if binary_input:
        conv, activation = binary_conv_input_2d, None
        options |= {"input_scaling": input_scaling, "pad_value": pad_value, "input_ste": input_ste}
    strides = downsample_strides if downsample else 1

    def unit(x: Any, strides: int) -> Any:
        if batch_norm:
            x = tflearn.batch_normalization(x)
        if activation:
            x = tflearn.activation(x, activation)
        return conv(x, out_channels, 3, strides, **options)

    x = incoming
    with tf.variable_scope(scope, default_name=name, values=[incoming], reuse=reuse):
        for _ in range(nb_blocks):
            x = unit(unit(x, strides), 1) + _shortcut(x, out_channels, strides)
    return x


def _shortcut(x: Any, out_channels: int, strides: int) -> Any:
    if strides > 1:
        x = tflearn.avg_pool_2d(x, strides, strides)
    channels = x.shape.as_list()[-1]
    new = out_channels - channels
    if new < 0:
        raise ArgumentError(
            "binary_residual_block can't have fewer maps than its input. Got "
            f"out_channels={out_channels} and {channels} maps."
        )
    return tf.pad(x, [[0, 0], [0, 0], [0, 0], [new // 2, new - new // 2]]) if new else x
