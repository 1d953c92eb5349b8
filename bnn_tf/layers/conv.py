"""Convolutions of one bit."""

from typing import Any

import keras

from bnn_tf import ops
from bnn_tf.layers.binary import BinaryInput, BinaryLayer


@keras.saving.register_keras_serializable(package="bnn_tf")
class BinaryConv2D(BinaryLayer, keras.layers.Conv2D):
    """2D convolution with binary weights and a float input.

    Formula: `y = activation(alpha * conv(x, sign(kernel)) + bias)`, with `alpha[o] = mean |kernel[..., o]|` and
    `sign(u) = +1 if u >= 0 else -1`. The kernel keeps its float (latent) values for training.

    Args:
        filters: int, the number of filters.
        kernel_size: int or pair, height and width of the kernel.
        strides: int or pair. Unlike in Keras' layer, strides and dilations may both exceed 1.
        padding: "valid" or "same" (case-insensitive), or the explicit pairs ((top, bottom), (left, right)).
        data_format: "channels_last" or None for Keras' global setting, which must then be that.
        dilation_rate: int or pair.
        groups: int; divides the channels and `filters`.
        activation: activation function, or its name.
        use_bias: bool.
        scaling: alpha: "channel" is the mean of |kernel| over each filter, "tensor" over the whole kernel, "none" is 1.
        ste: the kernel's quantizer, that is its pseudo-gradient: a name known to `bnn_tf.quantizers.get`, or an
            instance.
        **kwargs: `kernel_initializer`, `bias_initializer`, `kernel_regularizer`, `bias_regularizer`,
            `activity_regularizer`, `kernel_constraint`, `bias_constraint`, `name`, `dtype`: as in Keras' layer.

    Input shape:
        A 4D tensor `(batch, height, width, channels)`.

    Output shape:
        A 4D tensor `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: for arguments that don't fit together or don't fit the input.

    Example:

    >>> x = np.random.rand(4, 10, 10, 128)
    >>> y = BinaryConv2D(32, 3, activation="relu")(x)
    >>> y.shape   # (4, 8, 8, 32)

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016
        (BWN).
    """

    _op_name = "BinaryConv2D"

    def __init__(
        self,
        filters: int,
        kernel_size: ops.Pair,
        strides: ops.Pair = (1, 1),
        padding: ops.Padding = "valid",
        data_format: str | None = None,
        dilation_rate: ops.Pair = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        *,
        scaling: str = "channel",
        ste: ops.Ste = "identity",
        **kwargs: Any,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding if isinstance(padding, str) else "valid",
            data_format,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            scaling=scaling,
            ste=ste,
            **kwargs,
        )
        # Set afterwards: Keras' own convolution can't do explicit padding, nor dilate and stride at once.
        window = ops.read_window(self._op_name, strides, padding, dilation_rate, groups)
        self.dilation_rate = window.dilations
        if not isinstance(padding, str):
            top, bottom, left, right = window.explicit_padding
            self.padding = ((top, bottom), (left, right))
        ops.check_options(self._op_name, scaling=scaling, data_format=self.data_format)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return ops.binary_conv2d(inputs, kernel, **self._conv_arguments())

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        channels = None if len(input_shape) != 4 or input_shape[3] is None else max(input_shape[3] // self.groups, 1)
        return ops.conv_output_shape(
            self._op_name,
            input_shape,
            (*self.kernel_size, channels, self.filters),
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
        )

    def _conv_arguments(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilations": self.dilation_rate,
            "groups": self.groups,
            "scaling": self.scaling,
            "ste": self.ste,
        }


@keras.saving.register_keras_serializable(package="bnn_tf")
class BinaryConvInput2D(BinaryInput, BinaryConv2D):
    """2D convolution with binary weights and a binary input.

    Formula: `y = activation(K * alpha * conv(sign(x), sign(kernel)) + bias)`, with alpha as in `BinaryConv2D` and K,
        the scale
    of the input under each window: with `A = mean |x|` over the channels, K is the mean of A over the window (zero
        outside the
    image). The sum inside is an exact integer, computed with XNOR and popcount.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias, scaling, ste,
            **kwargs: see `BinaryConv2D`.
        input_scaling: bool; without it, K is 1.
        pad_value: what sign(x) is outside the image: 0 (as padding after the sign), -1 or +1.
        input_ste: the input's quantizer; by default the gradient passes where |x| <= 1.

    Input shape:
        A 4D tensor `(batch, height, width, channels)`.

    Output shape:
        A 4D tensor `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: for arguments that don't fit together or don't fit the input.

    Example:

    >>> x = np.random.normal(size=(4, 10, 10, 128))
    >>> y = BinaryConvInput2D(32, 3, padding="same", input_ste="approx_sign")(x)
    >>> y.shape   # (4, 10, 10, 32)

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016.
    """

    _op_name = "BinaryConvInput2D"

    def __init__(
        self,
        filters: int,
        kernel_size: ops.Pair,
        strides: ops.Pair = (1, 1),
        padding: ops.Padding = "valid",
        data_format: str | None = None,
        dilation_rate: ops.Pair = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        *,
        scaling: str = "channel",
        ste: ops.Ste = "identity",
        input_scaling: bool = True,
        pad_value: int = 0,
        input_ste: ops.Ste = "clip",
        **kwargs: Any,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            groups,
            activation,
            use_bias,
            scaling=scaling,
            ste=ste,
            input_scaling=input_scaling,
            input_ste=input_ste,
            **kwargs,
        )
        self.pad_value = pad_value
        ops.check_options(self._op_name, pad_value=pad_value)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return ops.binary_conv_input2d(
            inputs,
            kernel,
            **self._conv_arguments(),
            input_scaling=self.input_scaling,
            pad_value=self.pad_value,
            input_ste=self.input_ste,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_value": self.pad_value}
