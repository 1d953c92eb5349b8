"""What the scripts beside this one share: their options, their data, and a training in TFLearn."""

import argparse
from pathlib import Path

import numpy as np

from bnn_tf import data
from bnn_tf.frontends import tflearn_training
from bnn_tf.frontends.tflearn import tflearn
from bnn_tf.models import SCHEMES


def options(description, *, data_set, epochs, batch_size=128):
    """The options of a script; the defaults are what its network was published with."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scheme", choices=SCHEMES, default="bwn")
    parser.add_argument(
        "--data", default=data_set, help="a name that `bnn-tf data` lists, or a folder of class folders"
    )
    parser.add_argument("--data-dir", help="where the data sets lie")
    parser.add_argument("--images", type=int, help="train and test on so many images alone")
    parser.add_argument("--width", type=float, default=1.0, help="times the feature maps")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/tflearn"), help="for the checkpoint and the events")
    return parser


class Images:
    """A data set, normalised, as TFLearn takes it."""

    def __init__(self, chosen):
        loaded = data.load(chosen.data, chosen.data_dir)
        count = chosen.images
        self.x, self.x_test = (loaded.normalize(x[:count]) for x in (loaded.x_train, loaded.x_test))
        self.y = np.eye(loaded.classes, dtype=np.float32)[loaded.y_train[:count]]
        self.labels = loaded.y_test[:count]
        self.shape, self.classes = [None, *loaded.input_shape], loaded.classes


def train(build, optimizer, chosen):
    """Trains the logits that `build(input, images)` returns; saves weights, and logits of the test images."""
    tflearn_training.seed(chosen.seed)
    images = Images(chosen)
    logits = build(tflearn.input_data(images.shape), images)
    net = tflearn.regression(
        logits, optimizer=optimizer, loss="softmax_categorical_crossentropy", batch_size=chosen.batch_size
    )
    model = tflearn.DNN(net, tensorboard_dir=str(chosen.out / "events"))
    model.fit(images.x, images.y, n_epoch=chosen.epochs, show_metric=True, snapshot_epoch=False)
    chosen.out.mkdir(parents=True, exist_ok=True)
    model.save(str(chosen.out / "model"))
    answers = tflearn_training.predict(model, images.x_test)
    np.save(chosen.out / "logits.npy", answers)
    accuracy = (answers.argmax(axis=1) == images.labels).mean()
    print(f"\n{chosen.scheme} on {chosen.data}: test accuracy {accuracy:.2%} after {chosen.epochs} epochs")
    print(f"In {chosen.out}: model.index and its data, logits.npy, events for TensorBoard.")
