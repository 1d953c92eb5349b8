"""Training and evaluating one network."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.data import Dataset
from bnn_tf.training.progress import progress_bar
from bnn_tf.training.recipe import Recipe, recipe_for

_EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Training:
    """What `train` has done.

    Attributes:
        history: for each epoch "loss" and "accuracy" on the training set (running, with dropout), "val_loss" and
            "val_accuracy" on the test set.
        seconds: of wall clock, the evaluations after each epoch included.
    """

    history: dict[str, list[float]]
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """Attributes:
    loss: the mean cross-entropy.
    accuracy: the share of images whose largest logit is that of their class.
    """

    loss: float
    accuracy: float


class Batches(keras.utils.PyDataset):
    """The training images in batches, shuffled anew for each epoch; the seed alone decides the order."""

    def __init__(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64], batch_size: int, seed: int):
        super().__init__()
        self._x, self._y, self._batch_size = x, y, batch_size
        self._random = np.random.default_rng(seed)
        self._order = self._random.permutation(len(x))

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._x[chosen], self._y[chosen]

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch."""
        self._order = self._random.permutation(len(self._x))


def train(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    progress: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Training:
    """Trains a model from images to logits, with cross-entropy, on a data set normalised by `Dataset.normalize`.

    Args:
        model: a built model; its weights change, and it stays compiled.
        dataset: what to train on; its test set is evaluated after each epoch and never trained on.
        recipe: by default `recipe_for(dataset.name)`.
        seed: int, of the order of the images.
        progress: the label of a progress bar on standard error; None for none.
        callbacks: more Keras callbacks.

    Returns:
        A `Training`.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> model = bnn_tf.models.lenet("bwn", input_shape=digits.input_shape)
    >>> train(model, digits, Recipe(epochs=1, batch_size=64)).history["val_accuracy"]
    """
    recipe = recipe or recipe_for(dataset.name)
    batches = Batches(dataset.normalize(dataset.x_train), dataset.y_train, recipe.batch_size, seed)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * len(batches))
    _compile(model, keras.optimizers.Adam(schedule))
    start = time.perf_counter()
    with progress_bar(progress) if progress is not None else nullcontext() as bar:
        history = model.fit(
            batches,
            epochs=recipe.epochs,
            shuffle=False,  # `batches` does that; Keras would shuffle the batches again, without a seed.
            validation_data=(dataset.normalize(dataset.x_test), dataset.y_test),
            validation_batch_size=_EVALUATION_BATCH,
            verbose=0,
            callbacks=[*callbacks, *([bar] if bar is not None else [])],
        )
    seconds = time.perf_counter() - start
    return Training({name: [float(value) for value in values] for name, values in history.history.items()}, seconds)


def evaluate(model: keras.Model, dataset: Dataset) -> Evaluation:
    """Loss and accuracy of a model from images to logits on the test set.

    Example:

    >>> evaluate(keras.models.load_model("runs/digits/lenet_bwn.keras"), bnn_tf.data.load("digits")).accuracy
    """
    if not model.compiled:
        _compile(model, "sgd")
    values = model.evaluate(
        dataset.normalize(dataset.x_test), dataset.y_test, batch_size=_EVALUATION_BATCH, verbose=0, return_dict=True
    )
    return Evaluation(float(values["loss"]), float(values["accuracy"]))


def _compile(model: keras.Model, optimizer: Any) -> None:
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
