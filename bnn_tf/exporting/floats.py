"""A model in plain float ops that computes what the binary one does, for platforms without the C++ ops.

    float input    y = conv(x, alpha * sign(w))
    binary input   y = K * alpha * conv(sign(x), sign(w)), sign(x) by comparing and choosing

A frozen layer's bits are unpacked once. Binary inputs keep alpha apart: their sums then stay exact integers, and no
sign behind them turns over. It is as slow as any float model, and as large.
"""

from typing import Any

import keras

from bnn_tf import composed
from bnn_tf.arguments import read_window
from bnn_tf.cloning import Copies, check_built, rebuilt
from bnn_tf.freezing import frozen_copy
from bnn_tf.layers.binary import BinaryInput, BinaryLayer
from bnn_tf.layers.conv import BinaryConv2D
from bnn_tf.layers.frozen import FrozenLayer
from bnn_tf.quantizers import Quantizer


def float_twin(model: keras.Model) -> keras.Model:
    """A copy of a model for inference, whose binary layers are plain float ops; the model itself where it has none.

    Args:
        model: a built Sequential or functional model, trained or frozen. It stays as it is.

    Returns:
        A `keras.Model` that gives the same outputs, to the rounding of float32, and needs no C++ op. A copy can be
        called and exported, not saved as `.keras`: save the model itself.

    Raises:
        ArgumentError: a ValueError that names a binary layer that is out of reach, and for a model that isn't built.

    Example:

    >>> model = bnn_tf.models.build("lenet", "xnor", width=0.25)
    >>> x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    >>> np.abs(float_twin(model)(x) - model(x, training=False)).max() < 1e-4
    """
    check_built("export", model)
    if not has_binary_layers(model):
        return model
    twin = _FloatTwins().of_model(frozen_copy(model, "export"))
    twin.trainable = False
    return twin


def has_binary_layers(model: keras.Model) -> bool:
    """Whether anything in the model is one bit."""
    return any(isinstance(layer, BinaryLayer) for layer in model._flatten_layers())


class _FloatTwins(Copies):
    """Copies whose binary layers compute in floats."""

    def copy(self, operation: Any) -> Any:
        """The float layer, or a copy."""
        return FloatLayer(operation) if isinstance(operation, FrozenLayer) else rebuilt(operation)

    def transfer(self, layer: keras.Layer, copy: keras.Layer) -> None:
        """Nothing to a float layer, which was made with its weights."""
        if not isinstance(layer, FrozenLayer):
            super().transfer(layer, copy)


class _Sign(Quantizer):
    """The sign alone, with no gradient: one comparison and one choice, which every platform has."""

    def sign(self, u: Any) -> Any:
        """+1 or -1."""
        return keras.ops.where(keras.ops.greater_equal(u, 0), 1.0, -1.0)


class FloatLayer(keras.layers.Layer):
    """What a frozen binary layer computes, with a float kernel.

    Args:
        layer: the frozen layer, which has its weights; bias and activation are shared with it.

    Example:

    >>> model = bnn_tf.freeze(keras.Sequential([keras.Input((64,)), bnn_tf.layers.BinaryDense(32)]))
    >>> FloatLayer(model.layers[0])(np.ones((1, 64), "float32")).shape   # (1, 32)
    """

    def __init__(self, layer: FrozenLayer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        packed = layer.kernel
        signs = composed.unpack_kernel(packed.bits, packed.shape)
        self._binary_input = isinstance(layer, BinaryInput)
        self._window = _window(layer) if isinstance(layer, BinaryConv2D) else None
        self._input_scaling = getattr(layer, "input_scaling", False)
        self._pad_value = getattr(layer, "pad_value", 0)
        self._activation = layer.activation
        self._shape_rule = layer.compute_output_shape
        self._bias = layer.bias if layer.use_bias else None
        self._alpha = self._constant("alpha", packed.alpha) if self._binary_input else 1.0
        self._kernel = self._constant("kernel", signs if self._binary_input else signs * packed.alpha)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        y = keras.ops.cast(self._product(keras.ops.cast(inputs, "float32")), self.compute_dtype)
        if self._bias is not None:
            y = keras.ops.add(y, self._bias)
        return y if self._activation is None else self._activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shape_rule(input_shape)

    def _product(self, x: Any) -> Any:
        kernel = keras.ops.convert_to_tensor(self._kernel)
        if not self._binary_input:
            if self._window is None:
                return keras.ops.matmul(x, kernel)
            return composed.convolution(x, kernel, self._window)
        alpha = keras.ops.convert_to_tensor(self._alpha)
        if self._window is None:
            return composed.binary_dense_input(x, kernel, alpha, self._input_scaling, _Sign())
        return composed.binary_conv_input2d(
            x, kernel, alpha, self._window, self._input_scaling, self._pad_value, _Sign()
        )

    def _constant(self, name: str, value: Any) -> Any:
        options: dict[str, Any] = {"initializer": "zeros", "dtype": "float32", "trainable": False, "autocast": False}
        weight = self.add_weight(tuple(value.shape), name=name, **options)
        weight.assign(value)
        return weight


def _window(layer: BinaryConv2D) -> Any:
    return read_window(layer._op_name, layer.strides, layer.padding, layer.dilation_rate, layer.groups)
