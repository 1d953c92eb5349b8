"""SavedModels in TensorFlow, their weights frozen into the graph where that is faster."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from benchmarks.worker import NetworkTask, Timed, median_seconds, serve

_FOLDERS = {"tensorflow": "float", "composed": "composed"}


class SavedModel(Timed):
    """A float network, or a binary one in float ops; to freeze it takes many times its weights' memory for a moment."""

    def __init__(self, name: str, task: NetworkTask):
        self._clock = task.clock
        model = tf.saved_model.load(task.path(_FOLDERS[name]))
        function = model.signatures["serving_default"]
        x = tf.constant(task.load("x"))
        (argument,) = function.structured_input_signature[1]
        (result,) = function.structured_outputs
        frozen = convert_variables_to_constants_v2(function)
        # The first way keeps the model, whose variables it reads.
        ways = (lambda model=model: function(**{argument: x})[result], lambda: frozen(x)[0])
        self._run = min(ways, key=self._time)

    def _time(self, run: Callable[[], Any]) -> float:
        for _ in range(3):
            run()
        return median_seconds(lambda: run().numpy(), self._clock)

    def output(self) -> np.ndarray:
        return self._run().numpy()

    def seconds(self) -> "dict[str, float]":
        return {"": median_seconds(self.output, self._clock)}


if __name__ == "__main__":
    serve(SavedModel, lambda: {"tensorflow": tf.__version__, "numpy": np.__version__}, NetworkTask)
