"""What an image costs each packed network of a table, measured side by side."""

import functools
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import bnn_tf
from bnn_tf import cli, data, machine
from bnn_tf.commands.train import network
from bnn_tf.runtime import PackedModel
from experiments.plan import Run

_ROUNDS, _THREADS = 60, 1


def measure(wanted: Iterable[Run]) -> dict[str, Any]:
    """One image a call on one thread; the networks in turn, so that what else the machine does meets all alike.

    Args:
        wanted: whose networks are measured, with their initial weights: what is learnt costs no time.

    Returns:
        "cpu", "date", "threads", "rounds", and "seconds": the median of each network, by the name of its run.
    """
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        packed, images = {}, {}
        for run in wanted:
            model = _network(run)
            path = bnn_tf.pack(model, Path(folder) / f"{run.name}.bnn").path
            packed[run.name] = PackedModel(path, threads=_THREADS)
            # The size that it is trained with: a packed network may take any.
            images[run.name] = random.random((1, *model.input_shape[1:]), np.float32)
            keras.backend.clear_session()
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
        "threads": _THREADS,
        "rounds": _ROUNDS,
        "seconds": {name: round(statistics.median(each), 8) for name, each in times.items()},
    }


def _network(run: Run) -> keras.Model:
    options = cli.make_parser().parse_args(run.command("runs"))
    options.warm_start = None  # the weights of a file that need not be there
    return network(options, options.scheme, _dataset(options.data, options.data_dir, **dict(options.data_option)))


@functools.cache
def _dataset(name: str, folder: str | None, **options: Any) -> data.Dataset:
    return data.load(name, folder, **options)
