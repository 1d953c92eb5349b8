"""Copies of models with some layers exchanged, and what calls what in a model: for freezing and the like.

Layers that are shared, inside other models or in `TimeDistributed` stay so, and the original stays as it is.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from bnn_tf.errors import ArgumentError

# Keras has no public name for the class of `keras.Model(inputs, outputs)`.
_INPUT = keras.Input((1,), name="input")
_Functional = type(keras.Model(_INPUT, _INPUT, name="functional"))

Edit = Callable[[dict[str, Any]], dict[str, Any]]


def check_built(who: str, model: Any) -> None:
    """Raises an ArgumentError that starts with `who`, unless this is a Keras model with weights."""
    if not isinstance(model, keras.Model):
        raise ArgumentError(f"{who}: `model` must be a Keras model. Got {model!r}. Wrap a layer in keras.Sequential.")
    if not model.built:
        raise ArgumentError(
            f"{who}: model {model.name!r} has no weights yet. Call it on data, or its build(input_shape)."
        )


def check_graph(who: str, model: keras.Model) -> None:
    """Raises an ArgumentError that starts with `who` for a model whose calls can't be seen from outside."""
    if not is_graph(model):
        raise ArgumentError(
            f"{who}: can't see how the subclassed model {model.name!r} ({type(model).__name__}) calls its "
            f"layers. Expected a Sequential or functional model. Build it as one, or {who} such models inside it."
        )


def is_graph(operation: Any) -> bool:
    """Whether it is a model whose calls are known: a Sequential or functional one."""
    sequential = _calls_as(operation, keras.Sequential) and graph_of(operation) is not None
    return sequential or _calls_as(operation, _Functional)


def _calls_as(model: Any, kind: type) -> bool:
    return isinstance(model, kind) and type(model).call is kind.call  # type: ignore[attr-defined]


def graph_of(model: keras.Model) -> Any:
    """The functional model that a Sequential or functional one consists of."""
    return model._functional if isinstance(model, keras.Sequential) else model


# What calls what.


@dataclass(frozen=True)
class Call:
    """One call of a layer or Keras operation in a model, those in models inside it included.

    Attributes:
        operation: the layer; of a `TimeDistributed`, what is inside it.
        path: the names of the models around it and its own, with "/" between.
        inputs, outputs: numbers of the tensors, the same for a tensor wherever it passes.
        shapes: of the outputs.
        wrapper: the `TimeDistributed` around it, or None.
    """

    operation: Any
    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    wrapper: keras.Layer | None


def calls(model: keras.Model) -> tuple[list[Call], tuple[int, ...]]:
    """Every call in a Sequential or functional model, in an order in which they can run, and the model's outputs.

    An input of a model is listed as a call of its `InputLayer`, from and to the tensor that is given there.

    Example:

    >>> made, outputs = calls(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")]))
    >>> [call.path for call in made][-1], made[-1].outputs == outputs
    ('dense', True)
    """
    walk = _Walk()
    outputs = walk.model(model, walk.numbers(len(graph_of(model).inputs)), "", None)
    return walk.calls, outputs


class _Walk:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._counter = itertools.count()

    def numbers(self, count: int) -> tuple[int, ...]:
        return tuple(itertools.islice(self._counter, count))

    def model(
        self, model: keras.Model, inputs: tuple[int, ...], prefix: str, wrapper: keras.Layer | None
    ) -> tuple[int, ...]:
        graph = graph_of(model)
        number: dict[int, int] = {}
        for tensor, given in zip(graph.inputs, inputs, strict=True):
            number[id(tensor)] = given
            layer = tensor._keras_history.operation
            self.calls.append(Call(layer, prefix + layer.name, (given,), (given,), (tensor.shape,), wrapper))
        for node in _nodes(graph):
            if all(id(tensor) in number for tensor in node.input_tensors):
                given_to = tuple(number[id(tensor)] for tensor in node.input_tensors)
                outputs = self._node(node, given_to, prefix, wrapper)
                number.update(zip(map(id, node.outputs), outputs, strict=True))
        return tuple(number[id(tensor)] for tensor in graph.outputs)

    def _node(self, node: Any, inputs: tuple[int, ...], prefix: str, wrapper: keras.Layer | None) -> tuple[int, ...]:
        operation = node.operation
        path = prefix + operation.name
        if type(operation) is keras.layers.TimeDistributed:
            operation, wrapper = operation.layer, operation
        if is_graph(operation):
            return self.model(operation, inputs, f"{path}/", wrapper)
        outputs = self.numbers(len(node.outputs))
        shapes = tuple(tuple(tensor.shape) for tensor in node.outputs)
        self.calls.append(Call(operation, path, inputs, outputs, shapes, wrapper))
        return outputs


def _nodes(graph: Any) -> Iterator[Any]:
    """The calls of a functional model, inputs before what uses them."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if node.operation and not node.is_input)


# Copies.


class Copies:
    """The copies of layers and models, one of each: what is shared in the original is shared in the copy.

    Who exchanges layers overrides `copy`, `transfer` and `before`.
    """

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._layers: list[tuple[keras.Layer, keras.Layer]] = []

    def of_model(self, model: keras.Model) -> keras.Model:
        """The copy of a model, with its weights; not compiled."""
        copy = self._of(model)
        for layer, its_copy in self._layers:
            self.transfer(layer, its_copy)
        # Setting it on a model sets it on all inside; the models come first here, and what is in them can differ.
        for layer in model._flatten_layers():
            if self._copies.get(id(layer)) is not None:
                self._copies[id(layer)].trainable = layer.trainable
        return copy

    def copy(self, operation: Any) -> Any:
        """A new layer or operation in place of the given one, or None where there shall be none."""
        return rebuilt(operation)

    def transfer(self, layer: keras.Layer, copy: keras.Layer) -> None:
        """Gives the copy the weights of the layer."""
        copy_weights(layer, copy)

    def call(self, copy: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls what `copy` made; used in functional models."""
        if copy is None:
            return args[0]
        for layer in self.before(copy):
            args = (layer(args[0]), *args[1:])
        return copy(*args, **kwargs)

    def before(self, copy: Any) -> list[keras.Layer]:
        """New layers to stand in front of what `copy` made, always the same ones."""
        return []

    def _of(self, operation: Any) -> Any:
        if id(operation) not in self._copies:
            self._copies[id(operation)] = self._new(operation)
        return self._copies[id(operation)]

    def _new(self, operation: Any) -> Any:
        if _calls_as(operation, keras.Sequential):
            return self.sequential(operation)
        if _calls_as(operation, _Functional):
            return self.functional(operation)
        if type(operation) is keras.layers.TimeDistributed:
            options = {name: value for name, value in operation.get_config().items() if name != "layer"}
            return keras.layers.TimeDistributed(self._of(operation.layer), **options)
        copy = self.copy(operation)
        if isinstance(operation, keras.Layer) and copy is not None:
            self._layers.append((operation, copy))
        return copy

    def sequential(self, model: keras.Sequential) -> keras.Model:
        """The copy of a Sequential model, with no weights yet."""
        copies = map(self._of, model.layers)
        parts = [part for copy in copies for part in (*self.before(copy), copy)]
        return keras.Sequential([*self._inputs(model.inputs), *parts], name=model.name)

    def functional(self, model: keras.Model) -> keras.Model:
        """The copy of a functional model, with no weights yet."""
        # Keras compiles the clone of a compiled model, and the optimizer makes slots for weights nobody trains.
        graph = graph_of(model)
        uncompiled = keras.Model(graph.input, graph.output, name=model.name)
        return keras.models.clone_model(
            uncompiled, self._inputs(graph.input), clone_function=self._of, call_function=self.call
        )

    def _inputs(self, inputs: Any) -> Any:
        """Inputs of the same names, in the same structure."""
        return keras.tree.map_structure(lambda tensor: self.copy(tensor._keras_history.operation).output, inputs)


def rebuilt(operation: Any, edit: Edit = lambda config: config) -> Any:
    """A new layer (or other operation) of the same configuration, without its weights.

    Args:
        operation: the layer.
        edit: is given the serialized layer, and returns what to make the new one of.
    """
    inside = operation._flatten_layers() if isinstance(operation, keras.Layer) else [operation]
    own: list[Any] = [thing for layer in inside for thing in (type(layer), getattr(layer, "activation", None))]
    return keras.saving.deserialize_keras_object(
        edit(everywhere(_uncompiled)(keras.saving.serialize_keras_object(operation))),
        custom_objects={thing.__name__: thing for thing in own if hasattr(thing, "__name__")},
        safe_mode=False,  # it is no file: the code in a Lambda layer is the caller's own
    )


def unbuilt(config: dict[str, Any]) -> dict[str, Any]:
    """A serialized layer that will be built when it is first called, for whatever it is called on."""
    return {name: value for name, value in config.items() if name != "build_config"}


def everywhere(edit: Edit) -> Edit:
    """Edits every dictionary in a serialized object, the inner ones first."""

    def edited(config: Any) -> Any:
        if isinstance(config, list):
            return [edited(item) for item in config]
        if isinstance(config, dict):
            return edit({name: edited(value) for name, value in config.items()})
        return config

    return edited


def _uncompiled(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "compile_config"}


def with_class(config: dict[str, Any], cls: type) -> dict[str, Any]:
    """A serialized object's dictionary that names another class."""
    return config | {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "registered_name": keras.saving.get_registered_name(cls),
    }


def copy_weights(layer: keras.Layer, copy: keras.Layer) -> None:
    """Gives `copy` the weights of `layer`, and of what is inside it."""
    for old, new in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
        copy_own_weights(old, new)


def copy_own_weights(layer: keras.Layer, copy: keras.Layer) -> None:
    """Gives `copy` the weights of `layer` alone; one of another shape is reshaped."""
    store: dict[str, Any] = {}
    target: dict[str, Any] = {}
    layer.save_own_variables(store)
    copy.save_own_variables(target)
    for name in store.keys() & target.keys():
        if store[name].shape != target[name].shape:
            store[name] = keras.ops.reshape(store[name], target[name].shape)
    copy.load_own_variables(store)
