"""Training a Keras network's twin in TFLearn, in a process of its own, and taking its weights back.

TFLearn switches its process to TensorFlow 1. What it trains comes back as a checkpoint, so that everything else
(reports, sizes, speeds, files) is that of the Keras network.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from bnn_tf.data import Dataset
from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.frontends import checkpoints, tflearn_compat
from bnn_tf.frontends.tflearn_training import ARRAYS, DONE, JOB, OPTIMIZERS, SCHEDULES, WEIGHTS, Job
from bnn_tf.training.divergence import DivergedError
from bnn_tf.training.fit import Training
from bnn_tf.training.grid import Cell, model_spec
from bnn_tf.training.recipe import Recipe

FRONTENDS = ("keras", "tflearn")
# The networks that TFLearn's front end has, with the options that it knows.
_NETWORKS = {"lenet": {"dropout"}}
# What of a recipe it can follow.
_FOLLOWED = {"epochs", "batch_size", "learning_rate", "optimizer", "schedule", "momentum"}


class TFLearnError(RuntimeError):
    """The process that trains in TFLearn failed; the message ends with what it said."""


def check_frontend(
    frontend: str, networks: Iterable[str], recipes: Mapping[str, Recipe], precision: str = "float32"
) -> None:
    """Raises an error where a front end can't train these networks in this way.

    Args:
        frontend: one of `FRONTENDS`.
        networks: their names, perhaps with options; see `grid.model_spec`.
        recipes: by data set.
        precision: of the layers.

    Raises:
        ArgumentError: a ValueError, for what it doesn't have.
        MissingTFLearnError: an ImportError, where TFLearn isn't installed.

    Example:

    >>> check_frontend("keras", ["alexnet"], {"digits": Recipe(label_smoothing=0.1)})
    """
    if frontend not in FRONTENDS:
        raise unknown_name("front end", frontend, FRONTENDS)
    if frontend == "keras":
        return
    tflearn_compat.check_installed()
    if precision != "float32":
        raise ArgumentError(f"The TFLearn front end computes in float32. Got precision={precision}.")
    for name, options in map(model_spec, networks):
        if name not in _NETWORKS or set(options) - _NETWORKS[name]:
            known = ", ".join(f"{each} (options: {', '.join(sorted(keys))})" for each, keys in _NETWORKS.items())
            raise ArgumentError(f"The TFLearn front end has no {name} with these options. It has {known}.")
    for data, recipe in recipes.items():
        _check_recipe(data, recipe)


def _check_recipe(data: str, recipe: Recipe) -> None:
    plain = Recipe()
    for field in dataclasses.fields(Recipe):
        if field.name not in _FOLLOWED and getattr(recipe, field.name) != getattr(plain, field.name):
            raise ArgumentError(
                f"The TFLearn front end can't follow {field.name}={getattr(recipe, field.name)!r} ({data}). It knows "
                f"{', '.join(sorted(_FOLLOWED))}."
            )
    for what, name, known in (("optimizer", recipe.optimizer, OPTIMIZERS), ("schedule", recipe.schedule, SCHEDULES)):
        if name not in known:
            raise unknown_name(f"{what} of the TFLearn front end", name, known)


def train_in_tflearn(
    model: keras.Model, dataset: Dataset, recipe: Recipe, cell: Cell, progress: str | None = None
) -> Training:
    """Trains the same network in TFLearn, from its own initial weights, and gives `model` what it has learnt.

    Args:
        model: the Keras network of that name, scheme and options.
        dataset: what to train on; its test set is evaluated after each epoch.
        recipe: as `check_frontend` accepts it.
        cell: says which network it is, and the seed of initial weights, dropout and the order of the images.
        progress: what stands before each epoch's line on standard error; None for silence.

    Returns:
        A `Training`.

    Raises:
        TFLearnError: a RuntimeError, where the process fails.
        DivergedError: an ArithmeticError; the weights are those before that epoch.
    """
    network, options = model_spec(cell.model)
    followed = {name: getattr(recipe, name) for name in _FOLLOWED}
    job = Job(network, {**options, "width": cell.width}, cell.scheme, dataset.classes, cell.seed, **followed)
    with tempfile.TemporaryDirectory(prefix="bnn_tf-tflearn-") as place:
        folder = Path(place)
        images = (
            dataset.normalize(dataset.x_train),
            dataset.y_train,
            dataset.normalize(dataset.x_test),
            dataset.y_test,
        )
        for array, values in zip(ARRAYS, images, strict=True):
            np.save(folder / f"{array}.npy", np.asarray(values))
        (folder / JOB).write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")
        _run(folder, progress)
        done = json.loads((folder / DONE).read_text(encoding="utf-8"))
        checkpoints.to_keras(folder / WEIGHTS, model)
    if done["diverged"]:
        raise DivergedError(done["diverged"])
    accuracies = done["history"]["val_accuracy"]
    return Training(done["history"], done["seconds"], 1 + accuracies.index(max(accuracies)))


def _run(folder: Path, progress: str | None) -> None:
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", "bnn_tf.frontends.tflearn_training", str(folder)]
    with open(folder / "errors", "w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if progress is not None:
                        print(f"{progress}, TFLearn: {line}", end="", file=sys.stderr, flush=True)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            said = "".join(errors.readlines()[-20:]).strip()
            raise TFLearnError(f"TFLearn's process ended with {process.returncode}:\n{said}")
