"""A model as ONNX, opset 17: the nodes that a packed file would have, each as a few ONNX ops in float32.

Images come in and go out with the channels last, as Keras has them; inside, they stand before height and width.
"""

from collections.abc import Sequence

import keras

import bnn_tf
from bnn_tf.errors import ArgumentError, MissingPartError
from bnn_tf.exporting.onnx_graph import TO_CHANNELS_FIRST, OnnxGraph
from bnn_tf.exporting.onnx_rules import RULES
from bnn_tf.packing.converting import convert
from bnn_tf.packing.graph import Graph

_OPSET, _IR_VERSION = 17, 8


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

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ArgumentError(
            f"export: model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected "
            'one of each for ONNX. "float_saved_model" and "litert" take any number.'
        )
    try:
        graph = convert(model, "export")
    except ArgumentError as error:
        raise ArgumentError(f'{error} "float_saved_model" takes any layer of Keras.') from None
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


def _read_input(made: OnnxGraph, graph: Graph, model: keras.Model) -> str:
    if len(model.inputs[0].shape) == 2:  # the graph reads features as an image of one pixel
        return made.add("Reshape", "input", made.integers((-1, model.inputs[0].shape[1], 1, 1)))
    return made.transposed("input", TO_CHANNELS_FIRST) if len(graph.input.shape) == 3 else "input"


def _shape(shape: Sequence[int | None]) -> list[int | str]:
    names = ("height", "width", "channels")
    return ["batch", *(names[axis] if size is None else size for axis, size in enumerate(shape))]
