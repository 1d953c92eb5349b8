"""What TFLearn's binary layers are made of: its variables, scopes and collections around an op.

Importing this imports TFLearn, which switches the process to TensorFlow 1.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow.compat.v1 as tf

from bnn_tf import quantizers
from bnn_tf.errors import ArgumentError
from bnn_tf.frontends import tflearn_compat
from bnn_tf.quantizers import Quantizer

if keras.backend.backend() != "tensorflow":
    raise ArgumentError(
        f"bnn_tf.frontends.tflearn needs Keras' TensorFlow backend. Got {keras.backend.backend()}. Set "
        "KERAS_BACKEND=tensorflow."
    )
tflearn = tflearn_compat.activate()

# Initial values themselves; other kinds of initializers are called.
_VALUES = (tf.Tensor, np.ndarray, list)
_CHANGING = (quantizers.Ede, quantizers.ReSte)

Layer = TypeVar("Layer", bound=Callable[..., Any])
Activation = str | Callable[[Any], Any] | None
Sizes = int | Sequence[int]
Ste = str | Quantizer | dict[str, Any] | None


def scoped(layer: Layer) -> Layer:
    """Lets `tflearn.vendor.arg_scope.arg_scope` set the keyword arguments of a layer; its type stays.

    Example:

    >>> @scoped
    ... def double(incoming, factor=2):
    ...     return factor * incoming
    >>> with tflearn.vendor.arg_scope.arg_scope([double], factor=3):
    ...     double(1)   # 3
    """
    return tflearn.vendor.arg_scope.add_arg_scope(layer)


def window_of(
    incoming: Any, nb_filter: int, filter_size: Sizes, strides: Sizes, padding: str
) -> tuple[tuple[Any, str], list[int]]:
    """(strides, padding) for the op, and the kernel's shape, of the arguments of a convolution."""
    input_shape = tflearn.utils.get_incoming_shape(incoming)
    if len(input_shape) != 4:
        raise AssertionError(f"Incoming Tensor shape must be 4-D, not {len(input_shape)}-D")
    shape = tflearn.utils.autoformat_filter_conv2d(filter_size, input_shape[-1], nb_filter)
    if None in shape:
        raise ArgumentError(f"The channels of the input must be known. Got shape {list(input_shape)}. Set its shape.")
    batch, height, width, channels = tflearn.utils.autoformat_kernel_2d(strides)
    if (batch, channels) != (1, 1):
        raise ArgumentError(f"Strides along batch and channels must be 1. Got {[batch, height, width, channels]}.")
    return ((height, width), tflearn.utils.autoformat_padding(padding)), list(shape)


def flat_size(incoming: Any) -> int:
    """How many numbers an image, or whatever a batch consists of, has."""
    input_shape = tflearn.utils.get_incoming_shape(incoming)
    if len(input_shape) < 2:
        raise AssertionError("Incoming Tensor shape must be at least 2-D")
    if None in input_shape[1:]:
        raise ArgumentError(
            f"All sizes but the batch must be known. Got shape {list(input_shape)}. Give `input_data` the whole shape."
        )
    return int(np.prod(input_shape[1:]))


def layer(
    incoming: Any,
    shape: list[int],
    compute: Callable[[Any, Any], Any],
    weights: tuple[Any, Any, float],
    biases: tuple[bool, Any],
    activation: Activation,
    flags: dict[str, bool],
    place: tuple[Any, str, bool],
) -> Any:
    """The variables and what `compute` makes of them, with TFLearn's scopes, collections and attributes."""
    scope, name, reuse = place
    with tf.variable_scope(scope, default_name=name, values=[incoming], reuse=reuse) as scope:
        initializer, regularizer, decay = weights
        penalty = regularizer and (lambda x: tflearn.regularizers.get(regularizer)(x, decay))
        kernel = _variable(scope, "W", shape, initializer, regularizer=penalty, **flags)
        bias = _variable(scope, "b", shape[-1:], biases[1], **flags) if biases[0] else None
        inference = compute(tf.convert_to_tensor(incoming), tf.convert_to_tensor(kernel))
        if bias is not None:
            inference = tf.nn.bias_add(inference, bias)
        inference = _activated(inference, activation)
        tf.add_to_collection(tf.GraphKeys.ACTIVATIONS, inference)
    inference.scope, inference.W, inference.b = scope, kernel, bias
    tf.add_to_collection(f"{tf.GraphKeys.LAYER_TENSOR}/{scope.name}", inference)
    return inference


def _variable(scope: Any, name: str, shape: list[int], initializer: Any, **options: Any) -> Any:
    if isinstance(initializer, str):
        initializer = tflearn.initializations.get(initializer)()
    given = isinstance(initializer, _VALUES)
    variable = tflearn.variables.variable(name, None if given else shape, initializer=initializer, **options)
    found = variable.get_shape().as_list()
    if found != shape:
        raise ArgumentError(f"{variable.op.name} must be of shape {shape}. Its initial values are of shape {found}.")
    tf.add_to_collection(f"{tf.GraphKeys.LAYER_VARIABLES}/{scope.name}", variable)
    return variable


def _activated(inference: Any, activation: str | Callable[[Any], Any] | None) -> Any:
    if not activation:
        return inference
    if isinstance(activation, str):
        return tflearn.activations.get(activation)(inference)
    if callable(activation):
        return activation(inference)
    raise ValueError("Invalid Activation.")


def constant_quantizer(ste: Ste) -> Quantizer:
    """The quantizer that `ste` means, unless it changes in the course of training."""
    changing = [quantizer.name for quantizer in _CHANGING]
    if not (isinstance(ste, str) and ste in changing):
        quantizer = quantizers.get(ste)
        if not isinstance(quantizer, quantizers.Annealed):
            return quantizer
    raise ArgumentError(
        f"The quantizer {ste!r} changes in the course of training, and keeps that in a Keras variable, which sessions "
        f"don't know. Expected one of {', '.join(name for name in quantizers.names() if name not in changing)}."
    )
