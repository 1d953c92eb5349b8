"""Packed model files written from docs/packed-format.md alone: independent of `bnn_tf.packing`."""

import json
import struct
import zlib

import numpy as np

RELU = {"kind": "relu", "max": None, "slope": 0.0}


def pack_bits(kernel, groups=1):
    """[kh, kw, c / groups, filters] of floats -> uint32 words [group][block][word][lane]."""
    run, filters = int(np.prod(kernel.shape[:-1])), kernel.shape[-1] // groups
    words, blocks = -(-run // 32), -(-filters // 16)
    minus = np.zeros((groups, blocks * 16, words * 32), np.uint64)
    signs = ~(kernel.reshape(run, groups, filters) >= 0)
    minus[:, :filters, :run] = signs.transpose(1, 2, 0)
    values = (minus.reshape(groups, blocks, 16, words, 32) << np.arange(32, dtype=np.uint64)).sum(-1)
    return np.ascontiguousarray(values.transpose(0, 1, 3, 2)).astype("<u4")


def window(kernel, strides=(1, 1), padding="same", dilations=(1, 1)):
    padding = padding if isinstance(padding, str) else [amount for pair in padding for amount in pair]
    return {"kernel": list(kernel), "strides": list(strides), "dilations": list(dilations), "padding": padding}


class Writer:
    """Collects nodes and tensors; `bytes()` is the file."""

    def __init__(self, shape, resizable=False, **head):
        self.graph = {
            "format": 1,
            "name": "test",
            "producer": "tests",
            "provenance": {"made": "by hand"},
            "classes": [],
            "preprocessing": None,
            "input": {"shape": list(shape), "resizable": resizable},
            "tensors": [],
            "nodes": [],
            "outputs": [0],
            **head,
        }
        self.data = b""

    def tensor(self, array, dtype="float32", shape=None):
        self.data = self.data.ljust(-(-len(self.data) // 64) * 64, b"\0")
        array = array if dtype == "bits" else np.ascontiguousarray(array, {"float32": "<f4", "float16": "<f2"}[dtype])
        row = {"dtype": dtype, "shape": list(array.shape if shape is None else shape), "offset": len(self.data)}
        self.graph["tensors"].append({**row, "bytes": array.nbytes})
        self.data += array.tobytes()
        return len(self.graph["tensors"]) - 1

    def bits(self, kernel, groups=1):
        shape = kernel.shape if kernel.ndim == 4 else (1, 1, *kernel.shape)
        return self.tensor(pack_bits(kernel, groups), "bits", shape)

    def node(self, op, *inputs, name=None, **attributes):
        number = len(self.graph["nodes"])
        inputs = list(inputs) or [number - 1]
        self.graph["nodes"].append({"op": op, "name": name or f"{op}_{number}", "inputs": inputs, **attributes})
        self.graph["outputs"] = [number]
        return number

    def bytes(self):
        text = json.dumps(self.graph).encode()
        offset = -(-(64 + len(text)) // 64) * 64
        head = b"\x89BNN\r\n\x1a\n" + struct.pack("<IIQQQ", 1, 0, offset + len(self.data), len(text), offset)
        head += struct.pack("<QIII", len(self.data), zlib.crc32(text), zlib.crc32(self.data), 0)
        head += struct.pack("<I", zlib.crc32(head))
        return (head + text).ljust(offset, b"\0") + self.data
