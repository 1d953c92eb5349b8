"""Weights between the checkpoints of TensorFlow 1, TFLearn's among them, and Keras models. Needs no TFLearn.

A variable is found by its scope: that of the same name as the Keras layer, or the one that `names` gives.

    Keras                                        checkpoint
    LAYER kernel, embeddings                     SCOPE/W
    LAYER bias                                   SCOPE/b
    LAYER gamma, beta, moving_mean, ...          SCOPE/gamma, SCOPE/beta, SCOPE/moving_mean, ...
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bnn_tf.errors import ArgumentError, UserError, unknown_name
from bnn_tf.quantizers import PROGRESS

_CALLED = {"kernel": "W", "embeddings": "W", "bias": "b"}
_WEIGHTS = ("W", "b", "gamma", "beta", "moving_mean", "moving_variance", "alphas")

PathLike = str | os.PathLike[str]
Names = Mapping[str, str] | None
Shape = tuple[int, ...]


class CheckpointError(UserError, ValueError):
    """A checkpoint that can't be read, or that doesn't fit the model."""


@dataclass(frozen=True)
class Transfer:
    """What became of the weights. `print` shows it.

    Attributes:
        matched: the variables of the checkpoint that are the model's weights.
        missing: those that the model needs and the checkpoint doesn't have.
        other_shape: (variable, its shape in the checkpoint, that of the model's weight).
        unused: weights of the checkpoint that the model has no place for.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    other_shape: tuple[tuple[str, Shape, Shape], ...]
    unused: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every weight of the model has its variable."""
        return not (self.missing or self.other_shape)

    def __str__(self) -> str:
        shapes = [
            f"{name} ({list(found)}, the model's is {list(expected)})" for name, found, expected in self.other_shape
        ]
        parts = (("missing", self.missing), ("of another shape", shapes), ("unused", self.unused))
        said = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)
        return f"{len(self.matched)} weights match{f'; {said}' if said else ''}"


def to_keras(checkpoint: PathLike, model: keras.Model, names: Names = None, *, partial: bool = False) -> Transfer:
    """Sets a model's weights to those of a checkpoint.

    Nothing is changed unless everything fits, or `partial` allows what doesn't to stay as it is.

    Args:
        checkpoint: the path that TFLearn's `DNN.save` was given, or a folder, for its latest checkpoint.
        model: a built model.
        names: the scopes of layers that are called otherwise in the checkpoint: {"conv1": "Conv2D"}.
        partial: whether weights may be missing, or of another shape.

    Returns:
        A `Transfer`.

    Raises:
        CheckpointError: a ValueError, for a checkpoint that can't be read, or doesn't fit.
        ArgumentError: a ValueError, where `names` names no layer with weights, two layers have one name or scope, or
            a layer isn't built.

    Example:

    >>> import tempfile
    >>> build = lambda seed: bnn_tf.models.lenet("bwn", input_shape=(8, 8, 1), width=0.1, seed=seed)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = from_keras(build(0), f"{folder}/lenet")
    ...     print(to_keras(f"{folder}/lenet", build(1)))
    14 weights match
    """
    reader = _Reader(checkpoint)
    places = _places(model, names)
    transfer = _compared(places, {name: reader.shapes[name] for name in places if name in reader.shapes}, reader.shapes)
    if not transfer.complete and not partial:
        raise CheckpointError(
            f"{checkpoint} doesn't fit {model.name}: {transfer}. Say with `names` how its scopes are called, or allow "
            "with `partial=True` that these weights stay as they are. Nothing was changed."
        )
    for name, value in [(name, reader.value(name)) for name in transfer.matched]:
        places[name].assign(value)
    return transfer


def from_keras(
    model: keras.Model, checkpoint: PathLike, names: Names = None, *, base: PathLike | None = None
) -> Transfer:
    """Writes a model's weights to a checkpoint, as a whole or not at all.

    Args:
        model: a built model.
        checkpoint: the path to write, as `DNN.load` takes it; an earlier checkpoint there is replaced.
        names: see `to_keras`.
        base: a checkpoint of the TFLearn network, whose other variables (steps, the optimizer's moments) are written,
            too: `DNN.load` wants them. Without it, the checkpoint holds the weights alone, for `tf.train.Saver`.

    Returns:
        A `Transfer`; without `base`, everything matches.

    Raises:
        CheckpointError: a ValueError, for a `base` that can't be read, or doesn't have all weights in their shapes.
        ArgumentError: a ValueError, where `names` names no layer with weights, two layers have one name or scope, or
            a layer isn't built.
        OSError: where nothing can be written there; an earlier checkpoint stays.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="logits")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(from_keras(model, f"{folder}/model", {"logits": "FullyConnected"}).matched)
    ('FullyConnected/W', 'FullyConnected/b')
    """
    places = _places(model, names)
    shapes = {name: tuple(place.shape) for name, place in places.items()}
    values: dict[str, Any] = {}
    if base is not None:
        reader = _Reader(base)
        values = {name: reader.value(name) for name in reader.shapes}
        shapes = reader.shapes
    transfer = _compared(places, {name: shapes[name] for name in places if name in shapes}, shapes)
    if not transfer.complete:
        raise CheckpointError(f"{model.name} doesn't fit {base}: {transfer}. Nothing was written.")
    values |= {name: keras.ops.convert_to_numpy(place) for name, place in places.items()}
    _write(Path(checkpoint), values)
    return transfer


def _places(model: keras.Model, names: Names) -> dict[str, keras.Variable]:
    """The model's weights, each once, by the names that they have in the checkpoint."""
    owners = _owners(model)
    for name in names or {}:
        if name not in owners:
            raise unknown_name("layer with weights", name, owners)
    places: dict[str, keras.Variable] = {}
    for name, weights in owners.items():
        scope = (names or {}).get(name, name)
        for variable in weights:
            place = f"{scope}/{_CALLED.get(variable.name, variable.name)}"
            if place in places:
                raise ArgumentError(
                    f"{model.name} has two weights for {place} of the checkpoint. Give each layer a scope of its own. "
                    f"Got names={dict(names or {})}."
                )
            places[place] = variable
    return places


def _owners(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """By its name, each layer that has weights of its own, around other layers or inside them, with those weights."""
    owners: dict[str, list[keras.Variable]] = {}
    seen: set[int] = set()
    for layer in model._flatten_layers():
        if not layer.built:
            raise ArgumentError(
                f"{model.name}: {layer.name!r} ({type(layer).__name__}) has no weights yet. Call the model on data."
            )
        own = [each for each in (*layer._trainable_variables, *layer._non_trainable_variables) if id(each) not in seen]
        seen.update(map(id, own))
        own = [variable for variable in own if variable.name != PROGRESS]
        if not own:
            continue
        if layer.name in owners:
            raise ArgumentError(
                f"{model.name} has two layers {layer.name!r} with weights, in models or layers inside it, and a "
                "checkpoint tells them apart by their names. Build the model with a name for each."
            )
        owners[layer.name] = own
    return owners


def _compared(
    places: Mapping[str, keras.Variable], found: Mapping[str, Shape], all_shapes: Mapping[str, Shape]
) -> Transfer:
    expected = {name: tuple(place.shape) for name, place in places.items()}
    return Transfer(
        tuple(name for name in expected if found.get(name) == expected[name]),
        tuple(name for name in expected if name not in found),
        tuple((name, shape, expected[name]) for name, shape in found.items() if shape != expected[name]),
        tuple(name for name in sorted(all_shapes) if name not in expected and name.split("/")[-1] in _WEIGHTS),
    )


class _Reader:
    """A checkpoint's variables; every failure is a CheckpointError."""

    def __init__(self, path: PathLike):
        import tensorflow as tf

        self._path, self._errors = path, (tf.errors.OpError, ValueError, RuntimeError, LookupError)
        try:
            self._reader = tf.train.load_checkpoint(os.fspath(path))
            self.shapes: dict[str, Shape] = {
                name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()
            }
        except self._errors as error:
            raise self._error(error) from None

    def value(self, name: str) -> Any:
        """A variable's value."""
        try:
            return self._reader.get_tensor(name)
        except self._errors as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> CheckpointError:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return CheckpointError(
            f"{self._path} is no checkpoint that can be read ({said}). Give the path that `DNN.save` was given: "
            "that of the files PATH.index and PATH.data-00000-of-00001, without their endings."
        )


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Writes the files beside their places, then renames them: an interruption leaves no half new checkpoint."""
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(values)
    with tempfile.TemporaryDirectory(prefix=".partial.", dir=path.parent) as folder:
        prefix = os.path.join(folder, path.name)
        tensors = [tf.constant(np.asarray(values[name])) for name in names]
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
        # Without an index there is no checkpoint: it goes first, and comes last.
        path.with_name(f"{path.name}.index").unlink(missing_ok=True)
        for ending in (".data-00000-of-00001", ".index"):
            os.replace(f"{prefix}{ending}", path.with_name(f"{path.name}{ending}"))
