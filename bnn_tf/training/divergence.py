"""A loss that is no number any more: the training stops, and it is said where the trouble began."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from bnn_tf.errors import UserError
from bnn_tf.training.arrays import array

Logs = dict[str, Any] | None


class DivergedError(UserError, ArithmeticError):
    """A training whose loss became NaN or infinite; the model is as it was before that epoch."""


class NotFinite(Exception):
    """Raised inside `fit` by `Watch`: the loss of that batch isn't finite."""

    def __init__(self, epoch: int, batch: int):
        super().__init__(epoch, batch)
        self.epoch, self.batch = epoch, batch


class Watch(keras.callbacks.Callback):
    """Stops `fit` with `NotFinite` at the first batch after which the mean loss of the epoch isn't finite."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Looks at the loss."""
        if not math.isfinite((logs or {})["loss"]):
            raise NotFinite(self._epoch, batch)


def explain(
    event: NotFinite, model: keras.Model, batches: Iterable[Any], restore: Callable[[], object]
) -> DivergedError:
    """Repeats an epoch up to the batch that spoiled it, and finds the layer.

    Args:
        event: what `Watch` raised.
        model: the model; it is left as `restore` leaves it.
        batches: those of the epoch, from its first.
        restore: puts model and optimizer back to the beginning of the epoch.

    Returns:
        The error to raise.
    """
    restore()
    culprit = _replay(model, batches, event.batch)
    restore()
    return DivergedError(
        f"The loss is no longer finite at step {event.batch + 1} of epoch {event.epoch + 1}: {culprit}. The weights "
        "before that epoch are kept. Try a lower learning rate, a warm-up, or float32 instead of mixed precision."
    )


def _replay(model: keras.Model, batches: Iterable[Any], last: int) -> str:
    model.reset_metrics()
    for number, batch in enumerate(batches):
        before = [array(variable) for variable in model.variables]
        loss = model.train_on_batch(*batch, return_dict=True)["loss"]
        if not math.isfinite(loss):
            for variable, value in zip(model.variables, before, strict=True):
                variable.assign(value)
            return _culprit(model, batch[0])
        if number >= last:
            break
    return "repeating the epoch, it stayed finite, so that no layer can be named"


def _culprit(model: keras.Model, x: Any) -> str:
    """Which layer makes something that isn't finite of the images `x`, in words."""
    if not np.isfinite(x).all():
        return "the images themselves hold values that aren't finite"
    # A gradient runs from the loss to the input, so the spoilt weights nearest to the output were the first.
    for layer in reversed(list(model._flatten_layers(include_self=False))):
        if layer.weights and not isinstance(layer, keras.Model) and not _finite(layer.trainable_variables):
            return f"the step before gave layer {layer.name!r} weights that aren't finite"
    for layer, value in _outputs(model, x):
        if not _finite([value]):
            return f"layer {layer!r} is the first whose output isn't finite"
    return "every layer's output is finite, so the loss itself overflows"


def _outputs(model: keras.Model, x: Any) -> list[tuple[str, Any]]:
    """What each layer makes of `x` in training, in their order; nothing for a model that isn't a graph of layers."""
    try:
        layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        probe = keras.Model(inputs, [layer.output for layer in layers])
    except (AttributeError, ValueError):
        return []
    return list(zip([layer.name for layer in layers], probe(x, training=True), strict=True))


def _finite(values: Iterable[Any]) -> bool:
    return all(bool(np.isfinite(array(v)).all()) for v in values)
