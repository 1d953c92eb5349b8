"""What a training is, as `config.json` says it: enough to repeat it, and to tell another one from it."""

import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from bnn_tf.data import Dataset
from bnn_tf.errors import ArgumentError
from bnn_tf.training.environment import environment
from bnn_tf.training.recipe import Recipe

_FORMAT = 1
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def run_config(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    teacher: keras.Model | str | os.PathLike[str] | None,
    description: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `config.json`.

    Args:
        model, dataset, recipe, seed, teacher: what `train` was given.
        description: what the caller adds.

    Returns:
        Values that JSON takes.
    """
    threads = {name: os.environ[name] for name in _THREADS if name in os.environ}
    return {
        "format": _FORMAT,
        "command": description.get("command", " ".join(sys.argv)),
        **{name: value for name, value in description.items() if name != "command"},
        "network": {
            "layers": sum(1 for _ in model._flatten_layers(include_self=False)),
            "parameters": model.count_params(),
            "input_shape": list(model.input_shape[1:]),
            "precision": model.dtype_policy.name,
        },
        "data": {
            "name": dataset.name,
            "train_images": len(dataset.y_train),
            "test_images": len(dataset.y_test),
            "classes": dataset.classes,
            "labels_crc32": zlib.crc32(np.ascontiguousarray(dataset.y_train).tobytes()),
        },
        "recipe": asdict(recipe),
        "seed": seed,
        "teacher": teacher.name if isinstance(teacher, keras.Model) else None if teacher is None else str(teacher),
        "environment": {**environment(), "threads": threads},
    }


@dataclass(frozen=True)
class TrainedOn:
    """What a run's `config.json` says about its data.

    Attributes:
        source: a name or a folder, as `data.load` takes it; None where the run doesn't say.
        options: what `data.load` took besides.
        facts: the data set's name and its numbers of images and classes.
        augment: what the training images went through.
    """

    source: str | None
    options: dict[str, Any]
    facts: dict[str, Any]
    augment: tuple[Any, ...]


def trained_on(config: Any) -> TrainedOn:
    """The data of a run.

    Args:
        config: what `run_config` made, read again.

    Raises:
        ArgumentError: a ValueError, where it is something else.

    Example:

    >>> trained_on({"data": {"name": "digits", "classes": 10}, "recipe": {"augment": ["flip"]}}).source
    'digits'
    """
    try:
        facts, recipe = dict(config["data"]), dict(config["recipe"])
        source, options = config.get("data_source") or facts.get("name"), config.get("data_options") or {}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ArgumentError("The configuration describes no training: it has no data, or no recipe.") from None
    augment = recipe.get("augment") or ()
    if not isinstance(source, str | None) or not isinstance(options, dict) or not isinstance(augment, list | tuple):
        raise ArgumentError(
            "The configuration describes no training: it says that the data are "
            f"{source!r} with the options {options!r}, augmented by {augment!r}."
        )
    return TrainedOn(source, options, facts, tuple(augment))
