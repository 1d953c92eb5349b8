"""A packed file read and run by NumPy alone, as docs/packed-format.md says: what the runtime and the writer must equal.

It shares nothing with either. Sums are float64, what passes from node to node is float32.
"""

import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from oracle import Windows, sign

DTYPES = {"float32": "<f4", "float16": "<f2", "bits": "<u4", "int32": "<i4"}
WINDOW = {"window"}
CONV = WINDOW | {"groups", "bias", "activation"}
BINARY = {"bits", "alpha", "bias", "activation"}
SIGNS = {"input_scaling", "pre_scale", "pre_shift"}
ATTRIBUTES = {
    "conv2d": CONV | {"kernel"},
    "dense": {"kernel", "bias", "activation"},
    "binary_conv2d": CONV | BINARY,
    "binary_conv_input2d": CONV | BINARY | SIGNS | {"pad_value"},
    "binary_dense": BINARY,
    "binary_dense_input": BINARY | SIGNS,
    "max_pool2d": WINDOW,
    "average_pool2d": WINDOW,
    "global_average_pool": {"keepdims"},
    "global_max_pool": {"keepdims"},
    "scale_shift": {"scale", "shift", "activation"},
    "activation": {"activation"},
    "add": {"activation"},
    "multiply": set(),
    "subtract": set(),
    "maximum": set(),
    "average": set(),
    "concat": {"axis"},
    "lrn": {"depth_radius", "bias", "alpha", "beta"},
    "pad": {"padding"},
    "pad_channels": {"before", "after"},
    "flatten": set(),
    "reshape": {"shape"},
    "windows": {"size", "dilations"},
    "softmax": set(),
}


class PackedFile:
    """The parts of a file, each checked against the header."""

    def __init__(self, path):
        self.path = path
        content = Path(path).read_bytes()
        magic, version, flags, size, graph_bytes, data, data_bytes, graph_crc, data_crc, zero, crc = struct.unpack(
            "<8sIIQQQQIIII", content[:64]
        )
        assert magic == b"\x89BNN\r\n\x1a\n" and (version, flags, zero) == (1, 0, 0)
        assert size == len(content) == data + data_bytes
        assert data % 64 == 0 and data >= 64 + graph_bytes and not any(content[64 + graph_bytes : data])
        text = content[64 : 64 + graph_bytes]
        assert zlib.crc32(content[:60]) == crc
        assert zlib.crc32(text) == graph_crc and zlib.crc32(content[data:]) == data_crc
        self.graph = json.loads(text)
        self.tensors = [self._tensor(content[data:], **row) for row in self.graph["tensors"]]
        self.nodes = self.graph["nodes"]
        for node in self.nodes:
            assert set(node) - {"op", "name", "inputs"} == ATTRIBUTES[node["op"]], node

    @staticmethod
    def _tensor(data, dtype, shape, offset, bytes):
        assert offset % 64 == 0
        array = np.frombuffer(data[offset : offset + bytes], DTYPES[dtype])
        if dtype == "bits":
            return array, shape
        assert array.size == math.prod(shape)
        return array.astype(np.float32).reshape(shape)

    def run(self, x):
        """The output for a batch of images."""
        values = []
        for node in self.nodes:
            inputs = [np.asarray(x, np.float32) if number < 0 else values[number] for number in node["inputs"]]
            values.append(np.asarray(self.node(node, inputs), np.float32))
        (output,) = self.graph["outputs"]
        return values[output]

    def node(self, node, inputs):
        """One node's output, its activation included."""
        y = getattr(self, node["op"])(node, *inputs)
        return self.activate(node.get("activation"), np.asarray(y, np.float32))

    def weight(self, node, name):
        number = node[name]
        return None if number is None else self.tensors[number]

    # What has weights.

    def conv2d(self, node, x):
        return convolve(x, self.weight(node, "kernel"), node) + self.bias(node)

    def dense(self, node, x):
        return x.astype(np.float64) @ self.weight(node, "kernel") + self.bias(node)

    def binary_conv2d(self, node, x):
        return convolve(x, self.signs(node), node) * self.weight(node, "alpha") + self.bias(node)

    def binary_conv_input2d(self, node, x):
        x = self.before_sign(node, x)
        kernel = self.signs(node)
        y = convolve(sign(x), kernel, node, node["pad_value"])
        if node["input_scaling"]:
            groups, (kh, kw) = node["groups"], kernel.shape[:2]
            means = np.abs(x.astype(np.float64)).reshape(*x.shape[:3], groups, -1).mean(-1)
            scales = convolve(means, np.full((kh, kw, 1, groups), 1 / (kh * kw)), node)
            y = y * scales.repeat(kernel.shape[3] // groups, -1)
        return y * self.weight(node, "alpha") + self.bias(node)

    def binary_dense(self, node, x):
        return x.astype(np.float64) @ self.signs(node)[0, 0] * self.weight(node, "alpha") + self.bias(node)

    def binary_dense_input(self, node, x):
        x = self.before_sign(node, x)
        y = sign(x) @ self.signs(node)[0, 0]
        if node["input_scaling"]:
            y = y * np.abs(x.astype(np.float64)).mean(-1, keepdims=True)
        return y * self.weight(node, "alpha") + self.bias(node)

    def bias(self, node):
        bias = self.weight(node, "bias")
        return 0.0 if bias is None else bias

    def before_sign(self, node, x):
        scale, shift = self.weight(node, "pre_scale"), self.weight(node, "pre_shift")
        return x if scale is None else x * scale + shift

    def signs(self, node):
        """+1 and -1 of bits[group][block][word][lane]."""
        words, (kh, kw, channels, filters) = self.weight(node, "bits")
        groups, run = node.get("groups", 1), kh * kw * channels
        group_filters = filters // groups
        words = words.reshape(groups, -(-group_filters // 16), -(-run // 32), 16)
        bits = words[..., None] >> np.arange(32, dtype=np.uint32) & 1  # group, block, word, lane, bit
        rows = bits.transpose(2, 4, 0, 1, 3).reshape(-1, groups, words.shape[1] * 16)
        return 1.0 - 2.0 * rows[:run, :, :group_filters].reshape(kh, kw, channels, filters)

    def scale_shift(self, node, x):
        return x * self.weight(node, "scale") + self.weight(node, "shift")

    # What has none.

    def max_pool2d(self, node, x):
        return gathered(x, node["window"], -np.inf).max((2, 4))

    def average_pool2d(self, node, x):
        inside = gathered(np.ones_like(x, np.float64), node["window"], 0.0).sum((2, 4))
        return gathered(x.astype(np.float64), node["window"], 0.0).sum((2, 4)) / inside

    def global_average_pool(self, node, x):
        return x.mean((1, 2), np.float64, keepdims=node["keepdims"])

    def global_max_pool(self, node, x):
        return x.max((1, 2), keepdims=node["keepdims"])

    def add(self, node, *inputs):
        return sum(inputs)

    def multiply(self, node, *inputs):
        return math.prod(inputs)

    def subtract(self, node, x, y):
        return x - y

    def maximum(self, node, *inputs):
        return np.max(inputs, 0)

    def average(self, node, *inputs):
        return sum(inputs) / len(inputs)

    def concat(self, node, *inputs):
        return np.concatenate(inputs, node["axis"])

    def lrn(self, node, x):
        radius, channels = node["depth_radius"], x.shape[-1]
        squares = np.pad(x.astype(np.float64) ** 2, [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
        energy = sum(squares[..., first : first + channels] for first in range(2 * radius + 1))
        return x / (node["bias"] + node["alpha"] * energy) ** node["beta"]

    def pad(self, node, x):
        top, bottom, left, right = node["padding"]
        return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))

    def pad_channels(self, node, x):
        return np.pad(x, ((0, 0), (0, 0), (0, 0), (node["before"], node["after"])))

    def flatten(self, node, x):
        return x.reshape(len(x), -1)

    def reshape(self, node, x):
        return x.reshape(len(x), *node["shape"])

    def windows(self, node, x):
        window = {"kernel": node["size"], "strides": [1, 1], "dilations": node["dilations"], "padding": "valid"}
        taken = gathered(x, window, 0.0)
        return taken.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), taken.shape[1], taken.shape[3], -1)

    def softmax(self, node, x):
        powers = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def activation(self, node, x):
        return x

    def activate(self, activation, x):
        """The activation of float32 values."""
        if activation is None:
            return x
        options = dict(activation)
        kind = options.pop("kind")
        x = x.astype(np.float64)
        if kind == "relu":
            return np.where(x < 0, options["slope"] * x, np.minimum(x, options["max"] or np.inf))
        if kind == "prelu":
            return np.where(x < 0, self.tensors[options["slope"]] * x, x)
        assert not options, activation
        return FUNCTIONS[kind](x)


FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "selu": lambda x: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(x), x),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
}


def gathered(x, window, fill):
    """[n, h, w, c] -> [n, p, i, q, j, c], every window of it."""
    padding = window["padding"]
    if not isinstance(padding, str):
        padding = (padding[:2], padding[2:])
    dilations = window.get("dilations", (1, 1))
    return Windows(x.shape[1:3], window["kernel"], window["strides"], padding, dilations).gather(x, fill)


def convolve(x, kernel, node, outside=0.0):
    """A convolution in float64."""
    kh, kw, channels, filters = kernel.shape
    taken = gathered(x.astype(np.float64), node["window"], outside)
    n, p, _, q, _, _ = taken.shape
    groups = node["groups"]
    rows = taken.reshape(n, p, kh, q, kw, groups, channels).transpose(5, 0, 1, 3, 2, 4, 6)
    rows = rows.reshape(groups, n * p * q, kh * kw * channels)
    columns = kernel.astype(np.float64).reshape(-1, groups, filters // groups).transpose(1, 0, 2)
    return (rows @ columns).reshape(groups, n, p, q, -1).transpose(1, 2, 3, 0, 4).reshape(n, p, q, filters)
