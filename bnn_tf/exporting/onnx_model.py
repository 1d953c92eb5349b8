"""A model as ONNX, opset 17: the nodes that a packed file would have, each as a few ONNX ops in float32.

Images come in and go out with the channels last, as Keras has them; inside, they stand before height and width.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import bnn_tf
from bnn_tf.errors import ArgumentError, MissingPartError
from bnn_tf.packing.converting import convert
from bnn_tf.packing.graph import Floats, Graph, Node

_OPSET, _IR_VERSION = 17, 8
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


def onnx_bytes(model: keras.Model) -> bytes:
    """The model as a serialized `ModelProto`; its input and output are called "input" and "output".

    Raises:
        MissingPartError: an ImportError, where the package onnx isn't installed.
        ArgumentError: a ValueError that names the layer that can't be converted.
    """
    try:
        import onnx
    except ImportError:
        raise MissingPartError(
            "export: ONNX models are written by the package onnx, which isn't installed: pip install onnx"
        ) from None

    from bnn_tf.exporting.onnx_rules import RULES

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ArgumentError(
            f"export: model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected "
            'one of each for ONNX. "float_saved_model" and "litert" take any number.'
        )
    try:
        graph = convert(model)
    except ArgumentError as error:
        raise ArgumentError(
            f'export: {str(error).removeprefix("pack: ")} "float_saved_model" takes any layer of Keras.'
        ) from None
    made = OnnxGraph()
    values = {id(graph.input): _read_input(made, graph, model)}
    for node in graph.nodes:
        made.node = node
        values[id(node)] = RULES[node.op](made, node, *(values[id(each)] for each in node.inputs))
    made.add("Identity", made.channels_last(values[id(graph.output)], graph.output), output="output")
    proto = onnx.helper.make_model(
        made.proto(model.name, _shape(model.inputs[0].shape[1:]), _shape(graph.output.shape)),
        producer_name="bnn_tf",
        producer_version=bnn_tf.__version__,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _read_input(made: "OnnxGraph", graph: Graph, model: keras.Model) -> str:
    if len(model.inputs[0].shape) == 2:  # the graph reads features as an image of one pixel
        return made.add("Reshape", "input", made.integers((-1, model.inputs[0].shape[1], 1, 1)))
    return made.transposed("input", _TO_CHANNELS_FIRST) if len(graph.input.shape) == 3 else "input"


def _shape(shape: Sequence[int | None]) -> list[int | str]:
    names = ("height", "width", "channels")
    return ["batch", *(names[axis] if size is None else size for axis, size in enumerate(shape))]


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
        return self.transposed(x, _TO_CHANNELS_FIRST) if len(node.shape) == 3 else x

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
    from bnn_tf.geometry import same_padding

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
