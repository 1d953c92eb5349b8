"""Larq Compute Engine: a QuantConv2D with signs in and out of the weights, padded with +1, in its own interpreter.

A dense layer is a 1x1 convolution: there is no binary product. It has no input scale. Of quick layers several stand in
one model, side by side on one input, and the figure is a difference; the input's bits are then packed once for all.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq
import larq_compute_engine as lce
import numpy as np
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter import Interpreter

from benchmarks.worker import Task, Timed, serve, slope

_QUICK = 0.001  # A call from Python takes some 10 us.
_COPIES = 4


class Larq(Timed):
    """A converted model with one layer, and perhaps one with several."""

    def __init__(self, name: str, task: Task):
        self._task, self._x, self._kernel = task, task.load("x"), task.load("kernel")
        if task.dense:
            self._x, self._kernel = self._x[:, None, None], self._kernel[None, None]
        self._models: dict[int, Interpreter] = {}
        self._counts = (0, 1)

    def output(self) -> np.ndarray:
        self._add(1)
        y = self._run(1)[0]
        if slope(self._run, 0, 1, self._task.clock) < _QUICK:
            self._add(_COPIES)
            self._counts = (1, _COPIES)
        return y[:, 0, 0] if self._task.dense else y

    def seconds(self) -> "dict[str, float]":
        return {"": slope(self._run, *self._counts, self._task.clock)}

    def _run(self, count: int) -> "list[np.ndarray]":
        # Interpreter.predict itself would give its interpreter one image after the other.
        return self._models[count].interpreter.predict([self._x]) if count else []

    def _add(self, count: int) -> None:
        """Conversion takes seconds: what one did serves all interpreters of a run."""
        path = os.path.join(self._task.folder, f"larq-{count}.tflite")
        if not os.path.exists(path):
            model = lce.convert_keras_model(self._keras(count))
            with open(path, "wb") as file:
                file.write(model)
        with open(path, "rb") as file:
            self._models[count] = Interpreter(file.read(), num_threads=self._task.threads)

    def _keras(self, count: int) -> tf.keras.Model:
        x = tf.keras.Input(batch_shape=self._x.shape)
        outputs = []
        for copy in range(count):
            layer = larq.layers.QuantConv2D(
                self._task.filters,
                self._kernel.shape[:2],
                strides=self._task.stride,
                padding="same",
                pad_values=1.0,
                groups=self._task.groups,
                input_quantizer="ste_sign",
                kernel_quantizer="ste_sign",
                kernel_constraint="weight_clip",
                use_bias=False,
            )
            outputs.append(layer(x))
            # Other weights in each copy: the converter would make one layer of equal ones.
            layer.set_weights([np.roll(self._kernel, copy, axis=-1)])
        return tf.keras.Model(x, outputs)


if __name__ == "__main__":
    serve(
        Larq,
        lambda: {"larq-compute-engine": lce.__version__, "larq": larq.__version__, "tensorflow": tf.__version__},
    )
