"""TensorBoard event files, written as what they are: TFRecords of `Event` messages, without TensorBoard itself.

`tf.summary` would need the package tensorboard, which TensorFlow no longer brings; reading the files needs it anyway.
"""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.errors import ArgumentError
from bnn_tf.training.arrays import array

_VERSION = "brain.Event:2"
_BINS = 30
_MOST_KERNELS = 64
_SCALE = 8


class Events:
    """A writer of an event file.

    Args:
        path: the folder for it.

    Raises:
        ArgumentError: a ValueError, on a Keras backend other than TensorFlow.
    """

    def __init__(self, path: Path):
        if keras.backend.backend() != "tensorflow":
            raise ArgumentError(
                f"TensorBoard events need KERAS_BACKEND=tensorflow. It is {keras.backend.backend()}. Leave them out: "
                "the figures are in metrics.csv as well."
            )
        import tensorflow as tf

        self._tf = tf
        path.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self._writer = tf.io.TFRecordWriter(str(path / f"events.out.tfevents.{now:.6f}.{socket.gethostname()}"))
        self._writer.write(tf.compat.v1.Event(wall_time=now, file_version=_VERSION).SerializeToString())

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Single figures."""
        self._write(step, [{"tag": name, "simple_value": value} for name, value in values.items()])

    def histogram(self, name: str, values: Any, step: int) -> None:
        """How the finite values of a tensor are distributed; nothing where it has none."""
        flat = array(values).astype(np.float64).ravel()
        flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        counts, edges = np.histogram(flat, _BINS)
        content = {
            "min": flat.min(),
            "max": flat.max(),
            "num": flat.size,
            "sum": flat.sum(),
            "sum_squares": flat @ flat,
        }
        histogram = self._tf.compat.v1.HistogramProto(**content, bucket=counts, bucket_limit=edges[1:])
        self._write(step, [{"tag": name, "histo": histogram}])

    def kernels(self, name: str, kernel: npt.NDArray[np.float32], step: int) -> None:
        """The first kernels of a convolution, as a grid of pictures."""
        grid = kernel_grid(kernel)
        height, width, channels = grid.shape
        image = self._tf.compat.v1.Summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=self._tf.io.encode_png(grid).numpy()
        )
        self._write(step, [{"tag": name, "image": image}])

    def flush(self) -> None:
        """Writes what is waiting."""
        self._writer.flush()

    def _write(self, step: int, values: list[dict[str, Any]]) -> None:
        message = self._tf.compat.v1
        summary = message.Summary(value=[message.Summary.Value(**value) for value in values])
        self._writer.write(message.Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())


def kernel_grid(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """At most 64 kernels side by side, black for the least weight and white for the largest; what isn't finite is as 0.

    Args:
        kernel: `[height, width, channels, filters]`; three channels become colours, of others the first is shown.

    Returns:
        uint8 `[height, width, 1 or 3]` of the whole picture, eight pixels a weight, one weight between two kernels.

    Example:

    >>> kernel_grid(np.zeros((3, 3, 1, 4), np.float32)).shape
    (64, 64, 1)
    """
    shown = np.where(np.isfinite(kernel), kernel, 0)
    shown = shown if kernel.shape[2] == 3 else shown[:, :, :1]
    low, high = float(shown.min()), float(shown.max())
    grey = (255 * (shown - low) / max(high - low, 1e-12)).astype(np.uint8)
    tiles = [np.pad(tile, ((0, 1), (0, 1), (0, 0))) for tile in np.moveaxis(grey, 3, 0)[:_MOST_KERNELS]]
    columns = int(np.ceil(len(tiles) ** 0.5))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows).repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
