"""Initializers of kernels that aren't trained."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="bnn_tf")
class Blur(keras.initializers.Initializer):
    """Makes a depthwise 3×3 kernel average with weights (1, 2, 1) each way, so that striding doesn't alias.

    Example:

    >>> Blur()((3, 3, 2, 1)).shape   # (3, 3, 2, 1)

    Source: Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        line = keras.ops.convert_to_tensor([0.25, 0.5, 0.25], dtype=dtype or "float32")
        window = keras.ops.reshape(keras.ops.outer(line, line), (3, 3, 1, 1))
        return keras.ops.broadcast_to(window, shape)
