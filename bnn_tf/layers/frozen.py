"""The binary layers for inference: one bit a weight in memory and in the file, and nothing left to train.

`bnn_tf.freeze` makes them of the trained ones. Only what they hold differs:

    trained    kernel: float32, in the kernel's own shape           bias
    frozen     bits: int32 [groups, blocks, words, 16]    alpha     bias

Bits come in words of 32 weights and blocks of 16 filters of one group, so a depthwise kernel of 3×3 takes 64 bytes a
channel, and 36 as floats.
"""

from typing import Any

import keras

from bnn_tf import ops
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.layers.conv import BinaryConv2D, BinaryConvInput2D
from bnn_tf.layers.dense import BinaryDense, BinaryDenseInput

# What only training asks for: where weights start, what pulls at them, and the pseudo-gradients.
_OF_TRAINING = frozenset(
    {f"{weight}_{what}" for weight in ("kernel", "bias") for what in ("initializer", "regularizer", "constraint")}
    | {"activity_regularizer", "ste", "input_ste"}
)


class FrozenLayer(BinaryLayer):
    """Mixed in before a trainable binary layer: the same computation from bits, with no weight to train.

    Attributes:
        bits: int32 variable [groups, blocks of 16 filters, words, 16], 32 weights in each element.
        alpha: float32 variable [filters], the scales, whatever the dtype policy.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if refused := sorted(_OF_TRAINING & kwargs.keys()):
            raise ValueError(
                f"{type(self).__name__}: a frozen layer isn't trained, so it has no `{refused[0]}`. Leave it out."
            )
        super().__init__(*args, **kwargs)

    def add_weight(self, shape: Any = None, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        # Keras' own `build` asks for a kernel and a bias, each with what training needs.
        if name != "kernel":
            return super().add_weight(shape, name=name, initializer="zeros", dtype=kwargs.get("dtype"), trainable=False)
        self._kernel_shape = tuple(shape)
        options: dict[str, Any] = {"initializer": "zeros", "trainable": False, "autocast": False}
        self.bits = super().add_weight(ops.packed_shape(shape, self._groups), name="bits", dtype="int32", **options)
        self.alpha = super().add_weight(shape[-1:], name="alpha", dtype="float32", **options)
        return None

    @property
    def kernel(self) -> ops.PackedKernel:
        """Bits and scales, in the form that the ops take."""
        return ops.PackedKernel(
            keras.ops.convert_to_tensor(self.bits), keras.ops.convert_to_tensor(self.alpha), self._kernel_shape
        )

    @property
    def kernel_variables(self) -> list[Any]:
        """The bits and the scales."""
        return [self.bits, self.alpha]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training:
            raise ValueError(
                f"{type(self).__name__} ({self.name}): a frozen layer can't be trained, for it holds bits and no "
                "latent weights. Got training=True. Train the original model and freeze that; layers to come after it "
                "can be trained on what it predicts."
            )
        return super().call(inputs)

    def pack(self, trained: BinaryLayer) -> None:
        """Takes over the weights of a built layer of the same shapes: the kernel as bits and scales, the bias as it is.

        Raises:
            ValueError: where the shapes differ.
        """
        if tuple(trained.kernel.shape) != self._kernel_shape:
            raise ValueError(
                f"{type(self).__name__} ({self.name}): the kernels must be of one shape. Got "
                f"{tuple(trained.kernel.shape)} to pack into {self._kernel_shape}."
            )
        packed = ops.pack_kernel(trained.kernel, self.scaling, self._groups)
        self.bits.assign(packed.bits)
        self.alpha.assign(packed.alpha)
        if self.use_bias:
            self.bias.assign(trained.bias)

    def get_config(self) -> dict[str, Any]:
        return _without_training(super().get_config())

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FrozenLayer":
        """The layer of its own configuration, or of that of its trained twin."""
        return super().from_config(_without_training(config))

    @property
    def _groups(self) -> int:
        return getattr(self, "groups", 1)  # a dense layer has one


def _without_training(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in _OF_TRAINING}


@keras.saving.register_keras_serializable(package="bnn_tf")
class FrozenBinaryConv2D(FrozenLayer, BinaryConv2D):
    """`BinaryConv2D` for inference; `bnn_tf.freeze` makes it.

    Formula: `y = activation(alpha * conv(x, signs) + bias)`, as the trained layer's and equal to it bit for bit: signs
    and alpha are those of its kernel.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias, scaling,
            name, dtype: see `BinaryConv2D`. `scaling` only says how alpha came to be.

    Input shape:
        A 4D tensor `(batch, height, width, channels)`.

    Output shape:
        A 4D tensor `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: for arguments that don't fit together, don't fit the input or are for training; for training=True.
        NotImplementedError: for LoRA and quantization.

    Example:

    >>> trained = BinaryConv2D(32, 3)
    >>> y = trained(np.ones((1, 8, 8, 16), "float32"))
    >>> frozen = FrozenBinaryConv2D(32, 3)
    >>> frozen.build((1, 8, 8, 16))
    >>> frozen.pack(trained)
    >>> frozen.bits.shape   # (1, 2, 5, 16): 2 blocks of 16 filters, 3 * 3 * 16 weights of each in 5 words
    """


@keras.saving.register_keras_serializable(package="bnn_tf")
class FrozenBinaryConvInput2D(FrozenLayer, BinaryConvInput2D):
    """`BinaryConvInput2D` for inference; `bnn_tf.freeze` makes it.

    Formula: `y = activation(K * alpha * conv(sign(x), signs) + bias)`, as the trained layer's and equal to it bit for
    bit.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias, scaling,
            input_scaling, pad_value, name, dtype: see `BinaryConvInput2D`. `scaling` only says how alpha came to be.

    Input shape:
        A 4D tensor `(batch, height, width, channels)`.

    Output shape:
        A 4D tensor `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: see `FrozenBinaryConv2D`.
        NotImplementedError: for LoRA and quantization.

    Example:

    >>> FrozenBinaryConvInput2D(32, 3, pad_value=1).compute_output_shape((1, 8, 8, 16))   # (1, 6, 6, 32)
    """


@keras.saving.register_keras_serializable(package="bnn_tf")
class FrozenBinaryDense(FrozenLayer, BinaryDense):
    """`BinaryDense` for inference; `bnn_tf.freeze` makes it.

    Formula: `y = activation(alpha * (x @ signs) + bias)`, as the trained layer's and equal to it bit for bit.

    Args:
        units, activation, use_bias, scaling, name, dtype: see `BinaryDense`. `scaling` only says how alpha came to be.

    Input shape:
        A tensor `(batch, ..., channels)` of at least 2 dimensions.

    Output shape:
        A tensor `(batch, ..., units)`.

    Raises:
        ValueError: see `FrozenBinaryConv2D`.
        NotImplementedError: for LoRA and quantization.

    Example:

    >>> FrozenBinaryDense(10).compute_output_shape((4, 128))   # (4, 10)
    """


@keras.saving.register_keras_serializable(package="bnn_tf")
class FrozenBinaryDenseInput(FrozenLayer, BinaryDenseInput):
    """`BinaryDenseInput` for inference; `bnn_tf.freeze` makes it.

    Formula: `y = activation(beta * alpha * (sign(x) @ signs) + bias)`, as the trained layer's and equal to it bit for
    bit.

    Args:
        units, activation, use_bias, scaling, input_scaling, name, dtype: see `BinaryDenseInput`. `scaling` only says
            how alpha came to be.

    Input shape:
        A tensor `(batch, ..., channels)` of at least 2 dimensions.

    Output shape:
        A tensor `(batch, ..., units)`.

    Raises:
        ValueError: see `FrozenBinaryConv2D`.
        NotImplementedError: for LoRA and quantization.

    Example:

    >>> FrozenBinaryDenseInput(10).compute_output_shape((4, 128))   # (4, 10)
    """


# A trained layer's class, and what it becomes.
FROZEN: dict[type[BinaryLayer], type[FrozenLayer]] = {
    BinaryConv2D: FrozenBinaryConv2D,
    BinaryConvInput2D: FrozenBinaryConvInput2D,
    BinaryDense: FrozenBinaryDense,
    BinaryDenseInput: FrozenBinaryDenseInput,
}
