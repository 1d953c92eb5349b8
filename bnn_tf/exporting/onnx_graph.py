"""An ONNX graph in the making: constants, nodes with names, windows; channels stand before height and width."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bnn_tf.geometry import same_padding
from bnn_tf.packing.graph import Floats, Node

TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


class OnnxGraph:
    """An ONNX graph in the making.

    Attributes:
        node: what is being converted: its name goes into those of the ONNX nodes.
    """

    def __init__(self) -> None:
        self.node: Node | None = None
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Adds an ONNX node; returns the name of its output."""
        import onnx

        number = len(self._nodes)
        label = self.node.name if self.node else "model"
        output = output or f"{label}/{op}_{number}"
        self._nodes.append(
            onnx.helper.make_node(op, inputs, [output], name=f"{label}/{op}_{number}/node", **attributes)
        )
        return output

    def floats(self, values: Any) -> str:
        """Adds a constant; returns its name."""
        return self._constant(np.asarray(values, np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Adds a constant of integers: a shape, amounts of padding; returns its name."""
        return self._constant(np.asarray(values, np.int64))

    def transposed(self, x: str, order: Sequence[int]) -> str:
        """The tensor with its axes in that order."""
        return self.add("Transpose", x, perm=list(order))

    def channels_last(self, x: str, node: Node) -> str:
        """What `node` gave, in the order that Keras has."""
        return self.transposed(x, _TO_CHANNELS_LAST) if len(node.shape) == 3 else x

    def channels_first(self, x: str, node: Node) -> str:
        """What `node` gives, made in the order that Keras has."""
        return self.transposed(x, TO_CHANNELS_FIRST) if len(node.shape) == 3 else x

    def by_channel(self, values: Floats, node: Node) -> str:
        """A constant with a number for each channel of what `node` gives."""
        return self.floats(values.reshape(-1, 1, 1) if len(node.shape) == 3 else values)

    def proto(self, name: str, input_shape: Sequence[int | str], output_shape: Sequence[int | str]) -> Any:
        """The `GraphProto`."""
        import onnx

        ends = [
            onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape)
            for end, shape in (("input", input_shape), ("output", output_shape))
        ]
        return onnx.helper.make_graph(self._nodes, name, ends[:1], ends[1:], self._weights)

    def _constant(self, values: Any) -> str:
        import onnx

        name = f"{self.node.name if self.node else 'model'}/constant_{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def window_attributes(node: Node) -> dict[str, Any]:
    """`strides`, `kernel_shape`, `dilations` and `pads` of a window, as ONNX has them."""
    window = node.attributes["window"]
    attributes = {"kernel_shape": window["kernel"], "strides": window["strides"]}
    dilations = window.get("dilations", [1, 1])
    if math.prod(dilations) > 1:
        attributes["dilations"] = dilations
    padding = window["padding"]
    if padding == "same":
        sizes = node.inputs[0].shape[:2]
        if None in sizes:
            return {**attributes, "auto_pad": "SAME_UPPER"}
        given = zip(sizes, window["kernel"], window["strides"], dilations, strict=True)
        (top, bottom), (left, right) = (same_padding(*each) for each in given)  # type: ignore[arg-type]
        padding = [top, bottom, left, right]
    elif padding == "valid":
        padding = [0, 0, 0, 0]
    top, bottom, left, right = padding
    return {**attributes, "pads": [top, left, bottom, right]}
