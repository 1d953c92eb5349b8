"""What an image costs each packed network of a table, measured side by side."""

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import bnn_tf
from bnn_tf import machine
from bnn_tf.runtime import PackedModel
from bnn_tf.training import load_model
from bnn_tf.training.training_folder import LAST
from experiments.plan import Run

_ROUNDS = 60


def measure(wanted: Iterable[Run], runs: Path) -> dict[str, Any]:
    """One image a call on one thread; the networks in turn, so that what else the machine does meets all alike.

    Args:
        wanted: of which those with a checkpoint are measured.
        runs: where the trainings' folders lie.

    Returns:
        "cpu", "date", "rounds", and "seconds": the median of each network, by the name of its run.
    """
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        packed, images = {}, {}
        for run in wanted:
            if (runs / run.name / LAST).exists():
                model = load_model(runs / run.name / LAST)
                path = bnn_tf.pack(model, Path(folder) / f"{run.name}.bnn").path
                packed[run.name] = PackedModel(path, threads=1)
                # The size that it was trained with: a packed network may take any.
                images[run.name] = random.random((1, *model.input_shape[1:]), np.float32)
        times: dict[str, list[float]] = {name: [] for name in packed}
        for _ in range(_ROUNDS):
            for name, model in packed.items():
                model.predict(images[name])  # its weights are in the cache again
                begin = time.perf_counter()
                model.predict(images[name])
                times[name].append(time.perf_counter() - begin)
    return {
        "cpu": machine.cpu_name(),
        "date": time.strftime("%Y-%m-%d"),
        "rounds": _ROUNDS,
        "seconds": {name: round(statistics.median(each), 8) for name, each in times.items()},
    }
