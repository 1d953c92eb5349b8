"""The mean, the deviation and the covariance of the channels of a set of images.

Sums of integers are exact, so the figures don't depend on the order of the images, nor on how they were read:

    covariance = (n * sum(x x') - sum(x) sum(x)') / n**2

A pass over an array takes less time than hashing it would, so only the figures of files are kept, in Keras' cache.
"""

import contextlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data.files import keras_home
from bnn_tf.data.images import ImageFiles

_LOG = logging.getLogger(__name__)
# Pixels that are in memory as float64 at once: 24 MiB for three channels.
_PIXELS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the pixels of a set of images are like.

    Attributes:
        mean: float32 `[channels]`.
        deviation: float32 `[channels]`; 1 for a constant channel.
        covariance: float64 `[channels, channels]`.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    covariance: npt.NDArray[np.float64]


def statistics(images: npt.NDArray[np.uint8] | ImageFiles) -> Statistics:
    """The statistics of images `[images, height, width, channels]`, from the cache where files are unchanged.

    Example:

    >>> statistics(np.array([[[[0]], [[10]]]], np.uint8)).deviation
    array([5.], dtype=float32)
    """
    if not isinstance(images, ImageFiles):
        return _figures(*_sums(images))
    path = keras_home() / "bnn_tf" / "statistics" / f"{images.digest()}.json"
    kept = _read(path, images.shape[-1])
    if kept is None:
        kept = _sums(images)
        _write(path, kept)
    return _figures(*kept)


def _sums(images: npt.NDArray[np.uint8] | ImageFiles) -> tuple[int, list[int], list[list[int]]]:
    """How many pixels there are, their sum, and the sum of their outer products.

    Exact: float64 holds integers up to 2^53, and a part's sum is below 2^36.
    """
    _, height, width, channels = images.shape
    count, first, second = 0, np.zeros(channels, np.int64), np.zeros((channels, channels), np.int64)
    step = max(1, _PIXELS_AT_ONCE // (height * width))
    for start in range(0, len(images), step):
        # Channel by channel: of pixels with their channels together the product takes three times as long.
        planes = np.asarray(images[start : start + step]).reshape(-1, channels).T.astype(np.float64, order="C")
        count += planes.shape[1]
        first += planes.sum(axis=1).astype(np.int64)
        second += (planes @ planes.T).astype(np.int64)
    return count, first.tolist(), second.tolist()


def _figures(count: int, first: list[int], second: list[list[int]]) -> Statistics:
    """Python's integers have no bound, so what is subtracted is exact."""
    if count == 0:
        raise ValueError("A set of no images has no mean. Give it images.")
    channels = range(len(first))
    mean = np.array([first[i] / count for i in channels])
    covariance = np.array(
        [[(count * second[i][j] - first[i] * first[j]) / count**2 for j in channels] for i in channels]
    )
    deviation = np.sqrt(np.diagonal(covariance)).astype(np.float32)
    return Statistics(mean.astype(np.float32), np.where(deviation > 0, deviation, np.float32(1)), covariance)


def _read(path: Path, channels: int) -> Any:
    """The sums in `path`; None where it isn't there or isn't whole."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = content["count"], content["sum"], content["products"]
        if len(kept[1]) == len(kept[2]) == channels and kept[0] > 0:
            return kept
    return None


def _write(path: Path, sums: tuple[int, list[int], list[list[int]]]) -> None:
    """A cache that can't be written costs the next run a pass over the images, and nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(dict(zip(("count", "sum", "products"), sums, strict=True))), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        _LOG.debug("the statistics of the images aren't kept: %s", error)
