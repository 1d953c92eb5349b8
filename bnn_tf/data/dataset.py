"""What every loader returns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of images, split as its publisher splits it.

    Attributes:
        name: the name that `load` knows it by.
        x_train: uint8 `[images, height, width, channels]`, the pixels as published.
        y_train: int64 `[images]`, each in 0..classes-1.
        x_test: uint8, as `x_train`.
        y_test: int64, as `y_train`.
        class_names: what the labels mean, in their order.
    """

    name: str
    x_train: npt.NDArray[np.uint8]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.uint8]
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

    @cached_property
    def mean(self) -> npt.NDArray[np.float32]:
        """The mean of the training pixels, float32 `[channels]`."""
        return self.x_train.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)

    @cached_property
    def deviation(self) -> npt.NDArray[np.float32]:
        """The standard deviation of the training pixels, float32 `[channels]`; 1 for a constant channel."""
        deviation = self.x_train.std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
        return np.where(deviation > 0, deviation, np.float32(1))

    def normalize(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """`(x - mean) / deviation` per channel, with the training set's figures: what the models are trained on."""
        return (x.astype(np.float32) - self.mean) / self.deviation
