"""Every call of a layer in one pass of a model, with shapes: what `summary` counts by.

The model runs once on symbolic tensors, with no data and no arithmetic, while each of its layers reports when it is
called. So whatever runs is seen: nested and subclassed models, layers called twice, layers made by other layers.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from bnn_tf.counting.macs import Macs, Rule, count, no_rule
from bnn_tf.counting.rules import rule_for
from bnn_tf.errors import ArgumentError
from bnn_tf.text import shape_text


@dataclass
class Calls:
    """The calls of one layer.

    Attributes:
        operation: the layer, or the operation of a functional model.
        path: its name after those of the models and layers around it: "block1/conv".
        output_shape: of the first call, batch first; a list where there are several outputs.
        times: how many there were.
        macs: of all of them.
    """

    operation: Any
    path: str
    output_shape: Any
    times: int = 0
    macs: Macs = field(default_factory=Macs)


class Trace:
    """Runs `model` on symbolic inputs and takes down the calls.

    Attributes:
        assumed: names and classes of foreign layers without weights and without a rule, taken to compute no MACs.

    Raises:
        ArgumentError: a ValueError, for a layer with weights and without a rule.
    """

    def __init__(self, model: keras.Model, inputs: Any):
        self.assumed: dict[int, str] = {}
        self._model = model
        self._calls: dict[int, Calls] = {}
        self._names: list[str] = []
        self._factor = 1
        self._paused = False
        self._problem: ArgumentError | None = None
        with contextlib.ExitStack() as watches:
            for operation in _operations(model):
                watches.enter_context(_watched(operation, self._called))
            keras.Operation.compute_output_spec(model, inputs)
        if self._problem:
            raise self._problem

    @property
    def calls(self) -> list[Calls]:
        """What was taken down, by the order of the first calls."""
        return list(self._calls.values())

    def _called(self, operation: Any, call: Callable[..., Any], inputs: Any) -> Any:
        """Runs `call` and takes it down, or those inside it."""
        if self._paused:
            return call()
        if operation is self._model:
            self._calls.clear()  # some backends trace twice
        rule = rule_for(operation)
        if rule is None and isinstance(operation, keras.layers.TimeDistributed):
            return self._repeated(operation, call, inputs)
        if rule is None and isinstance(operation, keras.Layer) and operation._layers:
            self._check_own_weights(operation)
            with self._inside(operation):
                return call()
        with self._pause():
            outputs = call()
        self._take_down(operation, rule, _shapes(inputs), _shapes(outputs))
        return outputs

    def _repeated(self, wrapper: Any, call: Callable[..., Any], inputs: Any) -> Any:
        # Backends differ in how often they call the layer inside: it is traced once, and counts once a step.
        batch, steps, *rest = inputs[0].shape
        step = keras.KerasTensor((batch, *rest), keras.backend.standardize_dtype(inputs[0].dtype))
        with self._inside(wrapper, steps):
            keras.Operation.compute_output_spec(wrapper.layer, step)
        with self._pause():
            return call()

    def _take_down(self, operation: Any, rule: Rule | None, inputs: Any, outputs: Any) -> None:
        path = "/".join([*self._names, operation.name])
        calls = self._calls.setdefault(id(operation), Calls(operation, path, outputs))
        calls.times += self._factor
        if rule is None:
            self._check_own_weights(operation)
            self._note_if_foreign(operation, path)
            return
        if any(None in shape for shape in [*_listed(inputs), *_listed(outputs)]):
            self._problem = ArgumentError(
                f"summary: {path!r} ({type(operation).__name__}) has no definite size: it turns {shape_text(inputs)} "
                f"into {shape_text(outputs)}, batch first. Its multiply-accumulates depend on the data."
            )
            return
        try:
            calls.macs += count(rule, operation, inputs, outputs) * self._factor
        except ArgumentError as error:
            self._problem = error  # raised in here, Keras would write its own text around it

    def _check_own_weights(self, operation: Any) -> None:
        if own_weights(operation) and not isinstance(operation, keras.layers.SpectralNormalization):
            self._problem = no_rule(operation)

    def _note_if_foreign(self, operation: Any, path: str) -> None:
        cls = type(operation)
        if cls.__module__.split(".")[0] not in ("keras", "bnn_tf") or cls is keras.layers.Lambda:
            self.assumed[id(operation)] = f"{path} ({cls.__name__})"

    @contextlib.contextmanager
    def _inside(self, operation: Any, times: int = 1) -> Iterator[None]:
        if operation is self._model:
            yield
            return
        self._names.append(operation.name)
        self._factor *= times
        yield
        self._names.pop()
        self._factor //= times

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        self._paused = True
        yield
        self._paused = False


def own_weights(operation: Any) -> list[Any]:
    """The weights of a layer without those of the layers inside it."""
    if not isinstance(operation, keras.Layer):
        return []
    return [*operation._trainable_variables, *operation._non_trainable_variables]


def _operations(model: keras.Model) -> list[Any]:
    """The model, every layer in it, and the operations that stand in functional models."""
    layers = model._flatten_layers()
    others = [operation for layer in layers for operation in getattr(layer, "operations", [])]
    return list({id(operation): operation for operation in [*layers, *others]}.values())


@contextlib.contextmanager
def _watched(operation: Any, report: Callable[[Any, Callable[..., Any], Any], Any]) -> Iterator[None]:
    """While it lasts, this one object's `call` goes through `report`; its class stays as it is."""
    own = {name: vars(operation).get(name) for name in ("call", "quantized_call") if hasattr(operation, name)}
    for name in own:
        # Past Keras' bookkeeping of attributes, which may be locked.
        object.__setattr__(operation, name, _reporting(operation, getattr(operation, name), report))
    try:
        yield
    finally:
        for name, before in own.items():
            if before is None:
                object.__delattr__(operation, name)
            else:
                object.__setattr__(operation, name, before)


def _reporting(operation: Any, call: Callable[..., Any], report: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(call)

    @functools.wraps(call)
    def reporting(*args: Any, **kwargs: Any) -> Any:
        return report(operation, lambda: call(*args, **kwargs), _tensors(signature.bind(*args, **kwargs).arguments))

    return reporting


def _tensors(arguments: dict[str, Any]) -> list[Any]:
    """The tensors among the arguments of a call, masks excepted."""
    given = [value for name, value in arguments.items() if "mask" not in name]
    return [leaf for leaf in keras.tree.flatten(given) if hasattr(leaf, "shape")]


def _listed(shapes: Any) -> list[Any]:
    return shapes if isinstance(shapes, list) else [shapes]


def _shapes(tensors: Any) -> Any:
    """The shape of a single tensor, else a list of shapes."""
    shapes = [tuple(leaf.shape) for leaf in keras.tree.flatten(tensors) if hasattr(leaf, "shape")]
    return shapes[0] if len(shapes) == 1 else shapes
