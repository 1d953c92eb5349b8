"""The file: a header, the graph as JSON, the tensors; docs/packed-format.md describes it.

It appears whole or not at all: `bnn_tf.placing`.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bnn_tf.errors import ArgumentError
from bnn_tf.packing.graph import Bits, Floats, Graph, Node
from bnn_tf.placing import placed

MAGIC = b"\x89BNN\r\n\x1a\n"
VERSION = 1
ALIGNMENT = 64
_HEADER = struct.Struct("<8sIIQQQQIII")
_CHECKSUM = struct.Struct("<I")


class Tensors:
    """The data section: each tensor once, however many nodes have it.

    Args:
        float16: whether float kernels take half the bytes.
    """

    def __init__(self, float16: bool = False):
        self.rows: list[dict[str, Any]] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.bytes = 0
        self._float16 = float16
        self._known: dict[tuple[Any, ...], int] = {}

    def number(self, name: str, tensor: Floats | Bits) -> int:
        """The number of a tensor, which is added where it is new; `name` is that of the attribute."""
        if isinstance(tensor, Bits):
            return self._add("bits", tensor.shape, tensor.words.astype("<i4", copy=False))
        if self._float16 and name == "kernel":
            return self._add("float16", tensor.shape, _halved(tensor))
        return self._add("float32", tensor.shape, tensor.astype("<f4", copy=False))

    def _add(self, dtype: str, shape: tuple[int, ...], array: np.ndarray[Any, Any]) -> int:
        array = np.ascontiguousarray(array)
        key = (dtype, shape, hashlib.sha256(array.view(np.uint8).data if array.size else b"").digest())
        if key not in self._known:
            self._known[key] = len(self.rows)
            self.bytes = _aligned(self.bytes)
            self.rows.append({"dtype": dtype, "shape": list(shape), "offset": self.bytes, "bytes": array.nbytes})
            self.arrays.append(array)
            self.bytes += array.nbytes
        return self._known[key]

    def chunks(self) -> Iterator[memoryview]:
        """The data section's bytes, in pieces."""
        position = 0
        for row, array in zip(self.rows, self.arrays, strict=True):
            yield memoryview(bytes(row["offset"] - position))
            yield array.reshape(-1).view(np.uint8).data
            position = row["offset"] + row["bytes"]


def _halved(tensor: Floats) -> Floats:
    with np.errstate(over="ignore"):
        half = tensor.astype("<f2")
    if not np.isfinite(half).all():
        raise ArgumentError(
            f"pack: a weight of {np.abs(tensor).max():g} doesn't fit into float16, which ends at 65504. "
            "Leave float16=True out."
        )
    return half


def write(path: Path, graph: Graph, tensors: Tensors, head: Mapping[str, Any]) -> int:
    """Writes the file; returns its size in bytes.

    Args:
        path: where to; what was there is replaced when the new file is whole.
        graph: the network.
        tensors: an empty data section, which is filled.
        head: what the graph section says besides: name, classes and so on.

    Raises:
        OSError: where it can't be written there; what was there stays.
    """
    text = _graph_text(graph, tensors, head).encode("utf-8")
    checksum = 0
    for chunk in tensors.chunks():
        checksum = zlib.crc32(chunk, checksum)
    data = _aligned(ALIGNMENT + len(text))
    header = _HEADER.pack(
        MAGIC, VERSION, 0, data + tensors.bytes, len(text), data, tensors.bytes, zlib.crc32(text), checksum, 0
    )
    with placed(path) as part, open(part, "wb") as file:
        file.write(header + _CHECKSUM.pack(zlib.crc32(header)))
        file.write(text.ljust(data - ALIGNMENT, b"\0"))
        for chunk in tensors.chunks():
            file.write(chunk)
    return data + tensors.bytes


def _graph_text(graph: Graph, tensors: Tensors, head: Mapping[str, Any]) -> str:
    """JSON with a line for each tensor and node: short, and still readable in an editor."""
    numbers = {id(graph.input): -1} | {id(node): number for number, node in enumerate(graph.nodes)}
    nodes = [_node(node, numbers, tensors) for node in graph.nodes]
    lists = {"tensors": tensors.rows, "nodes": nodes}
    parts = [f"{_json(name)}: {_json(value)}" for name, value in {"format": VERSION, **head}.items()]
    for name, rows in lists.items():
        lines = ",\n".join(map(_json, rows))
        parts.append(f"{_json(name)}: [\n{lines}\n]")
    parts.append(f'"outputs": [{numbers[id(graph.output)]}]')
    return "{" + ",\n".join(parts) + "}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _node(node: Node, numbers: Mapping[int, int], tensors: Tensors) -> dict[str, Any]:
    attributes = {name: _numbered(name, value, tensors) for name, value in node.attributes.items()}
    return {"op": node.op, "name": node.name, "inputs": [numbers[id(each)] for each in node.inputs], **attributes}


def _numbered(name: str, value: Any, tensors: Tensors) -> Any:
    """An attribute with numbers in the place of tensors."""
    if isinstance(value, (np.ndarray, Bits)):
        return tensors.number(name, value)
    if isinstance(value, dict):
        return {inner: _numbered(inner, each, tensors) for inner, each in value.items()}
    return value


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
