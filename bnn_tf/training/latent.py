"""What becomes of the latent weights of binary layers while a network trains."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.errors import ArgumentError
from bnn_tf.training.arrays import array
from bnn_tf.training.records import Logs, binary_kernels, flipped

Histogram = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


class LatentWeights(keras.callbacks.Callback):
    """Keeps a histogram of each binary layer's latent weights, and the share of signs that each epoch changes.

    It holds one bit for each weight, and at most `most` histograms a layer: when there are more, it drops every second
    one and takes half as many from then on. A network without binary layers leaves it empty. Weights that aren't finite
    are in no bin.

    Args:
        bins: int, of each histogram; they divide what lies between the least and the largest weight.
        most: int from 2, how many histograms a layer has at most.

    Attributes:
        histograms: for each layer, by the number of epochs that are done, 0 before the training, (counts, edges).
        flips: for each layer and epoch, from 1, the share of its signs that aren't those of the epoch before.

    Raises:
        ArgumentError: a ValueError, for numbers out of range.

    Example:

    >>> weights = LatentWeights()
    >>> train(model, digits, Recipe(epochs=3), callbacks=[weights])
    >>> bnn_tf.plots.weight_histograms(weights.histograms).savefig("latent.png")
    >>> bnn_tf.plots.sign_flips(weights.flips).savefig("flips.png")
    """

    def __init__(self, bins: int = 60, most: int = 50):
        super().__init__()
        if bins < 1 or most < 2:
            raise ArgumentError(
                f"LatentWeights: `bins` must be at least 1 and `most` at least 2. Got bins={bins} and most={most}."
            )
        self.histograms: dict[str, dict[int, Histogram]] = {}
        self.flips: dict[str, dict[int, float]] = {}
        self._bins, self._most, self._every = bins, most, 1
        self._signs: dict[str, npt.NDArray[np.uint8]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        """Looks up the kernels."""
        self._kernels = binary_kernels(self.model)
        self._signs = {}

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Notes where the training starts; what an earlier one left is dropped."""
        if epoch == 0:
            self.histograms, self.flips, self._signs, self._every = {}, {}, {}, 1
        if self._kernels and not self._signs:
            kernels = {name: array(kernel) for name, kernel in self._kernels.items()}
            self._signs = {name: np.packbits(kernel < 0) for name, kernel in kernels.items()}
            self._keep(epoch, kernels)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Counts what has changed."""
        kernels = {name: array(kernel) for name, kernel in self._kernels.items()}
        for name, kernel in kernels.items():
            signs = kernel < 0
            before = np.unpackbits(self._signs[name], count=signs.size).astype(bool).reshape(signs.shape)
            self.flips.setdefault(name, {})[epoch + 1] = flipped([before], [signs])
            self._signs[name] = np.packbits(signs)
        self._keep(epoch + 1, kernels)

    def _keep(self, epoch: int, kernels: dict[str, npt.NDArray[Any]]) -> None:
        if epoch % self._every:
            return
        for name, kernel in kernels.items():
            finite = kernel[np.isfinite(kernel)].astype(np.float64)
            self.histograms.setdefault(name, {})[epoch] = np.histogram(finite, self._bins)
        if any(len(of) > self._most for of in self.histograms.values()):
            self._every *= 2
            for name, of in self.histograms.items():
                self.histograms[name] = {number: found for number, found in of.items() if number % self._every == 0}
