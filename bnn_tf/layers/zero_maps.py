"""Feature maps of zeros, for shortcuts without weights."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="bnn_tf")
class ZeroMaps(keras.layers.Layer):
    """Adds feature maps of zeros on both sides of those that come in, up to `filters`; it has no weights.

    Args:
        filters: int, how many feature maps go out; at least as many as come in.
        **kwargs: `name`, `dtype`: as in any Keras layer.

    Example:

    >>> ZeroMaps(32)(np.ones((1, 4, 4, 16))).shape   # (1, 4, 4, 32)

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, section 4.2, option A.
    """

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = filters

    def call(self, inputs: Any) -> Any:
        missing = self.filters - inputs.shape[-1]
        return keras.ops.pad(inputs, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
