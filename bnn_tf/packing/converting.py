"""From a Keras model to nodes: each call goes through the rule for its layer's class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np

from bnn_tf import cloning
from bnn_tf.errors import ArgumentError
from bnn_tf.packing.graph import Floats, Graph, Node, Shape

_RULES: dict[type, "Rule"] = {}
# Operations of `keras.ops` in functional models (`x + y` is one), by their names: Keras shows no classes of them.
_OPERATIONS: dict[str, "Rule"] = {}
_INSTEAD = (
    "Express it with layers that docs/packed-format.md lists, or pack the model without it and compute it outside."
)


@dataclass
class Step:
    """One call of a layer, while it is converted.

    Attributes:
        layer: what is called.
        name: the call's own.
        inputs: the nodes that give what it is called on.
        shape: of its output, without the batch.
        nodes: those made so far.
        who: converts, as errors name it.
    """

    layer: Any
    name: str
    inputs: list[Node]
    shape: Shape
    nodes: list[Node]
    who: str

    def add(
        self, op: str, inputs: list[Node] | None = None, output: Shape | None = None, part: str = "", **attributes: Any
    ) -> Node:
        """Makes a node: by default of the call's inputs and output shape; `part` tells several of a layer apart."""
        name = f"{self.name}/{part}" if part else self.name
        node = Node(op, name, self.inputs if inputs is None else inputs, self.shape if output is None else output)
        node.attributes = attributes
        self.nodes.append(node)
        return node

    def refusal(self, reason: str, advice: str = _INSTEAD) -> ArgumentError:
        """The error that names the layer."""
        return ArgumentError(
            f"{self.who}: can't convert {self.name!r} ({type(self.layer).__name__}): {reason} {advice}"
        )

    def floats(self, variable: Any, dtype: Any = np.float32) -> Floats:
        """The values of a weight.

        Raises:
            ArgumentError: a ValueError, where they aren't finite.
        """
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(variable), dtype)
        if not np.isfinite(values).all():
            raise self.refusal("a weight isn't a finite number.", "Train the model again: its training diverged.")
        return values


Rule = Callable[[Step], Node]
AnyRule = TypeVar("AnyRule", bound=Rule)


def rule(*classes: type, operations: tuple[str, ...] = ()) -> Callable[[AnyRule], AnyRule]:
    """Makes the decorated function convert these classes of layers, and these operations of `keras.ops`."""

    def add(function: AnyRule) -> AnyRule:
        _RULES.update(dict.fromkeys(classes, function))
        _OPERATIONS.update(dict.fromkeys(operations, function))
        return function

    return add


def convert(model: keras.Model, who: str = "pack") -> Graph:
    """The nodes of a built Sequential or functional model with one input and one output, as Keras calls its layers.

    Args:
        model: stays as it is.
        who: converts, as errors name it.

    Raises:
        ArgumentError: a ValueError that names what can't be converted, and what to do.
    """
    cloning.check_built(who, model)
    cloning.check_graph(who, model)
    _check_ends(who, model)
    calls, outputs = cloning.calls(model)
    source = Node("input", "input", [], tuple(model.inputs[0].shape[1:]))
    graph = Graph(source, [], source)
    made = {calls[0].outputs[0]: _image(graph)}
    names: dict[str, int] = {}
    for call in calls:
        if isinstance(call.operation, keras.layers.InputLayer):
            continue
        names[call.path] = names.get(call.path, 0) + 1
        name = call.path if names[call.path] == 1 else f"{call.path}:{names[call.path]}"
        inputs = [made[number] for number in call.inputs]
        step = Step(call.operation, name, inputs, call.shapes[0][1:], graph.nodes, who)
        made[call.outputs[0]] = _converted(call, step)
    graph.output = made[outputs[0]]
    return graph


def _converted(call: cloning.Call, step: Step) -> Node:
    if call.wrapper is not None:
        raise step.refusal("it is called once for each time step.", "Pack the model inside the TimeDistributed.")
    found = _rule_for(call.operation)
    if found is None:
        raise step.refusal("a packed model has nothing like it.")
    if getattr(step.layer, "quantization_mode", None):
        raise step.refusal(f"it is quantized to {step.layer.quantization_mode}.", "Pack the model as it was before.")
    if getattr(step.layer, "data_format", None) == "channels_first":
        raise step.refusal("its channels come first.", 'Build the model with data_format="channels_last".')
    for shape in (*(node.shape for node in step.inputs), step.shape):
        if len(shape) not in (1, 3) or shape[-1] is None:
            raise step.refusal(
                f"it has to do with a tensor of shape {('batch', *shape)}.",
                "A packed model knows [batch, height, width, channels] and [batch, features].",
            )
    return found(step)


def _rule_for(operation: Any) -> Rule | None:
    if isinstance(operation, keras.Layer):
        return _RULES.get(type(operation))
    return _OPERATIONS.get(type(operation).__name__) if type(operation).__module__.startswith("keras.") else None


def _check_ends(who: str, model: keras.Model) -> None:
    for what, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            raise ArgumentError(
                f"{who}: model {model.name!r} has {len(tensors)} {what}s; a packed model has one. "
                f"Pack a part of it, keras.Model(model.inputs[0], model.outputs[0]) say."
            )
    shape = model.inputs[0].shape
    if len(shape) not in (2, 4) or shape[-1] is None:
        raise ArgumentError(
            f"{who}: model {model.name!r} takes {tuple(shape)}, batch first. Expected images [batch, height, width, "
            "channels] or vectors [batch, features], the last size known."
        )


def _image(graph: Graph) -> Node:
    """What the layers read: the input itself, or vectors made of images of one pixel."""
    source = graph.input
    if len(source.shape) == 3:
        return source
    node = Node("flatten", "input_features", [source], source.shape)
    source.shape = (1, 1, *source.shape)
    graph.nodes.append(node)
    return node
