"""How fast a packed model is on this machine, without TensorFlow: latency, images a second, layers, memory."""

import dataclasses
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bnn_tf
from bnn_tf import machine
from bnn_tf.errors import ArgumentError
from bnn_tf.runtime import NodeTime, PackedModel
from bnn_tf.text import shape_text, text_table

_WARM_UP_SECONDS = 0.3
_WARM_UP_RUNS = 3
_FEWEST_RUNS = 10
_PROFILED_RUNS = 30
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Latency:
    """What a run takes, in a table with `print` and as JSON.

    Attributes:
        name: the model's.
        file: its path.
        bytes: of the file.
        isa: the instruction set.
        threads: that a run may use.
        shape: of the input, the batch first.
        milliseconds: of each timed run, in their order.
        warm_up: runs before those.
        peak_memory_bytes: the most that loading and running took above what the process had before, inputs and
            outputs included; None where the system doesn't say, or not of these alone.
        layers: each node's share, of runs of their own.
    """

    name: str
    file: str
    bytes: int
    isa: str
    threads: int
    shape: tuple[int, ...]
    milliseconds: tuple[float, ...]
    warm_up: int
    peak_memory_bytes: int | None
    layers: tuple[NodeTime, ...]

    @property
    def percentiles(self) -> dict[str, float]:
        """Milliseconds: `min`, `p50`, `p90` and `p99` of the runs."""
        p50, p90, p99 = np.percentile(self.milliseconds, (50, 90, 99))
        return {"min": min(self.milliseconds), "p50": float(p50), "p90": float(p90), "p99": float(p99)}

    @property
    def images_per_second(self) -> float:
        """Of all runs together."""
        return 1e3 * self.shape[0] * len(self.milliseconds) / sum(self.milliseconds)

    def to_json(self) -> str:
        """Everything but the single runs."""
        layers = [
            {**dataclasses.asdict(layer), "share": share}
            for layer, share in zip(self.layers, self._shares(), strict=True)
        ]
        environment = {
            "bnn_tf": bnn_tf.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
            "cpu": machine.cpu_name(),
            "cpus": machine.cpu_count(),
        }
        figures = {
            "model": self.name,
            "file": self.file,
            "bytes": self.bytes,
            "isa": self.isa,
            "threads": self.threads,
            "input_shape": self.shape,
            "runs": len(self.milliseconds),
            "warm_up": self.warm_up,
            "milliseconds": self.percentiles,
            "images_per_second": self.images_per_second,
            "peak_memory_bytes": self.peak_memory_bytes,
            "layers": layers,
            "environment": environment,
        }
        return json.dumps(figures, indent=1)

    def __str__(self) -> str:
        header = ("node", "op", "output", "us", "share")
        rows = [
            (layer.name, layer.op, shape_text(layer.output_shape[1:]), f"{layer.microseconds:.1f}", f"{share:.1%}")
            for layer, share in zip(self.layers, self._shares(), strict=True)
        ]
        total = ("total", "", "", f"{sum(layer.microseconds for layer in self.layers):.1f}", "100.0%")
        return "\n".join([*self._head(), "", text_table(header, rows, total, left=3), "", self._where()])

    def _head(self) -> list[str]:
        times = ", ".join(f"{name} {value:.3f}" for name, value in self.percentiles.items())
        peak = "unknown on this system"
        if self.peak_memory_bytes is not None:
            peak = f"{self.peak_memory_bytes / _MEGABYTE:.1f} MB above the process without the model"
        return [
            f"{self.name}: {self.bytes:,} bytes; input {shape_text(self.shape[1:])}, batch {self.shape[0]}",
            f"latency: {times} ms; {len(self.milliseconds)} runs after {self.warm_up} to warm up",
            f"throughput: {self.images_per_second:,.1f} images/s",
            f"peak memory: {peak}",
        ]

    def _where(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{machine.cpu_count()} CPUs, {machine.cpu_name()}; {self.isa}, {threads}."

    def _shares(self) -> list[float]:
        total = sum(layer.microseconds for layer in self.layers) or 1.0
        return [layer.microseconds / total for layer in self.layers]


def measure(
    path: str | Path,
    *,
    batch: int = 1,
    threads: int = 0,
    size: Sequence[int] | None = None,
    seconds: float = 3.0,
    repeats: int | None = None,
) -> Latency:
    """Times a packed model on random inputs.

    Args:
        path: what `bnn_tf.pack` wrote.
        batch: inputs a run.
        threads: that a run may use; 0 for as many as OMP_NUM_THREADS or the machine says.
        size: height and width, where the network takes any or others than its own are wanted.
        seconds: for so long runs are timed, ten of them at least.
        repeats: so many runs are timed instead.

    Raises:
        PackedModelError: a ValueError, for a file that can't be run, and sizes that the network does not take.
        ArgumentError: a ValueError, where the size is missing, `repeats` is below 1 or the batch needs more memory than
            there is.

    Example:

    >>> # print(measure("net.bnn", repeats=100))
    """
    if repeats is not None and repeats < 1:
        raise ArgumentError(f"measure: `repeats` must be at least 1. Got {repeats}.")
    forgotten = machine.forget_peak_memory()
    before = machine.memory_bytes()
    model = PackedModel(path, threads)
    x = _inputs(model, batch, size)

    def run() -> float:
        start = time.perf_counter_ns()
        model.predict(x, batch_size=batch)
        return (time.perf_counter_ns() - start) / 1e6

    warm_up = len(_timed(run, _WARM_UP_SECONDS, _WARM_UP_RUNS))
    milliseconds = _timed(run, seconds, _FEWEST_RUNS) if repeats is None else _timed(run, 0.0, repeats)
    peak = machine.peak_memory_bytes() if forgotten else None  # else it may be of what was before
    return Latency(
        name=model.name,
        file=str(path),
        bytes=model.file_bytes,
        isa=model.isa,
        threads=model.threads,
        shape=x.shape,
        milliseconds=tuple(milliseconds),
        warm_up=warm_up,
        peak_memory_bytes=None if before is None or peak is None else max(0, peak - before),
        layers=tuple(model.profile(x, repeats=min(len(milliseconds), _PROFILED_RUNS))),
    )


def _inputs(model: PackedModel, batch: int, size: Sequence[int] | None) -> "np.ndarray[Any, np.dtype[np.float32]]":
    sizes = model.default_shape if size is None else (*size, model.default_shape[-1])
    shape = (batch, *(each for each in sizes if each is not None))
    if len(shape) <= len(sizes):
        raise ArgumentError(f"{model.name} takes images of any size. Say with `size` which one: 224 224, say.")
    model.memory(batch, size)  # says what is wrong with the size, before anything is allocated
    try:
        return np.random.default_rng(0).standard_normal(shape, np.float32)
    except MemoryError:
        raise ArgumentError(f"A batch of {batch} needs more memory than there is. Use a smaller one.") from None


def _timed(run: Any, seconds: float, fewest: int) -> list[float]:
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < fewest or time.perf_counter() < until:
        times.append(run())
    return times
