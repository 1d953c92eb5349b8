"""An optimizer for weights that have a sign and nothing else."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bnn_tf")
class Bop(keras.optimizers.Optimizer):
    """Flips a weight where its gradient has kept pulling the same way: there are no latent weights to move.

    Formula: `m = (1 - gamma) m + gamma g`, then `w = -w` where `|m| > threshold` and `m` has the sign of `w`.

    Flips keep magnitudes, and so the scale alpha of a binary layer stays what it was at first.

    Args:
        learning_rate: gamma, the adaptivity rate: a float or a schedule (the paper divides it by 10 from time to time).
        threshold: float; a larger one flips fewer weights.
        name: str.
        **options: Keras' own for every optimizer.

    Example:

    >>> kernel = keras.Variable([1.0, -1.0])
    >>> Bop(0.5, threshold=0.1).apply([np.array([1.0, 1.0])], [kernel])
    >>> kernel.numpy()   # -1, -1

    Source: Helwegen, Widdicombe, Geiger, Liu, Cheng, Nusselder, "Latent Weights Do Not Exist: Rethinking Binarized
    Neural Network Optimization", 2019, algorithm 1.
    """

    def __init__(self, learning_rate: Any = 1e-4, threshold: float = 1e-8, name: str = "bop", **options: Any):
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.threshold = threshold

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes room for the moving averages m."""
        if not self.built:
            super().build(variables)
            self._averages = self.add_optimizer_variables(variables, "gradient_average")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step for one variable."""
        gradient = ops.cast(gradient, variable.dtype)
        gamma = ops.cast(learning_rate, variable.dtype)
        weight = ops.convert_to_tensor(variable)
        average = self._averages[self._get_variable_index(variable)]
        moved = average + gamma * (gradient - average)
        flips = ops.logical_and(ops.abs(moved) > self.threshold, moved * weight > 0)
        self.assign(average, moved)
        self.assign(variable, ops.where(flips, -weight, weight))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}
