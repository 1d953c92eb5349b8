"""The transformations of images behind `augmentation`, each for a whole batch of NumPy arrays.

Images are `[images, height, width, channels]`, uint8 or float32 of 0..255; what a transformation moves in from outside
is 0, black.
"""

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data.draws import Draws
from bnn_tf.data.statistics import Statistics
from bnn_tf.errors import ArgumentError

Pixels = npt.NDArray[Any]

# Keeps threads from drawing between the setting of a layer's generator and the call.
_KERAS = threading.Lock()


class Transform:
    """What each of them is: a random change in training, and what evaluation has in its place."""

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        """The images, changed at random."""
        raise NotImplementedError

    def at_test(self, x: Pixels) -> Pixels:
        """The images for evaluation: only their size may change."""
        return x

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that an image of this shape gets.

        Raises:
            ArgumentError: where such an image can't be transformed.
        """
        return shape


@dataclass(frozen=True)
class Flip(Transform):
    """Mirrors left and right.

    Attributes:
        probability: the share of images that are mirrored.
    """

    probability: float = 0.5

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        flipped = draws.uniform() < self.probability
        out = x.copy()
        out[flipped] = x[flipped, :, ::-1]
        return out


@dataclass(frozen=True)
class Crop(Transform):
    """Pads with black on every side and cuts the original size out, anywhere.

    Attributes:
        padding: pixels on each side.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 4.2.
    """

    padding: int = 4

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        pad = self.padding
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        return windows(padded, draws.integers(2 * pad + 1), draws.integers(2 * pad + 1), x.shape[1], x.shape[2])


@dataclass(frozen=True)
class AlexNet(Transform):
    """A window anywhere in the image, mirrored half the time; the central window in evaluation.

    Attributes:
        size: of the window, which is square.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
        section 4.1.
    """

    size: int = 224

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        _, height, width, _ = x.shape
        top, left = draws.integers(height - self.size + 1), draws.integers(width - self.size + 1)
        return Flip()(windows(x, top, left, self.size, self.size), draws, statistics)

    def at_test(self, x: Pixels) -> Pixels:
        return center(x, self.size, self.size)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if min(shape[:2]) < self.size:
            raise ArgumentError(
                f"alexnet: a window of {self.size}×{self.size} doesn't fit in images of {shape[0]}×{shape[1]}. "
                f"Load larger ones, or say alexnet:{min(shape[:2])} or less."
            )
        return self.size, self.size, shape[2]


@dataclass(frozen=True)
class Rotation(Transform):
    """Turns about the centre, with bilinear interpolation.

    Attributes:
        low, high: degrees, counter-clockwise; each angle between is as likely.
    """

    low: float = -15
    high: float = 15

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        _, height, width, _ = x.shape
        angle = np.radians(draws.uniform(self.low, self.high))[:, None, None]
        cos, sin = np.cos(angle), np.sin(angle)
        down = np.arange(height)[:, None] - (height - 1) / 2
        right = np.arange(width)[None, :] - (width - 1) / 2
        return _sampled(x, cos * down + sin * right + (height - 1) / 2, cos * right - sin * down + (width - 1) / 2)


@dataclass(frozen=True)
class Blur(Transform):
    """A Gaussian blur; outside the image its border goes on.

    Attributes:
        sigma: the largest deviation in pixels; each from 0 is as likely.
    """

    sigma: float = 1

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        sigma = np.maximum(draws.uniform(0, self.sigma), 1e-3)[:, None]
        radius = max(1, round(3 * self.sigma))
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        out = x.astype(np.float32)
        for axis in (1, 2):
            length = out.shape[axis]
            border = [(radius, radius) if other == axis else (0, 0) for other in range(4)]
            padded = np.pad(out, border, mode="edge")
            out = np.zeros_like(out)
            for tap in range(2 * radius + 1):
                out += weights[:, tap, None, None, None] * padded.take(range(tap, tap + length), axis)
        return out


@dataclass(frozen=True)
class PcaColor(Transform):
    """Adds `255 * sum_i p_i * (a_i * lambda_i)` to every pixel, with a_i from a normal distribution, drawn per image.

    p and lambda are the eigenvectors and eigenvalues of the covariance of the training pixels' RGB values, taken as
    0..1. The result isn't clipped.

    Attributes:
        deviation: of the a_i.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
        section 4.1.
    """

    deviation: float = 0.1

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        values, vectors = np.linalg.eigh(statistics.covariance / 255**2)
        amounts = self.deviation * np.stack([draws.normal() for _ in values], axis=1)
        shift = 255 * (amounts * values) @ vectors.T
        return x.astype(np.float32) + shift[:, None, None].astype(np.float32)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[2] != 3:
            raise ArgumentError(f"pca: colours need 3 channels. Got images of {shape[2]}. Leave it out.")
        return shape


@dataclass(frozen=True)
class ByKeras(Transform):
    """A Keras layer, called with `training=True`, and in evaluation with `training=False`.

    Its random generator is set by (seed, epoch, first image of the batch), since it can't draw for single images.

    Attributes:
        layer: the layer; it gets float32 of 0..255.
    """

    layer: Any

    def __call__(self, x: Pixels, draws: Draws, statistics: Statistics) -> Pixels:
        return self._run(x, True, draws)

    def at_test(self, x: Pixels) -> Pixels:
        height, width, _ = self.output_shape(x.shape[1:])
        # Keras 3.15's RandomCrop leaves the images as they are where it says that it cuts out their centres.
        return center(self._run(x, False), height, width)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.layer.compute_output_shape((None, *shape))[1:])

    def _run(self, x: Pixels, training: bool, draws: Draws | None = None) -> Pixels:
        from keras import ops

        with _KERAS:
            state = getattr(getattr(self.layer, "generator", None), "state", None)
            if state is not None and draws is not None:
                state.assign(np.array([draws.integers(2**31 - 1)[0], 0], str(state.dtype)))
            arguments = {"training": training} if _takes_training(self.layer.call) else {}
            return ops.convert_to_numpy(self.layer(x.astype(np.float32), **arguments))


def windows(x: Pixels, top: Pixels, left: Pixels, height: int, width: int) -> Pixels:
    """From each image the window of that size whose first pixel is (top, left)."""
    out = np.empty((len(x), height, width, x.shape[3]), x.dtype)
    # A loop of slices: an index for every pixel takes three times as long.
    for image, (row, column) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        out[image] = x[image, row : row + height, column : column + width]
    return out


def center(x: Pixels, height: int, width: int) -> Pixels:
    """The central window of that size."""
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def _sampled(x: Pixels, down: Pixels, right: Pixels) -> Pixels:
    """float32: the images at places `[images, height, width]` between pixels, linearly; black outside."""
    count, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0))).reshape(-1, channels)
    # Every place outside is as black as the border that was just added.
    down, right = np.clip(down + 1, 0, height + 1), np.clip(right + 1, 0, width + 1)
    row, column = down.astype(np.int64), right.astype(np.int64)
    lower, further = (down - row).astype(np.float32)[..., None], (right - column).astype(np.float32)[..., None]
    corner = (np.arange(count)[:, None, None] * (height + 3) + row) * (width + 3) + column

    def line(first: Pixels) -> Pixels:
        return padded[first] * (1 - further) + padded[first + 1] * further

    return line(corner) * (1 - lower) + line(corner + width + 3) * lower


def _takes_training(call: Callable[..., Any]) -> bool:
    return "training" in inspect.signature(call).parameters
