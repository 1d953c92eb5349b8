"""How fast the binary ops are on this machine, beside TensorFlow's float ones, in one run.

The Python call is out of every figure, for all alike: an op is repeated inside one graph, each after the one before,
and the figure is the difference between a long and a short repetition, an op. That the time does grow with the
repetitions is checked. One thread is timed by the processor's clock, which other programs on the machine disturb less;
several by the clock on the wall. Even so the speed of a shared machine drifts, and the ratio of two ops timed one after
the other doesn't: the ops are timed in turn, round by round, and a ratio is the median of the rounds' ratios.
"""

import dataclasses
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnn_tf.errors import ArgumentError
from bnn_tf.text import text_table

# What can be timed: the ops of this package with a packed kernel and with a float one (packed in the call),
# TensorFlow's, and the binary convolution composed of TensorFlow's.
OPS = ("xnor", "xnor_float_kernel", "bwn", "bwn_float_kernel", "tensorflow", "composed_xnor")
BASELINE = "tensorflow"

_SECONDS = 0.05  # a round and op, at least
# Ops in the two graphs, for ops of at least so many seconds. The Python call is 0.1 ms: beside slow ops it is small,
# and few repetitions do; beside the slowest it is nothing. Those of quick ones take milliseconds together, for threads
# wake up early or late by a tenth of one.
_REPETITIONS = ((0.1, (0, 1)), (0.005, (1, 3)), (0.0005, (4, 12)), (0.0, (4, 44)))
_PATIENCE, _FEWEST = 3.0, 5  # seconds, rounds: what single times say by chance doesn't count


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution with SAME padding, or a dense layer where `image` is (1, 1, channels) and `kernel` is None.

    Attributes:
        network: whose layer it is.
        image: (height, width, channels) of the input.
        filters: channels of the output.
        kernel: (height, width).
        stride: along both axes.
        groups: divides channels and filters.
    """

    network: str
    image: tuple[int, int, int]
    filters: int
    kernel: tuple[int, int] | None = (3, 3)
    stride: int = 1
    groups: int = 1

    @property
    def name(self) -> str:
        """For example "14x14x256, 3x3, 256" or "dense 4096, 4096"."""
        height, width, channels = self.image
        if self.kernel is None:
            return f"dense {channels}, {self.filters}"
        stride = f"/{self.stride}" if self.stride > 1 else ""
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"{height}x{width}x{channels}, {self.kernel[0]}x{self.kernel[1]}{stride}, {self.filters}{groups}"

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """HWIO, or [channels, units]."""
        if self.kernel is None:
            return self.image[2], self.filters
        return *self.kernel, self.image[2] // self.groups, self.filters

    @property
    def output(self) -> tuple[int, int]:
        """(height, width) of the output."""
        return -(-self.image[0] // self.stride), -(-self.image[1] // self.stride)

    def operations(self, batch: int) -> int:
        """Two a multiply-add, padding counted as if it were image."""
        return 2 * batch * self.output[0] * self.output[1] * int(np.prod(self.kernel_shape))


RESNET18 = tuple(
    Layer("ResNet-18", (size, size, width), width) for size, width in ((56, 64), (28, 128), (14, 256), (7, 512))
)
CIFAR_RESNET = tuple(Layer("CIFAR ResNet", (size, size, width), width) for size, width in ((32, 16), (16, 32), (8, 64)))


def select(layers: Iterable[Layer], parts: Sequence[str] | None) -> list[Layer]:
    """The layers whose names contain one of `parts`; all of them where it is None or empty.

    Raises:
        ArgumentError: a ValueError, where a part is in no name.

    Example:

    >>> [layer.name for layer in select(RESNET18, ["14x14"])]   # ['14x14x256, 3x3, 256']
    """
    layers = list(layers)
    for part in parts or ():
        if not any(part in layer.name for layer in layers):
            raise ArgumentError(f"No layer {part!r}. There are: {'; '.join(layer.name for layer in layers)}.")
    return [layer for layer in layers if not parts or any(part in layer.name for part in parts)]


def limit_threads(threads: int) -> None:
    """How many threads TensorFlow and the C++ ops may use; of no effect once TensorFlow is loaded."""
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(threads)


def clock_for(threads: int) -> Callable[[], float]:
    """The processor's clock for one thread, the one on the wall for several."""
    return time.process_time if threads == 1 else time.perf_counter


def tensors(layer: Layer, batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A float32 input and a kernel of normal values."""
    rng = np.random.default_rng(seed)
    shape = (batch, layer.image[2]) if layer.kernel is None else (batch, *layer.image)
    return rng.standard_normal(shape, np.float32), rng.standard_normal(layer.kernel_shape, np.float32)


def make_op(name: str, layer: Layer, kernel: np.ndarray) -> Callable[[Any], Any]:
    """The op called `name` as a function of the input alone.

    Raises:
        ArgumentError: a ValueError, for a name that is not one of `OPS`.
    """
    import keras
    import tensorflow as tf

    from bnn_tf import ops

    if name not in OPS:
        raise ArgumentError(f"No op {name!r}. There are: {', '.join(OPS)}.")
    if keras.backend.backend() != "tensorflow":
        raise ArgumentError(f"Only TensorFlow's ops can be timed, and the Keras backend is {keras.backend.backend()}.")
    weights = tf.constant(kernel)
    dense = layer.kernel is None
    if name == "tensorflow":
        if dense:
            return lambda x: tf.matmul(x, weights)
        return lambda x: tf.nn.conv2d(x, weights, layer.stride, "SAME")  # groups follow from the shapes
    window = {} if dense else {"strides": layer.stride, "groups": layer.groups}
    binary_input = "xnor" in name
    if dense:
        run: Any = ops.binary_dense_input if binary_input else ops.binary_dense
    else:
        run = ops.binary_conv_input2d if binary_input else ops.binary_conv2d
    if name == "composed_xnor":

        def composed(x: Any) -> Any:
            with ops.composed_path():
                return run(x, weights, **window)

        return composed
    used = weights if name.endswith("float_kernel") else ops.pack_kernel(weights, groups=layer.groups)
    return lambda x: run(x, used, **window)


def check(name: str, layer: Layer, op: Callable[[Any], Any] | None = None) -> None:
    """Compares the op called `name`, or `op` in its place, with its definition, the composed path.

    Raises:
        AssertionError: where it gives something else.
    """
    import tensorflow as tf

    from bnn_tf import ops

    x, kernel = tensors(layer, 1)
    definition = make_op("xnor_float_kernel" if "xnor" in name else "bwn_float_kernel", layer, kernel)
    with ops.composed_path():
        expected = definition(tf.constant(x)).numpy()
    actual = (op or make_op(name, layer, kernel))(tf.constant(x)).numpy()
    # Sums of some thousand float32 in another order.
    atol = 1e-5 * float(np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=atol, err_msg=f"{name}, {layer.name}")


class NotLinearError(AssertionError):
    """The time of a repeated op doesn't grow with the repetitions: something runs it less often than it says."""


class Repeated:
    """An op repeated inside one graph, to be timed.

    Args:
        op: a function of one tensor.
        x: its input.
        clock: gives seconds, as `clock_for` chooses.

    Raises:
        NotLinearError: an AssertionError, where the time does not grow with the repetitions.

    Example:

    >>> x, kernel = tensors(CIFAR_RESNET[2], 1)
    >>> Repeated(make_op("xnor", CIFAR_RESNET[2], kernel), x).seconds()   # of one op
    """

    def __init__(self, op: Callable[[Any], Any], x: np.ndarray, clock: Callable[[], float] = time.perf_counter):
        import tensorflow as tf

        # Grappler would see that the repetitions are alike and run one.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        self._op, self._x, self._clock = op, tf.constant(x), clock
        self._graphs: dict[int, Any] = {}
        for count in (0, 1):
            self._add(count)
        one = min(self._time(1) for _ in range(3))
        self._short, self._long = next(counts for seconds, counts in _REPETITIONS if one >= seconds)
        for count in (self._short, self._long):
            self._add(count)
        self._check_linear()

    def _add(self, count: int) -> None:
        import tensorflow as tf

        if count in self._graphs:
            return

        @tf.function
        def graph(x: Any) -> Any:
            y = x
            for _ in range(count):
                with tf.control_dependencies([y]):
                    y = self._op(tf.identity(x))
            return tf.reshape(y, [-1])[0]

        self._graphs[count] = graph.get_concrete_function(self._x)
        self._time(count)

    def _time(self, count: int) -> float:
        start = self._clock()
        self._graphs[count](self._x).numpy()
        return self._clock() - start

    def _check_linear(self) -> None:
        """On a busy machine single times say little: the best of several get some time to agree."""
        best, until = dict.fromkeys(self._graphs, float("inf")), time.perf_counter() + _PATIENCE
        for taken in itertools.count(1):
            best = {count: min(seconds, self._time(count)) for count, seconds in best.items()}
            late = time.perf_counter() > until
            if (late or taken >= _FEWEST) and is_linear(best):
                return
            if late:
                break
        times = ", ".join(f"{count}: {seconds * 1e6:.0f}" for count, seconds in sorted(best.items()))
        raise NotLinearError(
            "The time of an op repeated in one graph must grow with the repetitions. Got, in us for each number of "
            f"them, {times}."
        )

    def seconds(self) -> float:
        """Of one op: the best long run less the best short one, over what they differ in; 0 where something else took
        so much of the machine's time that the long one wasn't longer."""
        shortest, longest, start = float("inf"), float("inf"), time.perf_counter()
        for taken in itertools.count(1):
            shortest, longest = min(shortest, self._time(self._short)), min(longest, self._time(self._long))
            late = time.perf_counter() - start
            if late > _PATIENCE or (late > _SECONDS and taken > 1 and longest > shortest):
                break
        return max(longest - shortest, 0.0) / (self._long - self._short)


def is_linear(times: Mapping[int, float]) -> bool:
    """Whether a repetition costs the same, within a factor of 2, wherever the number of repetitions is increased.

    Args:
        times: seconds for each number of repetitions; of no op, of one, and of more.

    Example:

    >>> is_linear({0: 1e-4, 1: 1e-3, 4: 4e-3, 12: 12e-3})   # True: 1 ms each
    >>> is_linear({0: 1e-4, 1: 1e-3, 4: 1e-3, 12: 1e-3})   # False: it runs once
    """
    counts = sorted(times)
    steps = [(times[b] - times[a]) / (b - a) for a, b in itertools.pairwise(counts)]
    # The call itself varies, and the first op of a graph also wakes a thread, which takes up to 0.1 ms. What is quicker
    # than that can't be judged alone, and is repeated in the same way as what is slower.
    first, rest = steps[0], steps[1:]
    slack = 10e-6 + times[0] / 10
    starts = all(step * 2 + 100e-6 >= first for step in rest)
    return starts and all(a <= 2 * b + slack for a in rest for b in rest)


@dataclasses.dataclass(frozen=True)
class Figure:
    """What the rounds say about an op.

    Attributes:
        seconds: of one op, the median of the rounds.
        times_as_fast: as the baseline: the median of the rounds' ratios; below 1 it is slower. None without a baseline.
    """

    seconds: float
    times_as_fast: float | None


def figures(rounds: Mapping[str, Sequence[float]], baseline: str = BASELINE) -> dict[str, Figure]:
    """Summarises rounds; those of no time have measured nothing, and don't count.

    Args:
        rounds: for each op its seconds round by round; a slow op may have fewer.
        baseline: the op that the others are compared with.

    Example:

    >>> figures({"tensorflow": [4.0, 6.0], "xnor": [1.0, 2.0]})["xnor"].times_as_fast   # 3.5
    """
    base = rounds.get(baseline, ())

    def ratio(values: Sequence[float]) -> float | None:
        ratios = [b / value for b, value in zip(base, values, strict=False) if b > 0 and value > 0]
        return statistics.median(ratios) if ratios else None

    measured = {name: [value for value in values if value > 0] for name, values in rounds.items()}
    return {name: Figure(statistics.median(seen), ratio(rounds[name])) for name, seen in measured.items() if seen}


def compare(
    layer: Layer, batch: int, names: Sequence[str], rounds: int = 5, threads: int | None = None
) -> dict[str, Figure]:
    """Checks the ops called `names`, then times them in turn.

    Args:
        layer, batch: what they compute.
        names: of `OPS`.
        rounds: each op is timed so often.
        threads: those that were set with `limit_threads`, or None.

    Example:

    >>> compare(CIFAR_RESNET[2], 1, ["tensorflow", "xnor"], rounds=2)["xnor"].times_as_fast
    """
    x, kernel = tensors(layer, batch)
    for name in names:
        if name != BASELINE:
            check(name, layer)
    repeated = {name: Repeated(make_op(name, layer, kernel), x, clock_for(threads or 0)) for name in names}
    measured: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, op in repeated.items():
            measured[name].append(op.seconds())
    return figures(measured)


def ops_for(batch: int) -> tuple[str, ...]:
    """What the short comparison times: packed kernels; in a batch, as in training, also float ones."""
    packed = (BASELINE, "xnor", "bwn")
    return packed if batch == 1 else (*packed, "xnor_float_kernel", "bwn_float_kernel")


def table(rows: Mapping[str, Mapping[str, Figure]]) -> str:
    """For each layer its microseconds and how many times as fast as the baseline an op is; below 1 it is slower.

    What couldn't be measured, the machine being busy elsewhere, is "-".
    """
    names = list(dict.fromkeys(name for of in rows.values() for name in of))
    others = [name for name in names if name != BASELINE]
    lines = [["layer", *(f"{name} us" for name in names), *(f"{name} x" for name in others)]]
    for layer, of in rows.items():
        times = [f"{of[name].seconds * 1e6:.1f}" if name in of else "-" for name in names]
        ratios = [of[name].times_as_fast if name in of else None for name in others]
        lines.append([layer, *times, *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
    return text_table(lines[0], lines[1:])


def save(
    path: str | Path, rows: Mapping[str, Mapping[str, Figure]], batch: int, environment: Mapping[str, Any]
) -> None:
    """Writes what `table` shows, and where it was measured, as JSON."""
    figures = {layer: {name: dataclasses.asdict(figure) for name, figure in of.items()} for layer, of in rows.items()}
    results = {"environment": environment, "batch": batch, "layers": figures}
    Path(path).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
