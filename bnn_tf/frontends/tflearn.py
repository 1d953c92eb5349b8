"""Binary layers for TFLearn's scripts, on today's TensorFlow.

>>> from bnn_tf.frontends.tflearn import binary_conv_2d, tflearn
>>> net = tflearn.input_data([None, 28, 28, 1])
>>> net = tflearn.conv_2d(net, 32, 5, activation="relu")
>>> net = binary_conv_2d(tflearn.max_pool_2d(net, 2), 64, 5, bias=False)

Importing this makes TFLearn 0.5.0 importable (`tflearn_compat` says how) and imports it, which switches the process to
TensorFlow 1: graphs and sessions. Keras models want a process of their own; `checkpoints` carries weights between them.
"""

from bnn_tf.frontends.tflearn_blocks import binary_residual_block
from bnn_tf.frontends.tflearn_layers import (
    binary_conv_2d,
    binary_conv_input_2d,
    binary_fully_connected,
    binary_fully_connected_input,
)
from bnn_tf.frontends.tflearn_networks import lenet
from bnn_tf.frontends.tflearn_parts import tflearn

__all__ = [
    "binary_conv_2d",
    "binary_conv_input_2d",
    "binary_fully_connected",
    "binary_fully_connected_input",
    "binary_residual_block",
    "lenet",
    "tflearn",
]
