"""`pack`: a trained model as one small file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import bnn_tf
from bnn_tf.counting.size import model_size
from bnn_tf.errors import ArgumentError
from bnn_tf.packing import weighted, weightless  # noqa: F401  they register the rules
from bnn_tf.packing.converting import convert
from bnn_tf.packing.graph import Floats, Graph
from bnn_tf.packing.passes import simplify
from bnn_tf.packing.report import Report, report
from bnn_tf.packing.writing import Tensors, write
from bnn_tf.placing import check_file

_PREPROCESSING = ("mean", "deviation", "short_side")


@dataclass(frozen=True)
class Packed:
    """A file that `pack` wrote.

    Attributes:
        path: where it lies.
        bytes: its size.
        report: what is in it; print it.
    """

    path: Path
    bytes: int
    report: Report

    def __str__(self) -> str:
        return f"{self.path}: {self.report}"


def pack(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] = (),
    preprocessing: Mapping[str, Any] | None = None,
    float16: bool = False,
) -> Packed:
    """Writes a trained model to a file that runs without TensorFlow, with one bit a binary weight.

    The file's network equals the model: integers exactly, logits to the rounding of float32. Batch normalisations are
    folded into what stands before or behind them, and what works in training only is left out. The model stays as it
    is. `bnn_tf.runtime.PackedModel(path)` runs the file; docs/packed-format.md describes it.

    Args:
        model: a built Sequential or functional Keras model, frozen or not, with one input and one output.
        path: of the file, "net.bnn" say. One that is there is replaced when the new one is whole.
        classes: the names of the outputs, in their order.
        preprocessing: `{"mean": ..., "deviation": ...}`, a number a channel each: what turns pixels 0..255 into what
            the model was trained on, `(x - mean) / deviation`. `"short_side"` besides says to how many pixels the
            shorter side of a picture is scaled before the model's size is cut out of its middle.
        float16: whether the kernels of float layers are kept in half precision; logits then differ by about 1e-3.

    Returns:
        A `Packed`: path, size and report.

    Raises:
        ArgumentError: a ValueError that names the layer that can't be converted, for a model that isn't built or has
            several outputs, and for names or preprocessing that don't fit the model.
        OSError: where the file can't be written.

    Example:

    >>> import tempfile
    >>> model = bnn_tf.models.build("lenet", "bwn")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bnn_tf.pack(model, f"{folder}/lenet.bnn").bytes < 1_000_000
    True
    """
    path = Path(path)
    check_file("pack", path)
    graph = convert(model)
    head = _head(model, graph, classes, preprocessing)
    simplify(graph)
    if not graph.nodes:
        raise ArgumentError(f"pack: model {model.name!r} computes nothing. Expected at least one layer that does.")
    head["input"]["resizable"] = graph.resizable
    if None in graph.input.shape and not graph.resizable:
        raise ArgumentError(
            f"pack: model {model.name!r} takes images of any size, but flattens them. Build it for one size."
        )
    tensors = Tensors(float16)
    size = write(path, graph, tensors, head)
    return Packed(path, size, report(graph, tensors, size, model_size(model)))


def _head(
    model: keras.Model, graph: Graph, classes: Sequence[str], preprocessing: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the file says about the network as a whole."""
    outputs = graph.output.shape[-1]
    if classes and len(classes) != outputs:
        raise ArgumentError(f"pack: `classes` must name each of the {outputs} outputs. Got {len(classes)} names.")
    return {
        "name": model.name,
        "producer": f"bnn_tf {bnn_tf.__version__}",
        "provenance": {"keras": keras.__version__, "backend": keras.backend.backend(), "numpy": np.__version__},
        "classes": [str(name) for name in classes],
        "preprocessing": _checked(preprocessing, graph.input.shape[-1]),
        "input": {"shape": list(graph.input.shape)},
    }


def _checked(preprocessing: Mapping[str, Any] | None, channels: int | None) -> dict[str, Any] | None:
    if preprocessing is None:
        return None
    given = dict(preprocessing) if isinstance(preprocessing, Mapping) else {}
    figures = {name: _numbers(given.get(name, ())) for name in ("mean", "deviation")}
    short_side = given.get("short_side")
    if (
        set(given) - set(_PREPROCESSING)
        or any(len(values) != channels or not np.isfinite(values).all() for values in figures.values())
        or not (figures["deviation"] > 0).all()
        or not (short_side is None or (type(short_side) is int and short_side > 0))
    ):
        raise ArgumentError(
            f'pack: `preprocessing` must be {{"mean": ..., "deviation": ...}} with {channels} finite numbers each, '
            f'one a channel, deviations positive, and if need be "short_side", in pixels. Got {given or preprocessing}.'
        )
    written: dict[str, Any] = {name: values.tolist() for name, values in figures.items()}
    return written if short_side is None else {**written, "short_side": short_side}


def _numbers(values: Any) -> Floats:
    """The values in a row; none where they are something else than numbers."""
    try:
        row = np.ravel(values)
    except ValueError:  # rows of different lengths
        row = np.zeros(0)
    return row.astype(np.float32) if row.dtype.kind in "iuf" else np.zeros(0, np.float32)
