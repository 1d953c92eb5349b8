"""K-fold cross-validation: every training image is held out once."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.data import Dataset
from bnn_tf.errors import ArgumentError
from bnn_tf.training.fit import Evaluation, Training, evaluate, train
from bnn_tf.training.recipe import Recipe

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` has done.

    Attributes:
        trainings: one for each fold; their "val_" figures are those of the images held out.
        best: the index of the fold with the highest accuracy on its held-out images.
        model: that fold's model, with the weights of its last epoch.
        test: how it does on the test set, which no fold saw.
    """

    trainings: tuple[Training, ...]
    best: int
    model: keras.Model
    test: Evaluation

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The accuracy of each fold on its held-out images, after its last epoch."""
        return tuple(training.history["val_accuracy"][-1] for training in self.trainings)


def stratified_folds(labels: Indices, folds: int, seed: int = 0) -> list[tuple[Indices, Indices]]:
    """Splits images into folds in which every class has its share.

    Args:
        labels: int64 `[images]`.
        folds: how many, at least 2.
        seed: int, of who goes where.

    Returns:
        For each fold the indices to train on and those held out, both sorted. The held-out parts are disjoint and
        together complete.

    Raises:
        ArgumentError: a ValueError, for fewer than 2 folds, or fewer images of a class than folds.

    Example:

    >>> [held_out.tolist() for _, held_out in stratified_folds(np.array([0, 0, 1, 1]), 2)]
    [[1, 2], [0, 3]]
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels)
    smallest = int(counts[counts > 0].min()) if len(labels) else 0
    if not 2 <= folds <= smallest:
        raise ArgumentError(
            f"`folds` must be at least 2, and at most the {smallest} images of the smallest class. Got {folds}."
        )
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    return [(chosen.astype(np.int64), held_out.astype(np.int64)) for chosen, held_out in splits]


def fold_of(dataset: Dataset, chosen: Indices, held_out: Indices) -> Dataset:
    """A data set that trains on some of the training images and tests on others; statistics are those of the former."""
    images: Any = dataset.x_train
    take = images.subset if dataset.streamed else images.__getitem__
    return dataclasses.replace(
        dataset,
        x_train=take(chosen),
        y_train=dataset.y_train[chosen],
        x_test=take(held_out),
        y_test=dataset.y_train[held_out],
    )


def cross_validate(
    build: Callable[[], keras.Model],
    dataset: Dataset,
    folds: int,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    progress: str | None = None,
    **options: Any,
) -> CrossValidation:
    """Trains a network once for each fold of the training set, and tries the best one on the test set.

    Args:
        build: makes a fresh model.
        dataset: its training set is split; its test set is only for the best fold.
        folds: how many.
        recipe, seed, progress, **options: see `train`.
        out: a folder, in which each fold has its own: `fold1`, `fold2`, ...

    Returns:
        A `CrossValidation`.

    Raises:
        ArgumentError: a ValueError, for a number of folds that the set can't be split into; and what `train` raises.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> result = cross_validate(lambda: bnn_tf.models.lenet(input_shape=(8, 8, 1)), digits, 5, Recipe(epochs=3))
    >>> result.accuracies, result.test.accuracy
    """
    trainings: list[Training] = []
    best, best_model, best_part = 0, None, dataset
    for number, (chosen, held_out) in enumerate(stratified_folds(dataset.y_train, folds, seed)):
        model, part = build(), fold_of(dataset, chosen, held_out)
        training = train(
            model,
            part,
            recipe,
            seed=seed,
            out=None if out is None else Path(out) / f"fold{number + 1}",
            progress=None if progress is None else f"{progress} fold {number + 1}/{folds}",
            **options,
        )
        trainings.append(training)
        accuracy = training.history["val_accuracy"][-1]
        if best_model is None or accuracy > trainings[best].history["val_accuracy"][-1]:
            best, best_model, best_part = number, model, part
    assert best_model is not None
    test = dataclasses.replace(best_part, x_test=dataset.x_test, y_test=dataset.y_test)
    return CrossValidation(tuple(trainings), best, best_model, evaluate(best_model, test))
