"""Keras layers with binary weights, and with binary input besides; the frozen ones are for inference."""

from bnn_tf.layers.constraints import WeightClip
from bnn_tf.layers.conv import BinaryConv2D, BinaryConvInput2D
from bnn_tf.layers.dense import BinaryDense, BinaryDenseInput
from bnn_tf.layers.frozen import (
    FrozenBinaryConv2D,
    FrozenBinaryConvInput2D,
    FrozenBinaryDense,
    FrozenBinaryDenseInput,
)
from bnn_tf.layers.lrn import LocalResponseNormalization
from bnn_tf.layers.windows import Windows

__all__ = [
    "BinaryConv2D",
    "BinaryConvInput2D",
    "BinaryDense",
    "BinaryDenseInput",
    "FrozenBinaryConv2D",
    "FrozenBinaryConvInput2D",
    "FrozenBinaryDense",
    "FrozenBinaryDenseInput",
    "LocalResponseNormalization",
    "WeightClip",
    "Windows",
]
