"""How many weights a network has, and how many bytes they take with one bit for each binary one."""

import math
from dataclasses import dataclass

import keras

from bnn_tf.layers.binary import BinaryLayer


@dataclass(frozen=True)
class Size:
    """The weights of a model, the statistics of its normalisations included.

    Attributes:
        binary_weights: those that inference needs one bit of.
        float_weights: the others, of 32 bits.
        scales: the alphas of the binary layers, 32 bits each: inference needs them in place of the latent weights.
    """

    binary_weights: int
    float_weights: int
    scales: int

    @property
    def packed_bytes(self) -> int:
        """One bit for a binary weight, 32 for any other and for each scale; rounded up to whole bytes."""
        return -(-self.binary_weights // 8) + 4 * (self.float_weights + self.scales)

    @property
    def float_bytes(self) -> int:
        """32 bits for every weight, as in training."""
        return 4 * (self.binary_weights + self.float_weights)


def model_size(model: keras.Model) -> Size:
    """Counts the weights of a built model; the same for a trained model and for what `bnn_tf.freeze` makes of it.

    Example:

    >>> model_size(bnn_tf.models.lenet("bwn")).packed_bytes
    473896
    """
    binary = scales = 0
    elsewhere: set[int] = set()
    for layer in model._flatten_layers():
        if isinstance(layer, BinaryLayer):
            binary += math.prod(layer.kernel.shape)
            scales += {"channel": layer.kernel.shape[-1], "tensor": 1, "none": 0}[layer.scaling]
            elsewhere |= {id(variable) for variable in layer.kernel_variables}
    others = sum(math.prod(weight.shape) for weight in model.weights if id(weight) not in elsewhere)
    return Size(binary, others, scales)
