"""How well each class is told from the others: figures of a confusion matrix, with NumPy alone.

For a class c, its images are those that show it, its predictions those that say it, right are those that do both:

    accuracy    the share of all images on which "c or not" is answered right
    precision   right / predictions
    recall      right / images
    BCR         the mean of precision and recall
    score       the mean of these four

A class without images has no figures (NaN), takes no part in averages and rankings, and still costs those whose images
are taken for it. A class with images that is never predicted has a precision of 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bnn_tf.errors import ArgumentError

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIGURES = ("accuracy", "precision", "recall", "bcr", "score")


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int) -> Integers:
    """How many images of each class were taken for each class.

    Args:
        labels: int `[images]`, each in 0..classes-1.
        predictions: int `[images]`, likewise.
        classes: how many there are.

    Returns:
        int64 `[classes, classes]`: the class in the rows, the prediction in the columns.

    Raises:
        ArgumentError: a ValueError, for lists of different lengths or values outside 0..classes-1.

    Example:

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    true, said = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if true.ndim != 1 or true.shape != said.shape:
        raise ArgumentError(
            "confusion_matrix: expected as many predictions as labels, each in one dimension. Got the shapes "
            f"{said.shape} and {true.shape}."
        )
    for name, values in (("labels", true), ("predictions", said)):
        outside = values[(values < 0) | (values >= classes)]
        if len(outside):
            raise ArgumentError(f"confusion_matrix: `{name}` must lie in 0..{classes - 1}. Got {outside[0]}.")
    return np.bincount(classes * true + said, minlength=classes**2).reshape(classes, classes)


def top_k_right(labels: npt.ArrayLike, scores: npt.ArrayLike, k: int = 5) -> npt.NDArray[np.bool_]:
    """Whether the class of each image is among the k with the highest scores; of equal scores the lower index wins.

    Args:
        labels: int `[images]`.
        scores: float `[images, classes]`, logits or probabilities.
        k: int from 1; all is right where there are no more classes than that.

    Returns:
        bool `[images]`.

    Example:

    >>> top_k_right([0, 1], [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], k=2).tolist()
    [False, True]
    """
    true, values = np.asarray(labels, np.int64)[:, np.newaxis], np.asarray(scores)
    own = np.take_along_axis(values, true, axis=1)
    earlier = np.arange(values.shape[1]) < true
    return ((values > own) | ((values == own) & earlier)).sum(axis=1) < k


@dataclass(frozen=True)
class Confusion:
    """A class taken for another one.

    Attributes:
        label: the class.
        prediction: what it was taken for.
        count: on how many images.
        share: of the class's images.
    """

    label: int
    prediction: int
    count: int
    share: float


@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """The figures of a confusion matrix; what they mean stands at the top of this module.

    Attributes:
        matrix: int64 `[classes, classes]`: the class in the rows, the prediction in the columns; not all 0.

    Example:

    >>> metrics = ClassMetrics(confusion_matrix([0, 0, 1], [0, 1, 1], classes=2))
    >>> metrics.overall_accuracy, metrics.recall.tolist(), metrics.precision.tolist()
    (0.6666666666666666, [0.5, 1.0], [1.0, 0.5])
    """

    matrix: Integers

    @property
    def images(self) -> Integers:
        """How many images of each class there are."""
        return self.matrix.sum(axis=1)

    @property
    def overall_accuracy(self) -> float:
        """The share of all images whose class was predicted."""
        return float(np.trace(self.matrix) / self.matrix.sum())

    @cached_property
    def accuracy(self) -> Floats:
        """The share of all images on which "this class or not" is answered right, for each class."""
        total, right = self.matrix.sum(), np.diag(self.matrix)
        wrong = self.images + self.matrix.sum(axis=0) - 2 * right
        return self._where_present((total - wrong) / total)

    @cached_property
    def precision(self) -> Floats:
        """The share of the predictions of each class that are right."""
        predictions = self.matrix.sum(axis=0)
        return self._where_present(np.diag(self.matrix) / np.maximum(predictions, 1))

    @cached_property
    def recall(self) -> Floats:
        """The share of the images of each class that are found."""
        return self._where_present(np.diag(self.matrix) / np.maximum(self.images, 1))

    @cached_property
    def bcr(self) -> Floats:
        """The mean of precision and recall of each class."""
        return (self.precision + self.recall) / 2

    @cached_property
    def score(self) -> Floats:
        """The mean of accuracy, precision, recall and BCR of each class."""
        return (self.accuracy + self.precision + self.recall + self.bcr) / 4

    @property
    def averages(self) -> dict[str, float]:
        """The mean of each figure over the classes that have images."""
        return {name: float(np.nanmean(getattr(self, name))) for name in FIGURES}

    def best(self, count: int = 5) -> list[int]:
        """The classes with the highest score, best first."""
        return self._ranked(-self.score)[:count]

    def worst(self, count: int = 5) -> list[int]:
        """The classes with the lowest score, worst first."""
        return self._ranked(self.score)[:count]

    def confusions(self, count: int = 10) -> list[Confusion]:
        """The most frequent confusions, most frequent first."""
        wrong = self.matrix - np.diag(np.diag(self.matrix))
        order: Sequence[int] = np.argsort(-wrong, axis=None, kind="stable")[:count].tolist()
        cells = [divmod(index, len(wrong)) for index in order]
        return [
            Confusion(
                label, prediction, int(wrong[label, prediction]), float(wrong[label, prediction] / self.images[label])
            )
            for label, prediction in cells
            if wrong[label, prediction]
        ]

    def _where_present(self, figures: Floats) -> Floats:
        return np.where(self.images > 0, figures, np.nan)

    def _ranked(self, keys: Floats) -> list[int]:
        """The classes with images by rising key; of equal ones the lower index first."""
        order: list[int] = np.argsort(keys, kind="stable").tolist()
        return [index for index in order if self.images[index]]
