"""What a training writes down after each epoch, and how a resumed one takes it up again."""

import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.training.arrays import array
from bnn_tf.training.optimizers import leaves
from bnn_tf.training.selection import flat_layers
from bnn_tf.training.training_folder import State, TrainingFolder

Logs = dict[str, Any] | None
# What a callback that counts epochs carries from one to the next.
_COUNTERS = ("best", "wait", "scale")


class Figures(keras.callbacks.Callback):
    """Adds to the figures of each epoch: the learning rate at its beginning, and the share of binary weights whose
    sign it flipped ("flipped", where there are any)."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Notes the signs."""
        self._kernels = binary_kernels(self.model)
        self._signs = signs(self._kernels)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Notes the learning rate."""
        self._rate = float(array(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds the figures."""
        assert logs is not None
        logs["learning_rate"] = self._rate
        if self._kernels:
            before, self._signs = self._signs, signs(self._kernels)
            logs["flipped"] = flipped(before, self._signs)


def binary_kernels(model: keras.Model) -> dict[str, Any]:
    """The latent kernels of binary layers, by the layer's name."""
    return {layer.name: layer.kernel for layer in flat_layers(model) if isinstance(layer, BinaryLayer)}


def signs(kernels: dict[str, Any]) -> list[npt.NDArray[np.bool_]]:
    """Which weights of each kernel are negative."""
    return [array(kernel) < 0 for kernel in kernels.values()]


def flipped(before: list[npt.NDArray[np.bool_]], after: list[npt.NDArray[np.bool_]]) -> float:
    """The share of weights whose sign isn't the same."""
    changed = sum(int(np.count_nonzero(old != new)) for old, new in zip(before, after, strict=True))
    return changed / sum(new.size for new in after)


class Recorder(keras.callbacks.Callback):
    """Keeps the state of a training, and writes it to its folder after each epoch. It must be the last callback.

    Args:
        state: where the training stands; it is brought up to date.
        folder: where it is kept; None for nowhere.
        counting: callbacks whose counters belong to the state.
    """

    def __init__(self, state: State, folder: TrainingFolder | None, counting: list[keras.callbacks.Callback]):
        super().__init__()
        self._state, self._folder, self._counting = state, folder, counting

    def on_train_begin(self, logs: Logs = None) -> None:
        """Gives the callbacks, which have just been reset, their counters."""
        for callback in self._counting:
            for name, value in self._state.callbacks.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Records the epoch."""
        state = self._state
        for name, value in (logs or {}).items():
            state.history.setdefault(name, []).append(float(value))
        state.epoch = epoch + 1
        accuracies = state.history["val_accuracy"]
        improved = state.best_epoch == 0 or accuracies[-1] > accuracies[state.best_epoch - 1]
        if improved:
            state.best_epoch = state.epoch
        state.callbacks = {
            type(callback).__name__: {name: getattr(callback, name) for name in _COUNTERS if hasattr(callback, name)}
            for callback in self._counting
        }
        state.finished = state.epoch >= self.params["epochs"] or self.model.stop_training
        now = time.perf_counter()
        state.seconds, self._start = state.seconds + now - self._start, now
        if self._folder is not None:
            self._folder.save(self.model, state, improved)


class EventFiles(keras.callbacks.Callback):
    """Writes TensorBoard events: scalars, histograms of latent weights, flips of single steps, pictures of kernels.

    Args:
        path: the folder of the event files.
        every: int, the share of flipped signs is measured at each so-many-th step: it costs a copy of the weights.

    Raises:
        ArgumentError: a ValueError, on a Keras backend other than TensorFlow.
    """

    def __init__(self, path: Any, every: int = 100):
        super().__init__()
        from bnn_tf.training.events import Events

        self._events, self._every, self._step = Events(path), every, 0
        self._before: list[npt.NDArray[np.bool_]] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Looks up the kernels and where the training stands."""
        self._kernels = binary_kernels(self.model)
        self._step = int(array(leaves(self.model.optimizer)[0].iterations))

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Notes the signs before a step that is measured."""
        measured = self._kernels and self._step % self._every == 0
        self._before = signs(self._kernels) if measured else None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Compares them with those after it."""
        if self._before is not None:
            self._events.scalars({"flipped_in_step": flipped(self._before, signs(self._kernels))}, self._step)
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the epoch's figures, histograms and pictures."""
        self._events.scalars({f"epoch/{name}": value for name, value in (logs or {}).items()}, epoch + 1)
        for name, kernel in self._kernels.items():
            self._events.histogram(f"{name}/latent", kernel, epoch + 1)
        for layer in flat_layers(self.model):
            kernel = getattr(layer, "kernel", None)
            if kernel is not None and len(kernel.shape) == 4:
                self._events.kernels(f"{layer.name}/kernels", array(kernel), epoch + 1)
        self._events.flush()
