"""What every loader returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data.images import ImageFiles
from bnn_tf.data.statistics import Statistics, statistics
from bnn_tf.errors import unknown_name

if TYPE_CHECKING:
    from bnn_tf.data.augmentation import Augmentation
    from bnn_tf.data.pipeline import Batches

Images = npt.NDArray[np.uint8] | ImageFiles
"""An array, or files that read like one."""

PARTS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of images, split as its publisher splits it.

    The images are an array, or files that read like one (`ImageFiles`): `x_train.shape`, `len(x_train)` and
    `x_train[indices]` serve both, and `batches` never holds more than a few batches of files in memory.

    Attributes:
        name: the name that `load` knows it by.
        x_train: uint8 `[images, height, width, channels]`, the pixels as published.
        y_train: int64 `[images]`, each in 0..classes-1.
        x_test: uint8, as `x_train`.
        y_test: int64, as `y_train`.
        class_names: what the labels mean, in their order.
    """

    name: str
    x_train: Images
    y_train: npt.NDArray[np.int64]
    x_test: Images
    y_test: npt.NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels

    @property
    def streamed(self) -> bool:
        """Whether the images are read from files when they are needed."""
        return isinstance(self.x_train, ImageFiles)

    def images(self, part: str) -> Images:
        """The images of "train" or "test"."""
        return {"train": self.x_train, "test": self.x_test}[_known(part)]

    def labels(self, part: str) -> npt.NDArray[np.int64]:
        """The labels of "train" or "test"."""
        return {"train": self.y_train, "test": self.y_test}[_known(part)]

    def count(self, part: str) -> int:
        """How many images "train" or "test" has."""
        return len(self.labels(part))

    def histogram(self, part: str) -> npt.NDArray[np.int64]:
        """How many images of each class "train" or "test" has."""
        return np.bincount(self.labels(part), minlength=self.classes)

    @cached_property
    def statistics(self) -> Statistics:
        """Mean, deviation and covariance of the training pixels' channels."""
        return statistics(self.x_train)

    @property
    def mean(self) -> npt.NDArray[np.float32]:
        """The mean of the training pixels, float32 `[channels]`."""
        return self.statistics.mean

    @property
    def deviation(self) -> npt.NDArray[np.float32]:
        """The standard deviation of the training pixels, float32 `[channels]`; 1 for a constant channel."""
        return self.statistics.deviation

    def normalize(self, x: Images | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`(x - mean) / deviation` per channel, with the training set's figures: what the models are trained on.

        Of files all are read: take `batches` where they don't fit in memory.
        """
        y = np.array(x, np.float32, order="C")
        # Whole rows at a time: a loop over three channels costs five times as much as one over a row's values.
        width = y.shape[-2]
        rows = y.reshape(*y.shape[:-2], width * y.shape[-1])
        rows -= np.tile(self.mean, width)
        rows /= np.tile(self.deviation, width)
        return y

    def in_memory(self) -> "Dataset":
        """The same data set with arrays for its images: all files are read."""
        return Dataset(
            self.name, np.asarray(self.x_train), self.y_train, np.asarray(self.x_test), self.y_test, self.class_names
        )

    def batches(
        self,
        part: str,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        augment: "Augmentation | Sequence[Any] | str | None" = None,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
        shuffle: bool | None = None,
    ) -> "Batches":
        """One epoch as a sequence of normalised batches; (seed, epoch) alone decide their order and their pictures.

        Args:
            part: "train" or "test".
            batch_size: images a step, over all shards together.
            seed: int from 0.
            epoch: int from 0.
            augment: names or Keras layers, see `augmentation`; "test" only has the centre cut out where they change the
                size.
            shard: (index, count): this process' place among those that share each batch. Shards are disjoint, together
                complete, and have the same number of steps.
            drop_remainder: whether a last, smaller batch is left out.
            shuffle: by default "train" is, "test" isn't.

        Returns:
            A `Batches`: `len(b)`, `b[step]` and iteration (which prepares the next ones meanwhile) give pairs of
            float32 `[images, height, width, channels]` and int64 `[images]`.

        Raises:
            ArgumentError: a ValueError, for an argument out of range.

        Example:

        >>> digits = bnn_tf.data.load("digits")
        >>> [len(y) for x, y in digits.batches("train", 500, seed=1)]
        [500, 500, 198]
        """
        from bnn_tf.data.pipeline import Batches

        return Batches(self, part, batch_size, seed, epoch, augment, shard, drop_remainder, shuffle)

    def tf_dataset(self, part: str, batch_size: int, *, epochs: int = 1, **options: Any) -> Any:
        """What `batches` gives, as a `tf.data.Dataset` that prepares batches in parallel and ahead.

        Args:
            part: "train" or "test".
            batch_size: images a step, over all shards together.
            epochs: how many follow each other, the first being `epoch`; each has its own order.
            **options: as of `batches`.

        Returns:
            A `tf.data.Dataset` of `len(self.batches(part, batch_size, ...)) * epochs` pairs.

        Example:

        >>> digits = bnn_tf.data.load("digits")
        >>> digits.tf_dataset("train", 64, epochs=2, seed=1).cardinality().numpy()
        38
        """
        from bnn_tf.data.pipeline import tf_dataset

        return tf_dataset(self, part, batch_size, epochs, **options)


def _known(part: str) -> str:
    if part not in PARTS:
        raise unknown_name("part of a data set", part, PARTS)
    return part
