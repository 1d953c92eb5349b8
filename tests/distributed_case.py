"""A small training that test_distributed.py repeats in one process, on several devices and in several processes.

As a program it is one of the processes: `python distributed_case.py OPTIONS`, a JSON object of

    folder    where the weights and what this process saw are left, as RANK.npz
    out       the run folder
    resume    whether it is continued
    fate      {"epoch", "step", "signal"}: what the process does to itself then
    patience  seconds that a step may wait for the others
    recipe    what is otherwise in its recipe
"""

import json
import os
import signal
import sys
from pathlib import Path

IMAGES, BATCH, EPOCHS = 51, 16, 3  # the last batch has 3 images: 2 replicas get 2 and 1
RECIPE = {
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": 0.05,
    "optimizer": "momentum",
    "class_weights": (1.0, 2.0, 3.0),
    "label_smoothing": 0.1,
    "layer_rates": {"logits": 0.5},
}


def dataset():
    """Images of three classes, that note in `seen` which of them are asked for."""
    import numpy as np

    from bnn_tf import data

    class Noting(np.ndarray):
        seen: list = []  # noqa: RUF012

        def __getitem__(self, key):
            if isinstance(key, np.ndarray):
                self.seen.append(key.tolist())
            return np.asarray(self)[key]

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, IMAGES)
    x = (rng.integers(0, 200, (IMAGES, 8, 8, 1)) + 20 * y[:, None, None, None]).astype(np.uint8)
    return data.Dataset("case", x.view(Noting), y, x[:21].copy(), y[:21], ("a", "b", "c"))


def network(normalised=False, dropout=0.0):
    """Both kinds of binary convolution, an annealed estimator, clipped weights and a penalty."""
    import keras

    from bnn_tf import layers

    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(6, 3, activation="relu")(images)
    x = layers.BinaryConv2D(8, 3, kernel_constraint=layers.WeightClip(0.2), ste="ede")(x)
    x = keras.layers.ReLU()(x)
    if normalised:
        x = keras.layers.BatchNormalization(synchronized=normalised == "synchronized")(x)
    x = layers.BinaryConvInput2D(8, 3)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=1)(x)
    return keras.Model(images, keras.layers.Dense(3, kernel_regularizer="l2", name="logits")(x))


def main(options):
    import keras
    import numpy as np
    import tensorflow as tf

    from bnn_tf import training
    from bnn_tf.errors import ArgumentError

    class Fate(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if {"epoch": self.epoch, "step": batch}.items() <= options.get("fate", {}).items():
                os.kill(os.getpid(), getattr(signal, options["fate"]["signal"]))

    try:
        workers = training.join("multiworker")
        if "patience" in options:
            limit = {"timeout_seconds": options["patience"]}
            workers.options = tf.distribute.experimental.CommunicationOptions(**limit)
        data, model = dataset(), network()
        result = training.train(
            model,
            data,
            training.Recipe(**RECIPE | options.get("recipe", {})),
            out=options.get("out"),
            resume=options.get("resume", False),
            progress="case",
            callbacks=[Fate()],
            distribute="multiworker",
        )
    except (ArgumentError, training.WorkerLostError) as error:
        print(error)
        return 3
    rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    weights = {f"weight{index}": value for index, value in enumerate(model.get_weights())}
    seen = json.dumps(data.x_train.seen)
    np.savez(Path(options["folder"]) / f"{rank}.npz", seen=seen, history=json.dumps(result.history), **weights)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
