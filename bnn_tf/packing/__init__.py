"""Packed models: from a Keras model to one file with one bit a binary weight, which runs without TensorFlow.

converting   what Keras calls, as a list of nodes; one rule for each kind of layer
passes       the same list with batch norms, activations and padding folded into their neighbours
writing      the list as a file: header, graph as JSON, weights
"""

from bnn_tf.packing.packer import Packed, pack

__all__ = ["Packed", "pack"]
