"""What is minimised: cross-entropy, with label smoothing, class weights and a teacher's say where they are wanted."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from bnn_tf.errors import ArgumentError
from bnn_tf.training.recipe import BALANCED, Recipe


@keras.saving.register_keras_serializable(package="bnn_tf")
class Crossentropy(keras.losses.Loss):
    """Cross-entropy of logits z with labels, smoothed, and with the logits t of a teacher.

    Formula: `(1 - mix) CE(smoothed labels, softmax(z)) + mix T² KL(softmax(t / T) || softmax(z / T))`; the T² keeps the
    two parts' gradients in proportion whatever the temperature T.

    Args:
        label_smoothing: s in 0..1; a label becomes `(1 - s) one_hot + s / classes`.
        temperature: T, positive.
        mix: 0..1.
        **options: Keras' own for every loss.

    Input shape:
        The targets hold the label, `[batch]` or `[batch, 1]`, or before the teacher's logits, `[batch, 1 + classes]`;
        without these, the labels alone count, whatever `mix`.

    Example:

    >>> float(Crossentropy(label_smoothing=0.1)(np.array([1]), np.array([[0.0, 0.0]])))   # log 2

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016 (smoothing); Hinton,
    Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015.
    """

    def __init__(self, label_smoothing: float = 0.0, temperature: float = 1.0, mix: float = 0.0, **options: Any):
        super().__init__(**options)
        self.label_smoothing, self.temperature, self.mix = label_smoothing, temperature, mix

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each image, `[batch]`."""
        classes = y_pred.shape[-1]
        targets = ops.one_hot(ops.cast(_labels(y_true), "int32"), classes, dtype=y_pred.dtype)
        smoothed = (1 - self.label_smoothing) * targets + self.label_smoothing / classes
        hard = -ops.sum(smoothed * ops.log_softmax(y_pred), axis=-1)
        if len(y_true.shape) == 1 or y_true.shape[-1] == 1:
            return hard
        teacher = ops.log_softmax(y_true[:, 1:] / self.temperature)
        student = ops.log_softmax(y_pred / self.temperature)
        soft = ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)
        return (1 - self.mix) * hard + self.mix * self.temperature**2 * soft

    def get_config(self) -> dict[str, Any]:
        own = {"label_smoothing": self.label_smoothing, "temperature": self.temperature, "mix": self.mix}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="bnn_tf")
class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of right answers, for targets as `Crossentropy` takes them."""

    def __init__(self, name: str = "accuracy", **options: Any):
        super().__init__(name=name, **options)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch."""
        super().update_state(_labels(y_true), y_pred, sample_weight)


def _labels(y_true: Any) -> Any:
    return y_true if len(y_true.shape) == 1 else y_true[:, 0]


def loss_of(recipe: Recipe, distilled: bool = False) -> keras.losses.Loss:
    """The loss that a recipe asks for; Keras' own where that serves."""
    if distilled:
        return Crossentropy(recipe.label_smoothing, recipe.temperature, recipe.mix)
    if recipe.label_smoothing:
        return Crossentropy(recipe.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def class_weights(
    labels: npt.NDArray[np.int64], classes: int, kind: str | Sequence[float] | None
) -> npt.NDArray[np.float32] | None:
    """What the loss of an image is multiplied by, for each class.

    Args:
        labels: int64 `[images]`, of the training set.
        classes: how many there are.
        kind: "balanced" for 1 over the number of images of the class, times the constant that makes the mean over the
            images 1, so that the learning rate keeps its meaning; or the weights themselves; or None.

    Returns:
        float32 `[classes]`, 0 for a class without images when balanced; None for None.

    Raises:
        ArgumentError: a ValueError, for another number of weights than classes, or a negative one.

    Example:

    >>> class_weights(np.array([0, 0, 0, 1]), 2, "balanced").tolist()
    [0.6666666865348816, 2.0]
    """
    if kind is None:
        return None
    if kind == BALANCED:
        counts = np.bincount(labels, minlength=classes)
        present = counts > 0
        weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
        return weights.astype(np.float32)
    weights = np.asarray(kind, np.float32)
    if weights.shape != (classes,) or (weights < 0).any():
        raise ArgumentError(
            f"`class_weights` must be {classes} numbers, one for each class, none negative. Got {list(kind)}."
        )
    return weights
