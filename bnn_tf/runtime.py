"""Runs packed models, the files that `bnn_tf.pack` writes: NumPy alone, without TensorFlow and Keras.

    model = PackedModel("net.bnn")
    scores = model.predict(images)

The file is mapped into memory, so that a model of one bit a weight takes little more memory than its file, and
processes that run the same file share it. Format: docs/packed-format.md.
"""

import json
import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn_tf import loading
from bnn_tf.errors import ArgumentError, UserError
from bnn_tf.text import shape_text, text_table

# The attributes that may hold the number of a tensor.
_TENSORS = ("bits", "kernel", "alpha", "bias", "scale", "shift", "pre_scale", "pre_shift")
# More than a machine has processors make no difference but in memory, which is planned for each.
_MOST_THREADS = 1024


class PackedModelError(UserError, ValueError):
    """A file that can't be run, or an input that does not fit it: the message says which and why."""


@dataclass(frozen=True)
class NodeTime:
    """What one node of the graph took.

    Args:
        name: str, the layer's name.
        op: str, its op in the file.
        output_shape: tuple, of this run.
        microseconds: float, the median over the repeats.
        output_bits: int, of each value of the output in memory: 32 for floats, 1 for signs.
        output_bytes: int, that the output takes in memory.

    Example:

    >>> NodeTime("conv1", "conv2d", (1, 112, 112, 64), 950.0, 32, 3_211_264).microseconds
    """

    name: str
    op: str
    output_shape: tuple[int, ...]
    microseconds: float
    output_bits: int
    output_bytes: int


class PackedModel:
    """A packed model, ready to run; several threads may use it at a time.

    Memory for the activations is planned once for each shape of input, and kept: the next input of that shape runs
    without allocating anything but its output.

    Args:
        path: str or path, a file that `bnn_tf.pack` wrote.
        threads: int, how many a run may use; 0 for as many as OMP_NUM_THREADS or the machine says.

    Raises:
        PackedModelError: for a file that is missing, damaged, no packed model, or of a newer version.
        TypeError: for threads that are no whole number.
        ImportError: where the package was installed without its compiled half.

    Example:

    >>> try:
    ...     PackedModel("missing.bnn")
    ... except PackedModelError as error:
    ...     print(error)   # missing.bnn: can't be opened: No such file or directory.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 0):
        core = loading.core()
        try:
            self._model = core.PackedModel(os.fspath(path), min(operator.index(threads), _MOST_THREADS))
        except ValueError as error:
            raise PackedModelError(str(error)) from None
        self._graph: dict[str, Any] = json.loads(self._model.describe())

    @property
    def name(self) -> str:
        """What the model was called when it was packed."""
        return self._graph["name"]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """`(None, height, width, channels)`: the batch first, `None` where any size will do."""
        shape = self._graph["input"]["shape"]
        free = 2 if self._graph["input"]["resizable"] else 0
        return (None, *(None if axis < free else size for axis, size in enumerate(shape)))

    @property
    def default_shape(self) -> tuple[int | None, ...]:
        """The shape that the model was made for, without the batch: of a resizable one too, where it had a size."""
        return tuple(self._graph["input"]["shape"])

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The output's shape for inputs of `default_shape`, the batch first; `None` where it depends on the input."""
        shapes = self._model.shapes((None, *self.default_shape))
        return tuple(shapes[self._graph["outputs"][0]])

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the scores; empty where none were given."""
        return tuple(self._graph["classes"])

    @property
    def provenance(self) -> dict[str, Any]:
        """What the file says about where it comes from."""
        return {"producer": self._graph["producer"], **self._graph["provenance"]}

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """`mean` and `deviation` of a pixel's channels, applied to uint8 inputs; or `None`.

        Where pictures are to be scaled first, `short_side` says to how many pixels; `predict` does not do that.
        """
        return self._graph["preprocessing"]

    @property
    def file_bytes(self) -> int:
        """The size of the file."""
        return self._model.file_bytes

    @property
    def threads(self) -> int:
        """How many threads a run uses at most."""
        return self._model.threads

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._model.backend

    def predict(self, x: Any, batch_size: int = 32) -> np.ndarray:
        """The output for a batch of inputs.

        Args:
            x: array [batch, height, width, channels] (or as `input_shape` says): floats of any width, as the network
                takes them; or uint8, pixels 0..255, which `preprocessing` is applied to. float32 in C order is not
                copied.
            batch_size: int, how many inputs are computed at a time. Memory grows with it.

        Returns:
            A float32 array [batch, ...].

        Raises:
            PackedModelError: for an input that does not fit.

        Example:

        >>> # scores = model.predict(images); model.classes[scores[0].argmax()]
        """
        if batch_size < 1:
            raise ArgumentError(f"`batch_size` must be at least 1. Got {batch_size}.")
        x = self._batch(x)
        if len(x) <= batch_size and len(x) > 0:
            return self._run(x)
        if len(x) == 0:
            return np.empty((0, *self._output_shape_for(x.shape)[1:]), np.float32)
        first = self._run(x[:batch_size])
        y = np.empty((len(x), *first.shape[1:]), np.float32)
        y[:batch_size] = first
        for start in range(batch_size, len(x), batch_size):
            y[start : start + batch_size] = self._run(x[start : start + batch_size])
        return y

    def profile(self, x: Any, repeats: int = 10) -> list[NodeTime]:
        """How long each node takes, on this machine and with this input.

        Args:
            x: float array, as `predict` takes it; all of it is one batch.
            repeats: int, runs to take the median of, after one that warms up.

        Returns:
            One `NodeTime` for each node, in the order in which they run.

        Raises:
            PackedModelError: for an input that does not fit.

        Example:

        >>> # for node in model.profile(np.zeros((1, 224, 224, 3))): print(node.name, node.microseconds)
        """
        x = self._batch(x)
        try:
            times = self._model.profile(x, repeats)
            shapes, activations = self._model.shapes(x.shape), self._model.activations(x.shape)
        except ValueError as error:
            raise PackedModelError(str(error)) from None
        nodes = self._graph["nodes"]
        return [
            NodeTime(node["name"], node["op"], tuple(shape), time, *memory)
            for node, shape, time, memory in zip(nodes, shapes, times, activations, strict=True)
        ]

    def memory(self, batch: int = 1, size: Sequence[int] | None = None) -> int:
        """Bytes of memory that a run takes beside the weights.

        Args:
            batch: int, inputs at a time.
            size: pair, height and width, where they are not those of `default_shape`.

        Returns:
            The bytes that are allocated when the first input of that shape comes.

        Raises:
            PackedModelError: for a size that the network does not take.

        Example:

        >>> # model.memory(batch=8)
        """
        shape = (batch, *self.default_shape) if size is None else (batch, *size, self.default_shape[-1])
        try:
            return self._model.memory(shape)
        except ValueError as error:
            raise PackedModelError(str(error)) from None

    def summary(self) -> str:
        """A table of the network as text: each node's op, output shape and weights, and the totals.

        What several nodes share counts once in the totals. Behind the shape of an output stands "bits" where a run for
        `default_shape` keeps nothing but its signs.

        Example:

        >>> # print(model.summary())
        """
        nodes = self._graph["nodes"]
        shapes = self._model.shapes((None, *self.default_shape))
        known = None not in self.default_shape
        activations = self._model.activations((1, *self.default_shape)) if known else [(32, 0)] * len(shapes)
        tensors = [_tensors(node) for node in nodes]
        header = ("node", "op", "output", "1-bit weights", "float weights")
        rows = [
            (node["name"], node["op"], shape_text(shape[1:]) + (" bits" if bits == 1 else ""), *self._weights(own))
            for node, shape, own, (bits, _) in zip(nodes, shapes, tensors, activations, strict=True)
        ]
        total = ("total", "", "", *self._weights(set().union(*tensors), none="0"))
        lines = text_table(header, rows, total, left=3).splitlines()
        rule = "-" * len(lines[0])
        title = f"{self.name}: {self.file_bytes:,} bytes, input {self.input_shape}, {self.provenance['producer']}"
        return "\n".join([title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _weights(self, tensors: set[int], none: str = "") -> tuple[str, str]:
        """How many weights of one bit, and of more, are in these tensors."""
        counts = {True: 0, False: 0}
        for tensor in (self._graph["tensors"][index] for index in tensors):
            counts[tensor["dtype"] == "bits"] += math.prod(tensor["shape"])
        binary, real = (f"{counts[kind]:,}" if counts[kind] else none for kind in (True, False))
        return binary, real

    def _batch(self, x: Any) -> np.ndarray:
        x = np.asarray(x)
        shape = self.default_shape
        if x.ndim == 2 and len(shape) == 3 and shape[:2] == (1, 1):
            return x.reshape(-1, 1, 1, x.shape[1])  # vectors lie in the file as images of one pixel
        if x.ndim != len(shape) + 1:
            raise PackedModelError(
                f"{self.name} takes a batch of inputs, of shape {self.input_shape}. Got shape {x.shape}."
                + (" Put a batch before it: x[None]." if x.ndim == len(shape) else "")
            )
        return x

    def _run(self, x: np.ndarray) -> np.ndarray:
        try:
            return self._model.run(x)
        except ValueError as error:
            raise PackedModelError(str(error)) from None

    def _output_shape_for(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        try:
            return tuple(self._model.shapes((1, *shape[1:]))[self._graph["outputs"][0]])
        except ValueError as error:
            raise PackedModelError(str(error)) from None


def _tensors(node: dict[str, Any]) -> set[int]:
    """The numbers of the tensors that a node has, the slopes of its activation among them."""
    if node["op"] == "lrn":  # its alpha and bias are no tensors
        return set()
    activation = node.get("activation") or {}
    slope = activation.get("slope") if activation.get("kind") == "prelu" else None
    return {index for index in (*(node.get(key) for key in _TENSORS), slope) if index is not None}
