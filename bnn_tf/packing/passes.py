"""Nodes folded into their neighbours. None changes what the network computes, but for the rounding of a product.

scale_shift after a convolution or dense layer       into its kernel (or alpha) and bias; alpha may become negative
scale_shift before the sign of a binary input        into that layer's pre_scale and pre_shift
activation                                           into what computes its input
pad                                                  into the window of the convolution or pool behind it
"""

from typing import Any

import numpy as np

from bnn_tf.packing.graph import Floats, Graph, Node

_FLOAT = ("conv2d", "dense")
_BINARY_INPUT = ("binary_conv_input2d", "binary_dense_input")
_BINARY = ("binary_conv2d", "binary_dense", *_BINARY_INPUT)
# What can apply an activation to its own output.
_ACTIVATED = (*_FLOAT, *_BINARY, "scale_shift", "add")


def simplify(graph: Graph) -> None:
    """Runs every pass; the order matters: a batch norm goes into a convolution before its activation does."""
    graph.prune()
    for fold in (_scale_into_producer, _activation_into_producer, _scale_into_signs, _padding_into_window):
        for node in list(graph.nodes):
            fold(graph, node)


def _scale_into_producer(graph: Graph, node: Node) -> None:
    """y = s * (k·x + b) + t = (s k)·x + (s b + t), for each filter; a scale and a shift are a kernel and a bias."""
    if node.op != "scale_shift" or node.attributes["activation"] is not None:
        return
    (producer,) = node.inputs
    if producer.attributes.get("activation") is not None or graph.only_reader(producer) is not node:
        return
    if producer.op == "scale_shift":
        factor, offset = "scale", "shift"
    elif producer.op in (*_FLOAT, *_BINARY):
        factor, offset = "kernel" if producer.op in _FLOAT else "alpha", "bias"
    else:
        return
    scale, shift = (node.attributes[name].astype(np.float64) for name in ("scale", "shift"))
    weights = producer.attributes
    # New arrays: another call of the same layer may hold these too.
    before = 0.0 if weights[offset] is None else weights[offset]
    weights[offset] = _rounded(before * scale + shift)
    weights[factor] = _rounded(weights[factor] * scale)
    graph.bypass(node)
    graph.notes.append(f"{node.name} into {producer.name}")


def _scale_into_signs(graph: Graph, node: Node) -> None:
    """sign(s x + t) is taken where the sign is, if nothing else wants s x + t itself."""
    if node.op != "scale_shift" or node.attributes["activation"] is not None or node is graph.output:
        return
    readers = graph.readers(node)
    if not all(reader.op in _BINARY_INPUT for reader in readers):
        return
    for reader in readers:
        reader.attributes |= {"pre_scale": node.attributes["scale"], "pre_shift": node.attributes["shift"]}
    graph.bypass(node)
    graph.notes.append(f"{node.name} into the sign of {', '.join(reader.name for reader in readers)}")


def _activation_into_producer(graph: Graph, node: Node) -> None:
    if node.op != "activation":
        return
    (producer,) = node.inputs
    if producer.op not in _ACTIVATED or producer.attributes["activation"] is not None:
        return
    if graph.only_reader(producer) is node:
        producer.attributes["activation"] = node.attributes["activation"]
        graph.bypass(node)


def _padding_into_window(graph: Graph, node: Node) -> None:
    """Zeros around an image are what a float convolution sees outside it.

    A max pool sees less than any value there: that is the same where no value is negative and each window sees a pixel.
    """
    if node.op != "pad" or node is graph.output:
        return
    padding = node.attributes["padding"]
    readers = graph.readers(node)
    for reader in readers:
        window = reader.attributes.get("window")
        if window is None or window["padding"] == "same":
            return
        pools = reader.op == "max_pool2d" and _nonnegative(node.inputs[0]) and _narrow(padding, window["kernel"])
        if reader.op not in ("conv2d", "binary_conv2d") and not pools:
            return
    for reader in readers:
        window = reader.attributes["window"]
        inner = [0, 0, 0, 0] if window["padding"] == "valid" else window["padding"]
        total = [outer + own for outer, own in zip(padding, inner, strict=True)]
        reader.attributes["window"] = {**window, "padding": total}
    graph.bypass(node)


def _narrow(padding: list[int], kernel: list[int]) -> bool:
    top, bottom, left, right = padding
    return max(top, bottom) < kernel[0] and max(left, right) < kernel[1]


def _nonnegative(node: Node) -> bool:
    activation: dict[str, Any] = node.attributes.get("activation") or {}
    return activation.get("kind") == "relu" and activation["slope"] == 0


def _rounded(values: Floats) -> Floats:
    return np.asarray(values, np.float32)
