"""A data set's batches as Keras' `fit` takes them: with a teacher's logits and the weights of the classes."""

import copy
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.data import Dataset
from bnn_tf.data.augmentation import augmentation
from bnn_tf.errors import ArgumentError

EVALUATION_BATCH = 512


class TrainingBatches(keras.utils.PyDataset):
    """The training images, normalised, in an order that the seed and the epoch decide and nothing else does.

    Args:
        dataset: where they come from.
        batch_size: int; the last batch may be smaller.
        seed: int from 0.
        augment: see `Dataset.batches`.
        weights: float32 `[classes]`, what an image's loss is multiplied by.
        teacher: a model whose logits the targets then hold behind the label; see `losses.Crossentropy`.

    Raises:
        ArgumentError: a ValueError, for a teacher of other classes.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int = 0,
        *,
        augment: Sequence[Any] = (),
        weights: npt.NDArray[np.float32] | None = None,
        teacher: keras.Model | None = None,
    ):
        super().__init__()
        self._dataset, self._batch_size, self._seed = dataset, batch_size, seed
        self._augment, self._weights, self._teacher = tuple(augment) or None, weights, teacher
        self._shard = (0, 1)
        if teacher is not None:
            check_model(teacher, dataset, augment)
        # What never changes is computed once.
        self._logits = _logits(teacher, dataset) if teacher is not None and not augment else None
        self.start(0)

    def start(self, epoch: int) -> None:
        """Goes to the beginning of an epoch."""
        self._epoch = epoch
        self._batches = self._dataset.batches(
            "train", self._batch_size, seed=self._seed, epoch=epoch, augment=self._augment, shard=self._shard
        )

    def share(self, index: int, count: int) -> "TrainingBatches":
        """What replica `index` of `count` takes of each batch of this epoch."""
        part = copy.copy(self)
        part._shard = (index, count)
        part.start(self._epoch)
        return part

    def images(self, index: int) -> int:
        """How many images a batch has."""
        return len(self._batches.indices(index))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        x, labels = self._batches[index]
        targets: npt.NDArray[Any] = labels
        if self._logits is not None:
            targets = np.column_stack([labels, self._logits[self._batches.indices(index)]])
        elif self._teacher is not None:
            targets = np.column_stack([labels, _predict(self._teacher, x)])
        return (x, targets) if self._weights is None else (x, targets, self._weights[labels])

    def on_epoch_end(self) -> None:
        """Goes to the next epoch."""
        self.start(self._epoch + 1)


class EvaluationBatches(keras.utils.PyDataset):
    """The test images, normalised, in their order."""

    def __init__(self, dataset: Dataset, augment: Sequence[Any] = ()):
        super().__init__()
        self._dataset, self._augment = dataset, tuple(augment) or None
        self._batches = dataset.batches("test", EVALUATION_BATCH, augment=self._augment)

    def share(self, index: int, count: int) -> "EvaluationBatches":
        """What replica `index` of `count` takes of each batch, of a size that leaves each something of the last one."""
        images, part = self._dataset.count("test"), copy.copy(self)
        size = next(size for size in range(EVALUATION_BATCH, 0, -1) if not 0 < images % size < count)
        part._batches = self._dataset.batches("test", size, augment=self._augment, shard=(index, count))
        return part

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]


def input_shape(dataset: Dataset, augment: Sequence[Any] = ()) -> tuple[int, int, int]:
    """(height, width, channels) of what a network is trained on: an augmentation may cut windows out of the images.

    Example:

    >>> input_shape(bnn_tf.data.load("digits"))
    (8, 8, 1)
    """
    height, width, channels = augmentation(tuple(augment) or None).output_shape(dataset.input_shape)
    return height, width, channels


def _predict(teacher: keras.Model, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return keras.ops.convert_to_numpy(teacher(x, training=False)).astype(np.float32)


def _logits(teacher: keras.Model, dataset: Dataset) -> npt.NDArray[np.float32]:
    """The teacher's logits of every training image."""
    batches = dataset.batches("train", EVALUATION_BATCH, shuffle=False)
    return np.concatenate([teacher.predict_on_batch(x) for x, _ in batches]).astype(np.float32)


def check_model(model: keras.Model, dataset: Dataset, augment: Sequence[Any] = ()) -> None:
    """Raises an ArgumentError for a model of other images or classes than the data set's."""
    shape = input_shape(dataset, augment)
    expected = tuple(model.input_shape[1:])
    if len(expected) != 3 or any(size not in (None, found) for size, found in zip(expected, shape, strict=True)):
        raise ArgumentError(f"{model.name} takes images of {expected}, and {dataset.name} gives {shape}.")
    if model.output_shape[-1] != dataset.classes:
        raise ArgumentError(
            f"{model.name} tells {model.output_shape[-1]} classes apart, and {dataset.name} has {dataset.classes}."
        )
