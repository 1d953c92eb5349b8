"""The engine's side of the conversation: a line of JSON in, a line of JSON out.

    {"do": "hello"}                                         -> {"versions": {...}}
    {"do": "prepare", "task": {...}, "names": [...]}        -> {"failed": {name: reason}}, and outputs for the rest
    {"do": "time", "name": ...}                             -> {"seconds": {figure: seconds}}

This file runs in the interpreters of all engines: NumPy and the standard library, nothing newer than they know.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 0.05  # a round and figure, at least; that of bnn_tf.bench too
PATIENCE = 3.0  # until a long run has been longer than a short one


@dataclasses.dataclass
class Task:
    """A layer to time, in plain values.

    Attributes:
        image, filters, kernel, stride, groups: those of `bnn_tf.bench.Layer`.
        batch: images.
        threads: the engine may use.
        folder: holds x.npy (NHWC or [batch, channels]), kernel.npy (HWIO or [channels, units]) and positions.npy, those
            (image, row, column) of the output that are compared with the definition.
    """

    image: tuple[int, int, int]
    filters: int
    kernel: "tuple[int, int] | None"
    stride: int
    groups: int
    batch: int
    threads: int
    folder: str

    def load(self, name: str) -> np.ndarray:
        return np.load(Path(self.folder) / f"{name}.npy")

    def kept(self, y: np.ndarray) -> np.ndarray:
        """What is to be compared of an output."""
        image, row, column = self.load("positions").T
        return y[image] if self.dense else y[image, row, column]

    @property
    def clock(self) -> Callable[[], float]:
        return clock_for(self.threads)

    @property
    def dense(self) -> bool:
        return self.kernel is None

    def padding(self) -> "tuple[tuple[int, int], tuple[int, int]]":
        """((top, left), (bottom, right)) of SAME."""
        pairs = []
        for axis in range(2):
            size, kernel = self.image[axis], self.kernel[axis] if self.kernel else 1
            missing = max(0, (-(-size // self.stride) - 1) * self.stride + kernel - size)
            pairs.append((missing // 2, missing - missing // 2))
        return (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])


@dataclasses.dataclass
class NetworkTask:
    """A network to time.

    Attributes:
        threads: the engine may use.
        folder: holds the input, x.npy, and the network in the forms that engines read.
    """

    threads: int
    folder: str

    def load(self, name: str) -> np.ndarray:
        return np.load(self.path(f"{name}.npy"))

    def path(self, name: str) -> str:
        return str(Path(self.folder) / name)

    def kept(self, y: np.ndarray) -> np.ndarray:
        """What is to be compared of an output: all of it."""
        return y

    @property
    def clock(self) -> Callable[[], float]:
        return clock_for(self.threads)


def clock_for(threads: int) -> Callable[[], float]:
    """The processor's for one thread, which other programs disturb less; the one on the wall for several."""
    return time.process_time if threads == 1 else time.perf_counter


class Timed:
    """What an engine makes of a task under a name of its own."""

    def output(self) -> np.ndarray:
        """[batch, height, width, filters], or [batch, units]."""
        raise NotImplementedError

    def seconds(self) -> "dict[str, float]":
        """One round. The figure "" is the op from float input to float output; others are parts of it."""
        raise NotImplementedError


def slope(run: Callable[[int], Any], short: int, long: int, clock: Callable[[], float]) -> float:
    """Seconds an op: the best of the long runs less the best of the short ones, over what they differ in; 0 where
    something else took so much of the machine's time that the long one wasn't longer.

    Args:
        run: runs a number of ops.
    """

    def timed(count: int) -> float:
        start = clock()
        run(count)
        return clock() - start

    shortest, longest, begun, taken = float("inf"), float("inf"), time.perf_counter(), 0
    while True:
        shortest, longest, taken = min(shortest, timed(short)), min(longest, timed(long)), taken + 1
        late = time.perf_counter() - begun
        if late > PATIENCE or (late > SECONDS and taken > 1 and longest > shortest):
            return max(longest - shortest, 0.0) / (long - short)


def median_seconds(run: Callable[[], Any], clock: Callable[[], float], least: float = 0.2) -> float:
    """Of one call of several: at least three, for at least so many seconds."""
    times: list[float] = []
    until = time.perf_counter() + least
    while len(times) < 3 or time.perf_counter() < until:
        start = clock()
        run()
        times.append(clock() - start)
    return float(np.median(times))


def serve(make: "Callable[[str, Any], Timed]", versions: "Callable[[], dict[str, str]]", kind: type = Task) -> None:
    """Answers until standard input ends.

    Args:
        make: gives what is timed under a name; raises where the engine can't.
        versions: of the packages that matter.
        kind: of the tasks: `Task` or `NetworkTask`.
    """
    # Libraries print: only answers may reach the descriptor that the asker reads.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    ready: dict[str, Timed] = {}

    def prepare(task: Any, names: "list[str]") -> "dict[str, str]":
        ready.clear()
        failed = {}
        for name in names:
            try:
                made = make(name, task)
                np.save(Path(task.folder) / f"{os.getpid()}-{name}.npy", task.kept(made.output()))
                ready[name] = made
            except Exception as error:  # A peer may fail in any way; the others go on.
                failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        return failed

    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "hello":
                answer: dict[str, Any] = {"versions": versions()}
            elif request["do"] == "prepare":
                task = kind(**request["task"])
                answer = {"failed": prepare(task, request["names"]), "pid": os.getpid()}
            elif request["name"] not in ready:
                answer = {"error": "it was started again and has lost what it had prepared"}
            else:
                answer = {"seconds": ready[request["name"]].seconds()}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
