"""TensorFlow graphs: the ops of bnn_tf, TensorFlow's float ones, and the binary convolution composed of those."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import bnn_tf
from benchmarks.worker import Task, Timed, serve
from bnn_tf import bench


class Graph(Timed):
    """An op of `bnn_tf.bench.OPS`; the interpreter's threads and instruction set come from the environment."""

    def __init__(self, name: str, task: Task):
        layer = bench.Layer(
            "", tuple(task.image), task.filters, task.kernel and tuple(task.kernel), task.stride, task.groups
        )
        self._op, self._x, self._clock = bench.make_op(name, layer, task.load("kernel")), task.load("x"), task.clock
        self._repeated: Any = None

    def output(self) -> np.ndarray:
        y = self._op(tf.constant(self._x)).numpy()
        self._repeated = bench.Repeated(self._op, self._x, self._clock)
        return y

    def seconds(self) -> dict[str, float]:
        return {"": self._repeated.seconds()}


def versions() -> dict[str, str]:
    from bnn_tf import ops

    info = ops.backend_info()
    return {
        "bnn_tf": bnn_tf.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        **{f"bnn_tf {name}": str(info[name]) for name in ("custom_ops", "isa", "threads", "threading")},
    }


if __name__ == "__main__":
    serve(Graph, versions)
