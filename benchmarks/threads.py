"""Whose threads the ops should use inside TensorFlow, OpenMP's or TensorFlow's own: whole models both ways.

    python -m benchmarks.threads [--rounds 20] [--threads 1 2] [--batches 1 32] [--models ...]

prints and saves into results/benchmarks/threads.json

* milliseconds a call, the median of the rounds, of LeNet and of a small ResNet with float layers between the binary
  ones, frozen;
* "alternating": binary convolution, float `tf.nn.conv2d`, and so on, in one graph, over what the two kinds take alone
  (1 where neither disturbs the other; threads that stay awake after a binary op slow the float one that follows).

Each way is a process of its own, since the environment is read once, and both are asked in turn in every round: the
load of the machine then changes for both alike, and a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "results" / "benchmarks" / "threads.json"
WAYS = ("openmp", "tensorflow")
MODELS = ("lenet bwn", "lenet xnor", "resnet bwn", "resnet xnor")
GRAPHS = ("binary", "float", "alternating")
_SECONDS = 0.1  # a round and model, at least

# ---- In the process of one way


def _resnet(scheme: str) -> Any:
    """8 binary 3×3 convolutions with float shortcuts, normalisation and a float first and last layer; 32×32×3."""
    import keras

    from bnn_tf.layers import BinaryConv2D, BinaryConvInput2D

    layers, binary = keras.layers, {"bwn": BinaryConv2D, "xnor": BinaryConvInput2D}[scheme]
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(inputs)
    for filters in (64, 128, 256, 512):
        for stride in (1 if filters == 64 else 2, 1):
            y = layers.BatchNormalization()(x)
            y = binary(filters, 3, strides=stride, padding="same", use_bias=False)(y)
            y = layers.BatchNormalization()(y)
            if stride > 1:
                x = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
            x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _model_call(name: str, batch: int) -> Callable[[], Any]:
    import tensorflow as tf

    import bnn_tf

    kind, scheme = name.split()
    model = _resnet(scheme) if kind == "resnet" else bnn_tf.models.build(kind, scheme)
    x = tf.random.stateless_uniform((batch, *model.input_shape[1:]), (0, 1), -1.0, 1.0)
    frozen = bnn_tf.freeze(model)
    graph = tf.function(lambda x: frozen(x, training=False)).get_concrete_function(x)
    return lambda: graph(x)


def _graph_call(kinds: Sequence[str], batch: int) -> Callable[[], Any]:
    """4 of each kind, in turn where there are two; each takes what the one before gave."""
    import tensorflow as tf

    from bnn_tf import ops

    kernel = tf.random.stateless_uniform((3, 3, 256, 256), (0, 2), -0.03, 0.03)
    packed = ops.pack_kernel(kernel)
    x = tf.random.stateless_uniform((batch, 14, 14, 256), (0, 1), -1.0, 1.0)

    @tf.function
    def graph(x: Any) -> Any:
        for _ in range(4):
            for kind in kinds:
                binary = kind == "binary"
                x = ops.binary_conv_input2d(x, packed) if binary else tf.nn.conv2d(x, kernel, 1, "SAME")
        return x

    concrete = graph.get_concrete_function(x)
    return lambda: concrete(x)


def _call_of(name: str, batch: int) -> Callable[[], Any]:
    if name not in GRAPHS:
        return _model_call(name, batch)
    return _graph_call(("binary", "float") if name == "alternating" else (name,), batch)


def _milliseconds(call: Callable[[], Any]) -> float:
    """The median of calls for a while: a call that was interrupted doesn't count, a habit of interrupting does."""
    times, until = [], time.perf_counter() + _SECONDS
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        call().numpy()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def _serve(threads: int) -> None:
    """Answers `[name, batch]` with milliseconds, line by line, until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print

    import tensorflow as tf

    from bnn_tf import ops
    from bnn_tf.training.environment import environment

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    if not ops.backend_info()["custom_ops"]:
        raise SystemExit(f"benchmarks.threads: the C++ ops did not load: {ops.backend_info()['reason']}")
    calls: dict[tuple[str, int], Callable[[], Any]] = {}
    print(json.dumps(environment()), file=answers, flush=True)
    for line in sys.stdin:
        name, batch = json.loads(line)
        if (name, batch) not in calls:
            calls[name, batch] = _call_of(name, batch)
            _milliseconds(calls[name, batch])
        print(json.dumps(_milliseconds(calls[name, batch])), file=answers, flush=True)


# ---- The one that asks


class _Process:
    def __init__(self, way: str, threads: int):
        environment = os.environ | {
            "BNN_TF_THREADING": way,
            "OMP_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.threads", "--serve", str(threads)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.environment = self._read()

    def milliseconds(self, name: str, batch: int) -> float:
        assert self._process.stdin is not None
        print(json.dumps([name, batch]), file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("benchmarks.threads: a process that was to be timed has ended; see its message above.")
        return json.loads(line)


def measure(threads: int, names: Iterable[str], batches: Iterable[int], rounds: int) -> tuple[list[dict], dict]:
    """(rows, environment): a row holds a model's name, batch, threads, the median of each way and of the ratio."""
    processes = {way: _Process(way, threads) for way in WAYS}
    cases = [(name, batch) for batch in batches for name in names]
    times: dict[tuple[str, int, str], list[float]] = {(*case, way): [] for case in cases for way in WAYS}
    for turn in range(rounds):
        for case in cases:
            for way in WAYS if turn % 2 else reversed(WAYS):
                times[(*case, way)].append(processes[way].milliseconds(*case))
    for process in processes.values():
        process.close()

    rows = []
    for name, batch in cases:
        row: dict[str, Any] = {"model": name, "batch": batch, "threads": threads}
        for way in WAYS:
            row[way] = statistics.median(times[name, batch, way])
            if name == "alternating":
                parts = zip(*(times[kind, batch, way] for kind in GRAPHS), strict=True)
                row[f"{way}_over_parts"] = statistics.median(both / (one + other) for one, other, both in parts)
        pairs = zip(times[name, batch, "openmp"], times[name, batch, "tensorflow"], strict=True)
        row["openmp_over_tensorflow"] = statistics.median(a / b for a, b in pairs)
        rows.append(row)
    return rows, processes["tensorflow"].environment


def _print(row: dict[str, Any]) -> None:
    over = "".join(
        f"   {way} {row[f'{way}_over_parts']:.2f} of its parts" for way in WAYS if f"{way}_over_parts" in row
    )
    print(
        f"{row['model']:12} batch {row['batch']:3} threads {row['threads']}  openmp {row['openmp']:8.3f} ms  "
        f"tensorflow {row['tensorflow']:8.3f} ms  openmp/tensorflow {row['openmp_over_tensorflow']:.2f}{''.join(over)}",
        flush=True,
    )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """The command; see the top of the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.threads", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--models", nargs="+", default=[*MODELS, *GRAPHS], choices=[*MODELS, *GRAPHS])
    parser.add_argument("--out", type=Path, default=OUTPUT)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        return _serve(arguments.serve)
    if "alternating" in arguments.models:
        arguments.models = list(dict.fromkeys([*arguments.models, *GRAPHS]))

    rows, environment = [], {}
    for threads in arguments.threads:
        measured, environment = measure(threads, arguments.models, arguments.batches, arguments.rounds)
        for row in measured:
            _print(row)
        rows += measured
    result = {
        "command": " ".join(["python -m benchmarks.threads", *sys.argv[1:]]),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "environment": environment,
        "load": os.getloadavg(),
        "rounds": arguments.rounds,
        "milliseconds": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"Saved {arguments.out}")


if __name__ == "__main__":
    main()
