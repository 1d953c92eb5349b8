"""Builds the networks of a case once, in the forms that engines read; a process of its own, since TensorFlow stays.

    python -m benchmarks.networks.making FOLDER      reads FOLDER/case.json

writes x.npy, binary.bnn, float/ and composed/ (SavedModels), binary.npy and float.npy (outputs), and made.json.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import bnn_tf
from benchmarks.networks.cases import Case


def make(case: Case, folder: Path) -> None:
    """Writes all files of a case."""
    binary = _with_statistics(bnn_tf.models.build(case.network, case.scheme, **case.options, **case.options_binary))
    beside = _with_statistics(bnn_tf.models.build(case.beside, "float", **case.options))
    x = np.random.default_rng(0).standard_normal((1, *binary.input_shape[1:]), np.float32)
    np.save(folder / "x.npy", x)
    packed = bnn_tf.pack(binary, folder / "binary.bnn")
    bnn_tf.export(beside, folder / "float", "float_saved_model")
    if "composed" in case.figures:
        bnn_tf.export(binary, folder / "composed", "float_saved_model")
    for name, model in (("binary", binary), ("float", beside)):
        np.save(folder / f"{name}.npy", np.asarray(model(x, training=False)))
    made = {
        "input": binary.input_shape[1:],
        "bytes": {"packed": packed.bytes, "own_float": 4 * binary.count_params()},
        "float16_bytes": bnn_tf.pack(binary, folder / "float16.bnn", float16=True).bytes,
    }
    (folder / "made.json").write_text(json.dumps(made), encoding="utf-8")


def _with_statistics(model: keras.Model) -> keras.Model:
    """The same with normalisations as after a training: at their start they would fold into less than they do then."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight, (low, high) in _statistics(layer):
                weight.assign(rng.uniform(low, high, weight.shape))
    return model


def _statistics(layer: Any) -> list[tuple[Any, tuple[float, float]]]:
    parts = [(layer.moving_mean, (-0.2, 0.2)), (layer.moving_variance, (0.5, 2.0))]
    parts += [(layer.gamma, (0.5, 1.5))] if layer.scale else []
    return parts + ([(layer.beta, (-0.2, 0.2))] if layer.center else [])


if __name__ == "__main__":
    where = Path(sys.argv[1])
    make(Case(**json.loads((where / "case.json").read_text(encoding="utf-8"))), where)
