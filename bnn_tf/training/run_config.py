"""What a training is, as `config.json` says it: enough to repeat it, and to tell another one from it."""

import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from bnn_tf.data import Dataset
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
