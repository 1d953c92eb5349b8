"""The symbolic inputs that a model is counted on: one example of each."""

from collections.abc import Sequence
from typing import Any

import keras

from bnn_tf.errors import ArgumentError
from bnn_tf.text import is_shape, shape_text


def symbolic_inputs(model: keras.Model, input_shape: Any) -> Any:
    """Tensors for one example each, or for the batch that the model wants.

    Args:
        model: a built model.
        input_shape: without the batch; a structure of shapes for several inputs; None for what the model declares.

    Raises:
        ArgumentError: a ValueError, for a size left open, or an input that the model doesn't take.

    Example:

    >>> symbolic_inputs(keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)]), (8, 3)).shape
    (1, 8, 3)
    """
    declared = _declared_inputs(model)
    if declared is None:
        if input_shape is None:
            raise ArgumentError(
                f"summary: {model.name!r} doesn't say what its input looks like. Give `input_shape`, without the "
                "batch: input_shape=(224, 224, 3)."
            )
        return _map_shapes(lambda shape: keras.KerasTensor((1, *shape)), input_shape)
    flat = keras.tree.flatten(declared)
    given = [tensor.shape[1:] for tensor in flat] if input_shape is None else _flat_shapes(input_shape)
    wanted = [tuple(tensor.shape[1:]) for tensor in flat]
    if len(given) != len(flat) or not all(map(_fits, given, wanted)):
        raise ArgumentError(
            f"summary: {model.name!r} takes {shape_text(wanted)}, without the batch. Got input_shape={input_shape}."
        )
    if any(None in shape for shape in given):
        raise ArgumentError(
            f"summary: the input of {model.name!r} has no definite size: {shape_text(wanted)}. Say for which one to "
            "count: input_shape=(224, 224, 3), for instance."
        )
    tensors = [keras.KerasTensor((t.shape[0] or 1, *shape), t.dtype) for t, shape in zip(flat, given, strict=True)]
    return keras.tree.pack_sequence_as(declared, tensors)


def _declared_inputs(model: keras.Model) -> Any:
    """The symbolic inputs of a functional or sequential model, in the structure it takes; None for others."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0] if model.inputs else None
    return getattr(model, "_inputs_struct", None)


def _fits(shape: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(b is None or a == b for a, b in zip(shape, wanted, strict=True))


def _map_shapes(function: Any, shapes: Any) -> Any:
    if is_shape(shapes):
        return function(shapes)
    if isinstance(shapes, dict):
        return {name: _map_shapes(function, shapes[name]) for name in sorted(shapes)}  # as keras.tree flattens them
    return [_map_shapes(function, shape) for shape in shapes]


def _flat_shapes(shapes: Any) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    _map_shapes(lambda shape: found.append(tuple(shape)), shapes)
    return found
