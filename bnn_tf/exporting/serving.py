"""A Keras model as a TensorFlow function, and that as a SavedModel or a LiteRT model."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras

from bnn_tf import loading, ops
from bnn_tf.cloning import graph_of
from bnn_tf.errors import ArgumentError

# Where TensorFlow has the files that it keeps with a SavedModel and doesn't read.
EXTRA = "assets.extra"
LIBRARY = "libbnn_tf.so"


def check_backend() -> None:
    """Raises an ArgumentError on Keras' other backends."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ArgumentError(
            f"export: this format is written by TensorFlow, and the Keras backend is {backend}. Load the model in a "
            "process with KERAS_BACKEND=tensorflow and export it there."
        )


def check_ops() -> None:
    """Raises an ArgumentError where the C++ ops aren't in use."""
    info = ops.backend_info()
    if not info["custom_ops"]:
        raise ArgumentError(
            f"export: a SavedModel with the C++ ops needs them here, too, and they are not in use: {info['reason']}. "
            'Export "float_saved_model" instead, which needs none.'
        )


def write_saved_model(model: keras.Model, folder: Path, *, with_ops: bool = False) -> None:
    """Writes a SavedModel with the function `serve` and the signature `serving_default`, its weights once.

    Args:
        model: a functional or Sequential model, for inference.
        folder: that isn't there yet.
        with_ops: whether the file of the C++ ops goes along, to load the SavedModel with.
    """
    import tensorflow as tf

    module, function = _module(model)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": function})
    if with_ops:
        (folder / EXTRA).mkdir()
        shutil.copyfile(loading.tensorflow_library(), folder / EXTRA / LIBRARY)


def litert(model: keras.Model) -> bytes:
    """The model in the format of LiteRT, formerly TensorFlow Lite, with the signature `serving_default`.

    Raises:
        ArgumentError: a ValueError, where LiteRT has not all of its ops; it names them.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="bnn_tf-") as folder:
        saved = Path(folder) / "saved_model"
        write_saved_model(model, saved)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # the converter's own kinds, which it doesn't publish
            raise ArgumentError(
                f"export: LiteRT can't express model {model.name!r}: {_first_lines(error)}. Export "
                '"float_saved_model" or "onnx", or replace the layers that these ops come from.'
            ) from error


def _module(model: keras.Model) -> tuple[Any, Any]:
    """What holds the variables, and the function of the model's inputs."""
    import tensorflow as tf

    inputs = graph_of(model).input
    specs = keras.tree.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype, each.name), inputs)
    module = tf.Module()
    module.serve = tf.function(lambda x: model(x, training=False), input_signature=[specs])
    function = module.serve.get_concrete_function()
    module.model_variables = list(function.graph.variables)
    return module, function


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "ops:" in line] or lines[:1]
    return " ".join(told)[:400].rstrip(".")
