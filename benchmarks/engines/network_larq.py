"""Larq Compute Engine: BinaryResNetE18, of Larq's layers, in its own interpreter.

Bethge et al., "Back to Simplicity", 2019: a float 7x7 convolution and a max pool, four stages of four binary 3x3
convolutions of 64, 128, 256 and 512 maps with a shortcut around each, a dense layer. Borders of the binary ones count
as +1, as Larq's converter wants it.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from typing import Any

import larq
import larq_compute_engine as lce
import numpy as np
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter import Interpreter

from benchmarks.worker import NetworkTask, Timed, median_seconds, serve

_STAGES = (64, 128, 256, 512)
_CONVOLUTIONS = 4
_CLASSES = 1000


class Larq(Timed):
    """The converted network."""

    def __init__(self, name: str, task: NetworkTask):
        self._clock, self._x = task.clock, task.load("x")
        path = task.path("larq.tflite")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(lce.convert_keras_model(_network(self._x.shape[1:])))
        with open(path, "rb") as file:
            self._model = Interpreter(file.read(), num_threads=task.threads)

    def output(self) -> np.ndarray:
        return self._run()[0]

    def seconds(self) -> "dict[str, float]":
        return {"": median_seconds(self._run, self._clock)}

    def _run(self) -> "list[np.ndarray]":
        return self._model.interpreter.predict([self._x])


def _network(shape: "tuple[int, ...]") -> tf.keras.Model:
    layers = tf.keras.layers
    image = tf.keras.Input(shape, batch_size=1)
    x = layers.Conv2D(_STAGES[0], 7, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.MaxPooling2D(3, strides=2, padding="same")(x))
    for stage, filters in enumerate(_STAGES):
        for index in range(_CONVOLUTIONS):
            x = _binary(x, filters, 2 if stage and not index else 1)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return tf.keras.Model(image, layers.Dense(_CLASSES)(x))


def _binary(x: Any, filters: int, strides: int) -> Any:
    layers = tf.keras.layers
    straight = x
    if strides > 1:
        straight = layers.AveragePooling2D(2, strides=2)(x)
        straight = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(straight))
    y = larq.layers.QuantConv2D(
        filters,
        3,
        strides=strides,
        padding="same",
        pad_values=1.0,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        use_bias=False,
    )(x)
    return layers.Add()([layers.BatchNormalization()(y), straight])


if __name__ == "__main__":
    serve(
        Larq,
        lambda: {"larq-compute-engine": lce.__version__, "larq": larq.__version__, "tensorflow": tf.__version__},
        NetworkTask,
    )
