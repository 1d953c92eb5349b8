"""`export`: a trained model in a format that others run."""

import os
from dataclasses import dataclass
from pathlib import Path

import keras

from bnn_tf.cloning import check_built, check_graph
from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.exporting import serving
from bnn_tf.exporting.floats import float_twin, has_binary_layers
from bnn_tf.freezing import frozen_copy
from bnn_tf.placing import check_file, check_folder, placed

# What each format is, in a few words.
FORMATS = {
    "saved_model": "a TensorFlow SavedModel with the C++ ops: one bit a binary weight, as fast as the frozen model",
    "float_saved_model": "a TensorFlow SavedModel of plain float ops",
    "litert": "a LiteRT (TensorFlow Lite) model of plain float ops",
    "onnx": "an ONNX model of plain float ops",
}
_SUFFIXES = {".tflite": "litert", ".onnx": "onnx"}


@dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes:
        path: of the file or folder.
        format: one of `FORMATS`.
        bytes: of all files.
    """

    path: Path
    format: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.path}: {self.bytes:,} bytes, {FORMATS[self.format]}"


def export(model: keras.Model, path: str | os.PathLike[str], format: str | None = None) -> Exported:
    """Writes a trained model for inference elsewhere.

    "saved_model" keeps one bit a binary weight and computes with the C++ ops, whose file goes along: any process with
    the TensorFlow that they were built for loads it, without bnn_tf. The other formats are plain float ops, which run
    anywhere and are as large and as slow as any float model; their outputs are the binary model's to the rounding of
    float32. For one small file that runs without TensorFlow, see `bnn_tf.pack`.

    Args:
        model: a built Sequential or functional Keras model, frozen or not. It stays as it is.
        path: of the file, net.tflite or net.onnx say, or of the SavedModel's folder. A file that is there is replaced
            when the new one is whole; a folder must not be there.
        format: "saved_model", "float_saved_model", "litert" or "onnx"; by default what the path ends with, .tflite or
            .onnx, and else "saved_model".

    Returns:
        An `Exported`: path, format and size.

    Raises:
        ArgumentError: a ValueError that names the layer or op that can't be expressed, for a model that isn't built,
            an unknown format, a path that can't be, and "saved_model" where the C++ ops are missing or nothing is
            binary.
        MissingPartError: an ImportError, for "onnx" without the package onnx.
        OSError: where the path can't be written.

    Example:

    >>> import tempfile
    >>> model = bnn_tf.models.build("lenet", "bwn", width=0.25)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = bnn_tf.export(model, f"{folder}/lenet")
    >>> exported.format
    'saved_model'
    """
    path = Path(path)
    format = format or _SUFFIXES.get(path.suffix, "saved_model")
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    check_built("export", model)
    check_graph("export", model)
    if format == "onnx":
        _export_onnx(model, path)
    elif format == "litert":
        _export_litert(model, path)
    else:
        _export_saved_model(model, path, with_ops=format == "saved_model")
    return Exported(path, format, _bytes(path))


def _export_saved_model(model: keras.Model, path: Path, with_ops: bool) -> None:
    check_folder("export", path)
    serving.check_backend()
    if with_ops:
        if not has_binary_layers(model):
            raise ArgumentError(
                f"export: model {model.name!r} has no binary layer, and so no use for the C++ ops. Export "
                '"float_saved_model".'
            )
        serving.check_ops()
    with placed(path) as part:
        serving.write_saved_model(
            frozen_copy(model, "export") if with_ops else float_twin(model), part, with_ops=with_ops
        )


def _export_litert(model: keras.Model, path: Path) -> None:
    check_file("export", path)
    serving.check_backend()
    with placed(path) as part:
        part.write_bytes(serving.litert(float_twin(model)))


def _export_onnx(model: keras.Model, path: Path) -> None:
    check_file("export", path)
    from bnn_tf.exporting import onnx_model

    with placed(path) as part:
        part.write_bytes(onnx_model.onnx_bytes(model))


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
