"""Local response normalisation, which the networks before batch normalisation used."""

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="bnn_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each feature map by the energy of its neighbours.

    Formula: `y[c] = x[c] / (bias + alpha * sum_j x[j]²)^beta`, at each pixel, over the channels j with
    `|j - c| <= depth_radius` that exist.

    Caffe divides its alpha by the size of the window: its `local_size: 5, alpha: 1e-4` is `depth_radius=2, alpha=2e-5`,
    the default here. Krizhevsky's paper has `bias=2, alpha=1e-4`.

    Args:
        depth_radius: int, how many channels to each side; at least 0.
        alpha: float, the weight of the energy.
        beta: float, the exponent.
        bias: float, positive, so that the quotient always exists.
        **kwargs: `name`, `dtype`: as in every Keras layer.

    Input shape:
        A tensor `(..., channels)`, the channels known.

    Output shape:
        The same.

    Raises:
        ValueError: for a negative radius, or a bias that isn't positive.

    Example:

    >>> y = LocalResponseNormalization()(np.random.rand(4, 10, 10, 96))
    >>> y.shape   # (4, 10, 10, 96)

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
        section 3.3.
    """

    def __init__(
        self, depth_radius: int = 2, alpha: float = 2e-5, beta: float = 0.75, bias: float = 1.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if depth_radius < 0 or not bias > 0:
            raise ValueError(
                "LocalResponseNormalization: expected depth_radius >= 0 and bias > 0. Got "
                f"depth_radius={depth_radius} and bias={bias}. AlexNet uses 2, and 1 or 2."
            )
        self.depth_radius = depth_radius
        self.alpha = alpha
        self.beta = beta
        self.bias = bias

    def call(self, inputs: Any) -> Any:
        # As one matrix product, and with exp(log) for power, ten times as fast with its gradient as sums of slices.
        channels = np.arange(inputs.shape[-1])
        window = np.abs(np.subtract.outer(channels, channels)) <= self.depth_radius
        # alpha first: in float16 squares of more than 255 are infinite.
        energy = ops.matmul(self.alpha * inputs * inputs, ops.cast(window, inputs.dtype))
        return inputs * ops.exp(-self.beta * ops.log(self.bias + energy))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_radius": self.depth_radius,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }
