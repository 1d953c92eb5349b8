"""One step of synchronous training: each replica takes its share of the batch, and all take the same step.

    gradient of replica r    d/dw  sum over its images of weight * loss / images of the whole batch
    step                     optimizer.apply(sum over all replicas)

so that the step is that of one process with the whole batch, however unevenly the batch is shared. The model's
variables are ordinary ones, in each process its own: every process applies the same sum to the same values. A replica
reads them as tensors and returns what it would have changed (`stateless_call`). Three advantages over mirrored
variables: every optimizer, constraint and callback works as in one process; the moving statistics of batch
normalisations travel with the gradients, in one message a step; and a checkpoint is an ordinary one.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import keras
import tensorflow as tf

Fetch = Callable[[int, int], tuple[Any, ...]]
Tensors = list[Any]

_SEED_STATE = "seed_generator_state"
# What the seeds of neighbouring replicas differ by: far more than those of neighbouring layers do.
_SEED_STRIDE = 0x9E3779B1


class Steps:
    """The compiled steps of a model.

    Args:
        model: a compiled model from images to logits, with the loss that is minimised.
        strategy: a `tf.distribute.Strategy` whose replicas share each batch.
        options: a `tf.distribute.experimental.CommunicationOptions`, the time limit of each sum over the replicas.
        fetch: gives the images, targets and perhaps weights of a step, for the number of a replica and of the step.
        fetch_test: likewise for the test set.
        batch: what `fetch` returns, for its dtypes and shapes.
    """

    def __init__(
        self, model: keras.Model, strategy: Any, options: Any, fetch: Fetch, fetch_test: Fetch, batch: tuple[Any, ...]
    ):
        self._model, self._strategy, self._options = model, strategy, options
        self._fetch, self._fetch_test = fetch, fetch_test
        self._specs = [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batch]
        step, images = tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.float32)
        self._train = tf.function(self._train_step, input_signature=[step, images], autograph=False)
        self._test = tf.function(self._test_step, input_signature=[step], autograph=False)

    def train(self, step: int, images: int) -> tuple[float, float]:
        """Takes a step; `images` is how many the whole batch has. Returns the mean loss and the number right."""
        loss, right = self._train(step, images).numpy()
        return float(loss), float(right)

    def test(self, step: int) -> tuple[int, float, float]:
        """How many images a batch of the test set has, their mean loss and the number right."""
        images, loss, right = self._test(step).numpy()
        return int(images), float(loss / images), float(right)

    def _train_step(self, step: Any, images: Any) -> Any:
        model = self._model
        weights = [tf.convert_to_tensor(variable.value) for variable in model.trainable_variables]
        states = [tf.convert_to_tensor(variable.value) for variable in model.non_trainable_variables]
        layout = _Layout()
        run = partial(self._train_replica, layout, step, images, weights, states)
        total, own = self._first(self._strategy.run(run))
        gradients, averaged, figures = layout.unpack(total)
        for index, value in {**averaged, **own}.items():
            variable = model.non_trainable_variables[index]
            variable.assign(tf.cast(value, variable.value.dtype))
        model.optimizer.apply(gradients, model.trainable_variables)
        return figures

    def _train_replica(self, layout: "_Layout", step: Any, images: Any, weights: Tensors, states: Tensors) -> Any:
        """The sum over all replicas, laid out; and what this replica's process keeps, by index: the seeds."""
        model, replicas = self._model, self._strategy.num_replicas_in_sync
        seeds = [variable.name == _SEED_STATE for variable in model.non_trainable_variables]
        replica, (x, *targets) = self._batch(self._fetch, self._specs, step)
        offset = tf.stack([replica * _SEED_STRIDE, 0])
        given = [
            state + tf.cast(offset, state.dtype) if seed else state for seed, state in zip(seeds, states, strict=True)
        ]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, states, penalties = model.stateless_call(weights, given, x, training=True, return_losses=True)
            loss, right = self._figures(logits, *targets)
            loss = loss / images + _sum(penalties) / replicas
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        changed = {index: new for index, (new, old) in enumerate(zip(states, given, strict=True)) if new is not old}
        own = {
            index: state - tf.cast(offset, state.dtype) if seeds[index] else state
            for index, state in changed.items()
            if not state.dtype.is_floating
        }
        averaged = {index: state / replicas for index, state in changed.items() if index not in own}
        return self._reduce(layout.pack(gradients, averaged, tf.stack([loss, right]))), own

    def _test_step(self, step: Any) -> Any:
        return self._first(self._strategy.run(partial(self._test_replica, step)))

    def _test_replica(self, step: Any) -> Any:
        specs = [self._specs[0], tf.TensorSpec((None,), tf.int64)]
        _, (x, labels) = self._batch(self._fetch_test, specs, step)
        loss, right = self._figures(self._model(x, training=False), labels)
        images = tf.cast(tf.shape(labels)[0], tf.float32)
        return self._reduce(tf.stack([images, loss + images * _sum(self._model.losses), right]))

    def _batch(self, fetch: Fetch, specs: list[Any], step: Any) -> tuple[Any, list[Any]]:
        """The replica's number, and its share."""
        # Python prepares the share in here, so that no tensor of a changing shape enters the graph: each process traces
        # it once, as the others do, and their sums pair up.
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        parts = tf.numpy_function(fetch, [replica, step], [spec.dtype for spec in specs])
        return replica, [tf.ensure_shape(part, spec.shape) for part, spec in zip(parts, specs, strict=True)]

    def _figures(self, logits: Any, targets: Any, weights: Any = 1.0) -> tuple[Any, Any]:
        """The summed loss, and how many are right."""
        logits = tf.cast(logits, tf.float32)
        labels = targets if len(targets.shape) == 1 else tf.cast(targets[:, 0], tf.int64)
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32))
        return tf.reduce_sum(self._model.loss.call(targets, logits) * weights), right

    def _reduce(self, value: Any) -> Any:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, value, options=self._options)

    def _first(self, values: Any) -> Any:
        """What this process' first replica returned."""
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], values)


class _Layout:
    """Tensors as one vector: one message over the network in place of one for each weight."""

    def pack(self, gradients: Tensors, averaged: dict[int, Any], figures: Any) -> Any:
        """The vector; a gradient may be None."""
        self._found = [gradient is not None for gradient in gradients]
        self._indices = list(averaged)
        parts = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        parts += [*averaged.values(), figures]
        self._shapes = [tuple(part.shape) for part in parts]
        return tf.concat([tf.reshape(tf.cast(part, tf.float32), [-1]) for part in parts], 0)

    def unpack(self, vector: Any) -> tuple[Tensors, dict[int, Any], Any]:
        """The inverse of `pack`."""
        parts = tf.split(vector, [prod(shape) for shape in self._shapes])
        *values, figures = [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]
        gradients = [values.pop(0) if found else None for found in self._found]
        return gradients, dict(zip(self._indices, values, strict=True)), figures


def _sum(penalties: Tensors) -> Any:
    return tf.add_n([tf.zeros(()), *(tf.cast(penalty, tf.float32) for penalty in penalties)])
