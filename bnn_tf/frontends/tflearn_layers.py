"""Binary layers with TFLearn's conventions: its argument order and defaults, variables, collections and scopes.

    y = activation(alpha * conv(x, sign(W)) + b)              binary_conv_2d, binary_fully_connected
    y = activation(K * alpha * conv(sign(x), sign(W)) + b)    binary_conv_input_2d, binary_fully_connected_input

`W` holds the latent float weights, as `<scope>/W`; regularisers see those. `bnn_tf.ops` computes.
"""

from typing import Any

import tensorflow.compat.v1 as tf

from bnn_tf import ops
from bnn_tf.frontends.tflearn_parts import (
    Activation,
    Sizes,
    Ste,
    constant_quantizer,
    flat_size,
    layer,
    scoped,
    tflearn,
    window_of,
)

__all__ = [
    "binary_conv_2d",
    "binary_conv_input_2d",
    "binary_fully_connected",
    "binary_fully_connected_input",
    "tflearn",
]


@scoped
def binary_conv_2d(
    incoming: Any,
    nb_filter: int,
    filter_size: Sizes,
    strides: Sizes = 1,
    padding: str = "same",
    activation: Activation = "linear",
    bias: bool = True,
    weights_init: Any = "uniform_scaling",
    bias_init: Any = "zeros",
    regularizer: Any = None,
    weight_decay: float = 0.001,
    trainable: bool = True,
    restore: bool = True,
    reuse: bool = False,
    scope: Any = None,
    name: str = "BinaryConv2D",
    scaling: str = "channel",
    ste: Ste = "identity",
) -> Any:
    """`tflearn.conv_2d` with one bit a weight.

    Args:
        incoming: 4-D tensor [batch, height, width, in_channels].
        nb_filter: how many filters.
        filter_size: int, or [height, width].
        strides: int, [height, width] or [1, height, width, 1].
        padding: "same" or "valid".
        activation: a name of `tflearn.activations`, a function, or None.
        bias: whether one is added.
        weights_init, bias_init: a name of `tflearn.initializations`, a function of the shape, or the values themselves:
            a tensor, an array or a list.
        regularizer: a name of `tflearn.regularizers`, or a function of the latent weights and `weight_decay`.
        weight_decay: the regulariser's factor.
        trainable: whether weights are trained.
        restore: whether they are read when a model is loaded.
        reuse: whether the variables of `scope` are shared.
        scope: of the variables; it overrides `name`.
        name: of the layer.
        scaling: alpha: "channel" is the mean of |W| over each filter, "tensor" over all of W, "none" is 1.
        ste: the quantizer of the weights: their pseudo-gradient, see `bnn_tf.quantizers`.

    Returns:
        A 4-D tensor [batch, new_height, new_width, nb_filter] with the attributes `scope`, `W` and `b`.

    Raises:
        AssertionError: for an input of another rank, as in TFLearn.
        Exception: for an unknown name or format of an argument, TFLearn's own.
        ValueError: for what the op can't do; see `bnn_tf.ops.binary_conv2d`.

    Example:

    >>> image = tflearn.input_data([None, 28, 28, 1])
    >>> binary_conv_2d(image, 32, 3, activation="relu", scope="conv1").W.name
    'conv1/W:0'

    Source: Rastegari et al., "XNOR-Net", 2016 (BWN); with `scaling="tensor"` Zhou et al., "DoReFa-Net", 2016.
    """
    options: dict[str, Any] = {"scaling": scaling, "ste": constant_quantizer(ste)}
    window, shape = window_of(incoming, nb_filter, filter_size, strides, padding)
    return layer(
        incoming,
        shape,
        lambda x, weights: ops.binary_conv2d(x, weights, *window, **options),
        (weights_init, regularizer, weight_decay),
        (bias, bias_init),
        activation,
        {"trainable": trainable, "restore": restore},
        (scope, name, reuse),
    )


@scoped
def binary_conv_input_2d(
    incoming: Any,
    nb_filter: int,
    filter_size: Sizes,
    strides: Sizes = 1,
    padding: str = "same",
    activation: Activation = "linear",
    bias: bool = True,
    weights_init: Any = "uniform_scaling",
    bias_init: Any = "zeros",
    regularizer: Any = None,
    weight_decay: float = 0.001,
    trainable: bool = True,
    restore: bool = True,
    reuse: bool = False,
    scope: Any = None,
    name: str = "BinaryConvInput2D",
    scaling: str = "channel",
    ste: Ste = "identity",
    input_scaling: bool = True,
    pad_value: int = 0,
    input_ste: Ste = "clip",
) -> Any:
    """`tflearn.conv_2d` with one bit a weight, of the signs of its input.

    What comes in should be normalised: of the output of a ReLU, all signs are +1.

    Args:
        incoming, nb_filter, filter_size, strides, padding, activation, bias, weights_init, bias_init, regularizer,
            weight_decay, trainable, restore, reuse, scope, name, scaling, ste: see `binary_conv_2d`.
        input_scaling: whether the output is multiplied by K, the local means of |incoming|.
        pad_value: what the signs are outside the image: 0, -1 or +1.
        input_ste: the quantizer of the input.

    Returns:
        A 4-D tensor [batch, new_height, new_width, nb_filter] with the attributes `scope`, `W` and `b`.

    Raises:
        AssertionError, Exception, ValueError: see `binary_conv_2d`.

    Example:

    >>> image = tflearn.batch_normalization(tflearn.input_data([None, 14, 14, 32]))
    >>> binary_conv_input_2d(image, 64, 3, strides=2).shape.as_list()
    [None, 7, 7, 64]

    Source: Rastegari et al., "XNOR-Net", 2016.
    """
    options: dict[str, Any] = {
        "scaling": scaling,
        "ste": constant_quantizer(ste),
        "input_scaling": input_scaling,
        "pad_value": pad_value,
    }
    options["input_ste"] = constant_quantizer(input_ste)
    window, shape = window_of(incoming, nb_filter, filter_size, strides, padding)
    return layer(
        incoming,
        shape,
        lambda x, weights: ops.binary_conv_input2d(x, weights, *window, **options),
        (weights_init, regularizer, weight_decay),
        (bias, bias_init),
        activation,
        {"trainable": trainable, "restore": restore},
        (scope, name, reuse),
    )


@scoped
def binary_fully_connected(
    incoming: Any,
    n_units: int,
    activation: Activation = "linear",
    bias: bool = True,
    weights_init: Any = "truncated_normal",
    bias_init: Any = "zeros",
    regularizer: Any = None,
    weight_decay: float = 0.001,
    trainable: bool = True,
    restore: bool = True,
    reuse: bool = False,
    scope: Any = None,
    name: str = "BinaryFullyConnected",
    scaling: str = "channel",
    ste: Ste = "identity",
) -> Any:
    """`tflearn.fully_connected` with one bit a weight.

    Args:
        incoming: tensor [batch, ...] of at least 2 dimensions; what comes after the batch is flattened.
        n_units: how many units.
        activation, bias, weights_init, bias_init, regularizer, weight_decay, trainable, restore, reuse, scope, name,
            scaling, ste: see `binary_conv_2d`.

    Returns:
        A 2-D tensor [batch, n_units] with the attributes `scope`, `W` and `b`.

    Raises:
        AssertionError, Exception, ValueError: see `binary_conv_2d`.

    Example:

    >>> binary_fully_connected(tflearn.input_data([None, 8, 8, 4]), 10).W.shape.as_list()
    [256, 10]
    """
    options: dict[str, Any] = {"scaling": scaling, "ste": constant_quantizer(ste)}
    inputs = flat_size(incoming)
    return layer(
        incoming,
        [inputs, n_units],
        lambda x, weights: ops.binary_dense(tf.reshape(x, [-1, inputs]), weights, **options),
        (weights_init, regularizer, weight_decay),
        (bias, bias_init),
        activation,
        {"trainable": trainable, "restore": restore},
        (scope, name, reuse),
    )


@scoped
def binary_fully_connected_input(
    incoming: Any,
    n_units: int,
    activation: Activation = "linear",
    bias: bool = True,
    weights_init: Any = "truncated_normal",
    bias_init: Any = "zeros",
    regularizer: Any = None,
    weight_decay: float = 0.001,
    trainable: bool = True,
    restore: bool = True,
    reuse: bool = False,
    scope: Any = None,
    name: str = "BinaryFullyConnectedInput",
    scaling: str = "channel",
    ste: Ste = "identity",
    input_scaling: bool = True,
    input_ste: Ste = "clip",
) -> Any:
    """`tflearn.fully_connected` with one bit a weight, of the signs of its input.

    Args:
        incoming, n_units, activation, bias, weights_init, bias_init, regularizer, weight_decay, trainable, restore,
            reuse, scope, name, scaling, ste: see `binary_fully_connected`.
        input_scaling: whether the output is multiplied by the mean of |incoming| of its row.
        input_ste: the quantizer of the input.

    Returns:
        A 2-D tensor [batch, n_units] with the attributes `scope`, `W` and `b`.

    Raises:
        AssertionError, Exception, ValueError: see `binary_conv_2d`.

    Example:

    >>> binary_fully_connected_input(tflearn.input_data([None, 64]), 10, bias=False).b is None
    True
    """
    options: dict[str, Any] = {
        "scaling": scaling,
        "ste": constant_quantizer(ste),
        "input_ste": constant_quantizer(input_ste),
    }
    options["input_scaling"] = input_scaling
    inputs = flat_size(incoming)
    return layer(
        incoming,
        [inputs, n_units],
        lambda x, weights: ops.binary_dense_input(tf.reshape(x, [-1, inputs]), weights, **options),
        (weights_init, regularizer, weight_decay),
        (bias, bias_init),
        activation,
        {"trainable": trainable, "restore": restore},
        (scope, name, reuse),
    )
