"""Dense layers of one bit."""

from typing import Any

import keras

from bnn_tf import ops
from bnn_tf.layers.binary import BinaryInput, BinaryLayer


@keras.saving.register_keras_serializable(package="bnn_tf")
class BinaryDense(BinaryLayer, keras.layers.Dense):
    """Dense layer with binary weights and a float input.

    Formula: `y = activation(alpha * (x @ sign(kernel)) + bias)`, with `alpha[o] = mean |kernel[:, o]|` and
    `sign(u) = +1 if u >= 0 else -1`. The kernel keeps its float (latent) values for training.

    Args:
        units: int, the size of the output.
        activation: activation function, or its name.
        use_bias: bool.
        scaling: alpha: "channel" is the mean of |kernel| over each unit's weights, "tensor" over the whole kernel,
            "none" is 1.
        ste: the kernel's quantizer, that is its pseudo-gradient: a name known to `bnn_tf.quantizers.get`, or an
            instance.
        **kwargs: `kernel_initializer`, `bias_initializer`, `kernel_regularizer`, `bias_regularizer`,
            `activity_regularizer`, `kernel_constraint`, `bias_constraint`, `name`, `dtype`: as in Keras' layer.

    Input shape:
        A tensor `(batch, ..., channels)` of at least 2 dimensions.

    Output shape:
        A tensor `(batch, ..., units)`.

    Raises:
        ValueError: for arguments that don't fit together or don't fit the input.

    Example:

    >>> y = BinaryDense(10)(np.random.rand(4, 128))
    >>> y.shape   # (4, 10)

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016
        (BWN).
    """

    _op_name = "BinaryDense"

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        *,
        scaling: str = "channel",
        ste: ops.Ste = "identity",
        **kwargs: Any,
    ):
        super().__init__(units, activation, use_bias, scaling=scaling, ste=ste, **kwargs)
        ops.check_options(self._op_name, scaling=scaling)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = self.dense_op(inputs, self.kernel)
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def dense_op(self, inputs: Any, kernel: Any) -> Any:
        """The product without bias and activation."""
        return ops.binary_dense(inputs, kernel, self.scaling, self.ste)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("quantization_config", None)
        return config


@keras.saving.register_keras_serializable(package="bnn_tf")
class BinaryDenseInput(BinaryInput, BinaryDense):
    """Dense layer with binary weights and a binary input.

    Formula: `y = activation(beta * alpha * (sign(x) @ sign(kernel)) + bias)`, with alpha as in `BinaryDense` and `beta
        = mean |x|`
    over the channels of each row. The product is an exact integer, computed with XNOR and popcount.

    Args:
        units, activation, use_bias, scaling, ste, **kwargs: see `BinaryDense`.
        input_scaling: bool; without it, beta is 1.
        input_ste: the input's quantizer; by default the gradient passes where |x| <= 1.

    Input shape:
        A tensor `(batch, ..., channels)` of at least 2 dimensions.

    Output shape:
        A tensor `(batch, ..., units)`.

    Raises:
        ValueError: for arguments that don't fit together or don't fit the input.

    Example:

    >>> y = BinaryDenseInput(10, input_scaling=False)(np.random.normal(size=(4, 128)))
    >>> y.shape   # (4, 10)

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016.
    """

    _op_name = "BinaryDenseInput"

    def dense_op(self, inputs: Any, kernel: Any) -> Any:
        """The product without bias and activation."""
        return ops.binary_dense_input(inputs, kernel, self.scaling, self.ste, self.input_scaling, self.input_ste)
