"""A packed model: the runtime, without TensorFlow."""

from typing import Any

import numpy as np

import bnn_tf
from benchmarks.worker import NetworkTask, Timed, median_seconds, serve
from bnn_tf.runtime import PackedModel


class Packed(Timed):
    """binary.bnn."""

    def __init__(self, name: str, task: NetworkTask):
        self._model, self._x, self._clock = (
            PackedModel(task.path("binary.bnn"), task.threads),
            task.load("x"),
            task.clock,
        )

    def output(self) -> np.ndarray:
        return self._run()

    def seconds(self) -> "dict[str, float]":
        return {"": median_seconds(self._run, self._clock)}

    def _run(self) -> Any:
        return self._model.predict(self._x)


if __name__ == "__main__":
    serve(Packed, lambda: {"bnn_tf": bnn_tf.__version__, "numpy": np.__version__}, NetworkTask)
