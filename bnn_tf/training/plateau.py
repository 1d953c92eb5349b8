"""The schedule that waits: it lowers the learning rate where the test loss no longer falls."""

from typing import Any

import keras

from bnn_tf.training.optimizers import leaves

Logs = dict[str, Any] | None


class Plateau(keras.callbacks.Callback):
    """Multiplies every learning rate by `factor` after `patience` epochs without a lower `val_loss`.

    Unlike Keras' callback, it knows a warm-up, and reaches optimizers in groups and inside a loss scale.

    Args:
        patience: int, epochs.
        factor: float, below 1.
        warmup_epochs: float, over how many epochs the rates rise; they are set at the beginning of an epoch.

    Attributes:
        best, wait, scale: the lowest `val_loss`, the epochs since, and what the rates are multiplied by: the state that
            a resumed training continues from.
    """

    def __init__(self, patience: int, factor: float, warmup_epochs: float = 0.0):
        super().__init__()
        self._patience, self._factor, self._warmup_epochs = patience, factor, warmup_epochs
        self.best, self.wait, self.scale = float("inf"), 0, 1.0
        self._rates: list[float] = []

    def set_rates(self, rates: list[float]) -> None:
        """The rates to start from, one for each of the model's optimizers."""
        self._rates = rates

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Sets the rates."""
        warm = min((epoch + 1) / self._warmup_epochs, 1.0) if self._warmup_epochs else 1.0
        for optimizer, rate in zip(leaves(self.model.optimizer), self._rates, strict=True):
            optimizer.learning_rate = rate * self.scale * warm

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Counts the epochs without progress."""
        loss = (logs or {})["val_loss"]
        if loss < self.best:
            self.best, self.wait = loss, 0
            return
        self.wait += 1
        if self.wait >= self._patience:
            self.scale, self.wait = self.scale * self._factor, 0
