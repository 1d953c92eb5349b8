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
from bnn_tf.layers.initializers import Blur
from bnn_tf.layers.lrn import LocalResponseNormalization
from bnn_tf.layers.windows import Windows
from bnn_tf.layers.zero_maps import ZeroMaps

__all__ = [
    "BinaryConv2D",
    "BinaryConvInput2D",
    "BinaryDense",
    "BinaryDenseInput",
    "Blur",
    "FrozenBinaryConv2D",
    "FrozenBinaryConvInput2D",
    "FrozenBinaryDense",
    "FrozenBinaryDenseInput",
    "LocalResponseNormalization",
    "WeightClip",
    "Windows",
    "ZeroMaps",
]
