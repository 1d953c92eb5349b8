"""Trains a network of `tflearn_networks` in a process of its own: `python -m bnn_tf.frontends.tflearn_training FOLDER`.

    FOLDER/job.json                   what to train, see `Job`
    FOLDER/{x,y}_{train,test}.npy     normalised images and labels
    FOLDER/weights.index, .data-*     the trained weights
    FOLDER/logits.npy                 what they say of the test images
    FOLDER/done.json                  {"history": ..., "seconds": ..., "diverged": null or why}

The recipe is that of Keras' trainings: the mean cross-entropy, no clipping of gradients, batches in random order.
"""

import contextlib
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.errors import unknown_name

WEIGHTS, LOGITS, JOB, DONE = "weights", "logits.npy", "job.json", "done.json"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
OPTIMIZERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "cosine")
_EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Job:
    """What to train.

    Attributes:
        network: a name of `tflearn_networks.NETWORKS`.
        options: of the network.
        scheme: "float", "bwn", "dorefa" or "xnor".
        classes: how many.
        seed: of initial weights, dropout and the order of the images.
        epochs, batch_size, learning_rate: of the training.
        optimizer: one of `OPTIMIZERS`.
        schedule: one of `SCHEDULES`, step by step.
        momentum: of "momentum".
    """

    network: str
    options: dict[str, Any]
    scheme: str
    classes: int
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "adam"
    schedule: str = "cosine"
    momentum: float = 0.9


def run(folder: Path) -> None:
    """Does what FOLDER/job.json says, and tells each epoch on standard output."""
    from bnn_tf.frontends.tflearn import tflearn
    from bnn_tf.frontends.tflearn_networks import NETWORKS

    job = Job(**json.loads((folder / JOB).read_text(encoding="utf-8")))
    x, labels, x_test, test_labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
    seed(job.seed)
    if job.network not in NETWORKS:
        raise unknown_name("network of the TFLearn front end", job.network, NETWORKS)
    logits = NETWORKS[job.network](
        tflearn.input_data([None, *x.shape[1:]]), job.scheme, classes=job.classes, **job.options
    )
    steps = job.epochs * math.ceil(len(x) / job.batch_size)
    net = tflearn.regression(
        logits,
        optimizer=lambda rate: _optimizer(job, rate, steps),
        loss="softmax_categorical_crossentropy",
        learning_rate=job.learning_rate,
        batch_size=job.batch_size,
    )
    model = tflearn.DNN(net, clip_gradients=0.0, tensorboard_dir=str(folder / "events"))
    model.save(str(folder / WEIGHTS))
    targets = np.eye(job.classes, dtype=np.float32)[labels]
    history: dict[str, list[float]] = {name: [] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    diverged, start = None, time.perf_counter()
    for epoch in range(job.epochs):
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            model.fit(x, targets, n_epoch=1, show_metric=True, shuffle=True, snapshot_epoch=False)
        trained = model.trainer.training_state
        answers = predict(model, x_test)
        loss, accuracy = evaluate(answers, test_labels)
        if not math.isfinite(trained.loss_value + loss):
            diverged = f"The loss is no longer finite in epoch {epoch + 1}. The weights before that epoch are kept."
            break
        figures = (trained.loss_value, trained.acc_value, loss, accuracy)
        for name, value in zip(history, figures, strict=True):
            history[name].append(float(value))
        model.save(str(folder / WEIGHTS))
        np.save(folder / LOGITS, answers)
        print(f"epoch {epoch + 1} of {job.epochs}: test accuracy {accuracy:.2%}", flush=True)
    done = {"history": history, "seconds": time.perf_counter() - start, "diverged": diverged}
    (folder / DONE).write_text(json.dumps(done), encoding="utf-8")


def seed(value: int) -> None:
    """Seeds what TFLearn draws from: NumPy's order of the batches, the graph's initial weights and dropout."""
    import tensorflow.compat.v1 as tf

    np.random.seed(value % 2**32)
    tf.set_random_seed(value)


def predict(model: Any, x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What a `tflearn.DNN` makes of images, a batch at a time."""
    starts = range(0, len(x), _EVALUATION_BATCH)
    return np.concatenate([model.predict(x[start : start + _EVALUATION_BATCH]) for start in starts])


def evaluate(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> tuple[float, float]:
    """The mean cross-entropy of logits, and their accuracy.

    Example:

    >>> evaluate(np.array([[100.0, 0.0], [100.0, 0.0]]), np.array([0, 1]))
    (50.0, 0.5)
    """
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def _optimizer(job: Job, rate: float, steps: int) -> tuple[Any, Any]:
    """(optimizer, step counter), as `tflearn.regression` takes them from a function."""
    import tensorflow.compat.v1 as tf

    step = tf.Variable(0.0, name="Training_step", trainable=False)
    if job.schedule == "cosine":
        rate = tf.train.cosine_decay(rate, step, steps)
    if job.optimizer == "adam":
        return tf.train.AdamOptimizer(rate, epsilon=1e-7), step  # Keras' epsilon
    momentum = job.momentum if job.optimizer == "momentum" else 0.0
    return tf.train.MomentumOptimizer(rate, momentum), step


if __name__ == "__main__":
    run(Path(sys.argv[1]))
