"""What holds latent weights within reach of a sign change."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="bnn_tf")
class WeightClip(keras.constraints.Constraint):
    """Clips each weight to [-limit, +limit] after each step: `kernel_constraint=WeightClip()`.

    Only the sign of a latent weight counts, and one that has drifted far away could hardly change it again.

    Args:
        limit: float, positive.

    Raises:
        ValueError: for a limit that isn't positive.

    Source: Courbariaux, Bengio, David, "BinaryConnect: Training Deep Neural Networks with binary weights during
    propagations", 2015.
    """

    def __init__(self, limit: float = 1.0):
        if not limit > 0:
            raise ValueError(f"WeightClip: `limit` must be positive. Got limit={limit}. The paper uses 1.")
        self.limit = float(limit)

    def __call__(self, value: Any) -> Any:
        return keras.ops.clip(value, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        return {"limit": self.limit}
