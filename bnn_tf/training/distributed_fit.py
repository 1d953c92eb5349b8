"""The loop over epochs and steps of a training on several replicas, with Keras' callbacks."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras

from bnn_tf.training.batches import EvaluationBatches, TrainingBatches
from bnn_tf.training.distributed import Workers, lost_workers
from bnn_tf.training.distributed_step import Steps

Logs = dict[str, float]


class Feed:
    """The shares of this process' replicas, each batch prepared while the one before it is trained on."""

    def __init__(self, replicas: Sequence[int]):
        self._pool = ThreadPoolExecutor(len(replicas))
        self._ready: dict[tuple[int, int], Future[tuple[Any, ...]]] = {}
        self._shares: dict[int, Sequence[tuple[Any, ...]]] = {}
        self.fault: BaseException | None = None

    def start(self, shares: dict[int, Any]) -> None:
        """Goes to the beginning of an epoch: `shares` are the batches of each replica."""
        for future in self._ready.values():
            future.cancel()
        self._ready.clear()
        self._shares = shares

    def fetch(self, replica: Any, step: Any) -> tuple[Any, ...]:
        """The share of a replica in a step; called by the graph."""
        number, index = int(replica), int(step)
        try:
            share = self._shares[number]
            future = self._ready.pop((number, index), None)
            batch = share[index] if future is None else future.result()
            if index + 1 < len(share):
                self._ready[number, index + 1] = self._pool.submit(share.__getitem__, index + 1)
            return _as_taken(batch)
        except BaseException as error:
            self.fault = error  # TensorFlow would pass on no more than its text.
            raise

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)


def fit(
    workers: Workers,
    model: keras.Model,
    batches: TrainingBatches,
    test: EvaluationBatches,
    *,
    epochs: int,
    initial_epoch: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """What `model.fit(batches, validation_data=test, ...)` does, with each batch shared by all replicas.

    Every process calls it with the same arguments, and its callbacks see the same figures: those of all replicas.
    Batch normalisations use the statistics of a replica's own images, unless they are `synchronized`.

    Args:
        workers: what `join` returned.
        model: a compiled model; afterwards, and at every callback, it is the same in all processes.
        batches: of which each replica takes its share.
        test: likewise.
        epochs: the number of the last one.
        initial_epoch: how many are done.
        callbacks: Keras callbacks; with each batch they get "loss" and "accuracy" of the epoch so far, with each epoch
            "val_loss" and "val_accuracy", too.

    Raises:
        ArgumentError: a ValueError, for a last batch with fewer images than replicas.
        WorkerLostError: a RuntimeError, where another process is gone.
    """
    if not model.optimizer.built:  # that of mixed precision, around the one that the recipe asks for
        model.optimizer.build(model.trainable_variables)
    feed, test_feed = Feed(workers.own), Feed(workers.own)
    first = _as_taken(batches.share(workers.own[0], workers.replicas)[0])
    steps = Steps(model, workers.strategy, workers.options, feed.fetch, test_feed.fetch, first)
    tests = {replica: test.share(replica, workers.replicas) for replica in workers.own}
    told = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=len(batches), verbose=0)
    model.stop_training = False
    logs: Logs = {}
    try:
        with lost_workers(lambda: feed.fault or test_feed.fault):
            told.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                batches.start(epoch)
                feed.start({replica: batches.share(replica, workers.replicas) for replica in workers.own})
                test_feed.start(tests)
                told.on_epoch_begin(epoch)
                logs = _epoch(steps, batches, told)
                logs |= {f"val_{name}": value for name, value in _tested(steps, tests[workers.own[0]]).items()}
                told.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
            told.on_train_end(logs)
    finally:
        feed.close()
        test_feed.close()


def _epoch(steps: Steps, batches: TrainingBatches, told: keras.callbacks.CallbackList) -> Logs:
    mean = _Mean()
    for step in range(len(batches)):
        told.on_train_batch_begin(step)
        images = batches.images(step)
        mean.add(images, *steps.train(step, images))
        told.on_train_batch_end(step, mean.logs())
    return mean.logs()


def _tested(steps: Steps, test: EvaluationBatches) -> Logs:
    mean = _Mean()
    for step in range(len(test)):
        mean.add(*steps.test(step))
    return mean.logs()


class _Mean:
    """Loss and accuracy over the batches so far."""

    def __init__(self) -> None:
        self._images, self._loss, self._right = 0, 0.0, 0.0

    def add(self, images: int, loss: float, right: float) -> None:
        self._images += images
        self._loss += images * loss
        self._right += right

    def logs(self) -> Logs:
        return {"accuracy": self._right / self._images, "loss": self._loss / self._images}


def _as_taken(batch: tuple[Any, ...]) -> tuple[Any, ...]:
    """The float64 that NumPy makes of labels beside logits becomes float32."""
    return tuple(part.astype("float32") if part.dtype == "float64" else part for part in batch)
