"""The learning rate over the steps of a training, as Keras' schedules."""

from typing import Any

import keras
from keras import ops

from bnn_tf.training.recipe import Recipe

Rate = Any  # a float, or a Keras schedule


@keras.saving.register_keras_serializable(package="bnn_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule, with a linear rise in front: at step s, `schedule(s) * min(1, (s + 1) / steps)`.

    The schedule's own clock isn't shifted: what it says of epoch 14 still happens in epoch 14.

    Args:
        schedule: a rate, or another schedule.
        steps: int, positive, how long the rise takes.

    Example:

    >>> float(WarmUp(1.0, steps=4)(0))
    0.25

    Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.
    """

    def __init__(self, schedule: Rate, steps: int):
        super().__init__()
        self.schedule, self.steps = schedule, steps

    def __call__(self, step: Any) -> Any:
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return rate * ops.minimum((ops.cast(step, "float32") + 1) / self.steps, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def rate_of(recipe: Recipe, steps_per_epoch: int, peak: float | None = None) -> Rate:
    """The learning rate that a recipe asks for.

    Args:
        recipe: says which schedule.
        steps_per_epoch: int, what its epochs count in.
        peak: float, a rate to start from in place of the recipe's; its course stays the same.

    Returns:
        A float for a constant rate and for "plateau" (see `plateau.Plateau`), otherwise a Keras schedule.

    Example:

    >>> rate_of(Recipe(schedule="constant"), steps_per_epoch=10)
    0.001
    """
    peak = recipe.peak if peak is None else peak
    rate: Rate = peak
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(peak, recipe.epochs * steps_per_epoch)
    elif recipe.steps:
        # Keras' boundary is the last step of the old rate.
        boundaries = [round(epoch * steps_per_epoch) - 1 for epoch, _ in recipe.steps[1:]]
        values = [rate * peak / recipe.peak for _, rate in recipe.steps]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    steps = round(recipe.warmup_epochs * steps_per_epoch)
    return WarmUp(rate, steps) if steps and recipe.schedule != "plateau" else rate
