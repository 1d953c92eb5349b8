"""Augmentation of training images, by names or with Keras layers, one after the other.

    flip, flip:0.3        mirrors left and right; the share of images
    crop, crop:4          pads with black, cuts the size out again; pixels of padding
    rotation:15           turns by -15..15 degrees; rotation:-5:20 by -5..20
    blur, blur:1.5        Gaussian; the largest deviation in pixels
    alexnet, alexnet:224  a window of that size, mirrored half the time; the central one in evaluation
    pca, pca:0.1          shifts the colours along their principal components; the deviation of the amounts

(seed, epoch, image) alone decide a picture, whichever batch or process it is in. A Keras layer follows (seed, epoch,
first image of the batch).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data.draws import Draws
from bnn_tf.data.statistics import Statistics
from bnn_tf.data.transforms import AlexNet, Blur, ByKeras, Crop, Flip, PcaColor, Rotation, Transform, center
from bnn_tf.errors import ArgumentError, unknown_name

if TYPE_CHECKING:
    from bnn_tf.data.dataset import Dataset


@dataclass(frozen=True)
class Augmentation:
    """A list of transformations.

    Attributes:
        names: how each was given.
        transforms: the transformations, in order.
    """

    names: tuple[str, ...]
    transforms: tuple[Transform, ...]

    def __call__(
        self,
        x: npt.NDArray[Any],
        index: npt.NDArray[np.int64],
        seed: int,
        epoch: int,
        statistics: Statistics,
    ) -> npt.NDArray[Any]:
        """Training images, augmented.

        Args:
            x: uint8 `[images, height, width, channels]`.
            index: the images' numbers in the data set.
            seed: int from 0.
            epoch: int from 0.
            statistics: of the training set.

        Returns:
            uint8, or float32 of about 0..255, `[images, *output_shape(...)]`.
        """
        for stream, transform in enumerate(self.transforms):
            x = transform(x, Draws(seed, epoch, stream, index), statistics)
        return x

    def at_test(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Images for evaluation: nothing random, only the size that training has."""
        for transform in self.transforms:
            x = transform.at_test(x)
        return x

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The (height, width, channels) that augmented images of this shape have: what a model has to take.

        Raises:
            ArgumentError: a ValueError, where such images can't be augmented so.
        """
        for transform in self.transforms:
            shape = transform.output_shape(shape)
        return shape

    def check(self, dataset: "Dataset") -> None:
        """Raises the error that augmenting this data set would lead to."""
        self.output_shape(dataset.input_shape)


def augmentation(specs: Augmentation | Sequence[Any] | str | None) -> Augmentation:
    """Makes an `Augmentation` of names and Keras layers.

    Args:
        specs: "flip,crop:4", or ["flip", "crop:4", keras.layers.RandomContrast(0.2)], or None for none. What each name
            does stands at the top of this module; `AUGMENTATIONS` lists them.

    Returns:
        An `Augmentation`.

    Raises:
        ArgumentError: a ValueError, for an unknown name (with the nearest ones) or a value out of its range.

    Example:

    >>> augmentation("alexnet:24,flip").output_shape((32, 32, 3))
    (24, 24, 3)
    """
    if isinstance(specs, Augmentation):
        return specs
    items = [] if specs is None else specs.split(",") if isinstance(specs, str) else list(specs)
    items = [item.strip() if isinstance(item, str) else item for item in items]
    names = tuple(item if isinstance(item, str) else f"keras:{type(item).__name__}" for item in items)
    return Augmentation(names, tuple(_transform(item) for item in items))


def ten_crops(x: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The four corner windows and the central one, and the mirror image of each.

    Args:
        x: `[images, height, width, channels]`.
        size: of the square windows.

    Returns:
        `[images, 10, size, size, channels]`.

    Raises:
        ArgumentError: a ValueError, where the windows don't fit.

    Example:

    >>> ten_crops(np.zeros((2, 256, 256, 3), np.uint8), 224).shape
    (2, 10, 224, 224, 3)

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
        section 4.1.
    """
    if not 1 <= size <= min(x.shape[1:3]):
        raise ArgumentError(f"ten_crops: windows of {size}×{size} don't fit in images of {x.shape[1]}×{x.shape[2]}.")
    near, far = slice(None, size), slice(-size, None)
    corners = [x[:, rows, columns] for rows in (near, far) for columns in (near, far)]
    five = np.stack([*corners, center(x, size, size)], axis=1)
    return np.concatenate([five, five[:, :, :, ::-1]], axis=1)


def predict_ten_crops(
    predict: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], x: npt.NDArray[Any], size: int
) -> npt.NDArray[np.float64]:
    """The mean of the class probabilities of ten windows of each image.

    Args:
        predict: from images `[images, size, size, channels]` to logits `[images, classes]`: `model.predict`, say.
        x: normalised images `[images, height, width, channels]`; ten windows of each are made at once.
        size: of the windows.

    Returns:
        float64 `[images, classes]`; each row sums to 1.

    Example:

    >>> predict_ten_crops(lambda windows: windows.mean(axis=(1, 2)), np.zeros((4, 8, 8, 2)), 6).shape
    (4, 2)
    """
    crops = ten_crops(x, size)
    logits = np.asarray(predict(crops.reshape(-1, *crops.shape[2:])), np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares.reshape(len(x), 10, -1).mean(axis=1)


def _transform(item: Any) -> Transform:
    if isinstance(item, str):
        name, *values = item.split(":")
        if name not in _MAKERS:
            raise unknown_name("augmentation", name, _MAKERS)
        return _MAKERS[name](item, values)
    if isinstance(item, Transform):
        return item
    if callable(item) and hasattr(item, "compute_output_shape"):
        return ByKeras(item)
    raise ArgumentError(f"An augmentation is a name or a Keras layer. Got {item!r}. Known: {', '.join(AUGMENTATIONS)}.")


def _maker(make: type[Any], kind: type[Any], valid: Callable[[Any], bool], expected: str) -> Any:
    """Of a transformation with one value that has a default."""

    def parse(item: str, values: list[str]) -> Transform:
        if not values:
            return make()
        numbers = _numbers(values, kind)
        if len(numbers) != 1 or not valid(numbers[0]):
            raise ArgumentError(f"{item.split(':')[0]}: expected {expected}. Got {item!r}.")
        return make(numbers[0])

    return parse


def _rotation(item: str, values: list[str]) -> Transform:
    numbers = _numbers(values, float)
    low, high = (-numbers[0], numbers[0]) if len(numbers) == 1 else numbers if len(numbers) == 2 else (1, 0)
    if not -180 <= low <= high <= 180:
        raise ArgumentError(
            "rotation: expected rotation:DEGREES or rotation:LOW:HIGH with -180 <= LOW <= HIGH <= 180. "
            f"Got {item!r}. Example: rotation:15."
        )
    return Rotation(low, high)


def _numbers(values: list[str], kind: type[Any]) -> list[Any]:
    try:
        return [kind(value) for value in values]
    except ValueError:
        return []


_MAKERS: dict[str, Callable[[str, list[str]], Transform]] = {
    "flip": _maker(Flip, float, lambda share: 0 <= share <= 1, "flip or flip:SHARE, a share of 0..1"),
    "crop": _maker(Crop, int, lambda pixels: pixels >= 1, "crop or crop:PIXELS, a whole number from 1"),
    "rotation": _rotation,
    "blur": _maker(Blur, float, lambda sigma: 0 < sigma <= 100, "blur or blur:PIXELS, above 0 and at most 100"),
    "alexnet": _maker(AlexNet, int, lambda size: size >= 1, "alexnet or alexnet:SIZE, a whole number from 1"),
    "pca": _maker(PcaColor, float, lambda deviation: 0 < deviation < 100, "pca or pca:DEVIATION, a number above 0"),
}

AUGMENTATIONS = tuple(sorted(_MAKERS))
"""The names that `augmentation` knows."""
