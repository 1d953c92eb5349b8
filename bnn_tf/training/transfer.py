"""Beginning with what another network has learnt: a float twin's weights, or a trained body under a new head."""

import os
from dataclasses import dataclass
from typing import Any

import keras

from bnn_tf.errors import ArgumentError, UserError
from bnn_tf.quantizers import PROGRESS
from bnn_tf.training.run_folder import UNREADABLE, first_line
from bnn_tf.training.selection import flat_layers

_WIDTHS = ("units", "filters")


class ModelFileError(UserError, ValueError):
    """A file that holds no Keras model."""


@dataclass(frozen=True)
class WarmStart:
    """What `warm_start` did, by the names of weights, "conv1/kernel" say.

    Attributes:
        taken: those that were copied.
        missing: those of the model that the source doesn't have.
        mismatched: those that have another shape there.
        unused: those of the source that the model doesn't have.
    """

    taken: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.taken)} weights taken"]
        for label, names in (
            ("not in the source", self.missing),
            ("of another shape", self.mismatched),
            ("unused", self.unused),
        ):
            if names:
                parts.append(f"{label}: {', '.join(names)}")
        return "; ".join(parts)


def load_model(source: keras.Model | str | os.PathLike[str]) -> keras.Model:
    """A model, or the one in a `.keras` file, uncompiled.

    Raises:
        ModelFileError: a ValueError, for a file that is none.
    """
    if isinstance(source, keras.Model):
        return source
    try:
        with open(source, "rb"):  # says what is wrong with the path better than Keras does
            pass
        return keras.models.load_model(source, compile=False)
    except UNREADABLE as error:
        raise ModelFileError(f"{source} can't be loaded as a Keras model: {first_line(error)}") from error


def warm_start(model: keras.Model, source: keras.Model | str | os.PathLike[str]) -> WarmStart:
    """Copies the weights that another network has under the same names and in the same shapes: from float to binary.

    Args:
        model: a built model; it is changed.
        source: a model whose layers have the same names (every network of `bnn_tf.models` has in all schemes), or its
            file.

    Returns:
        A `WarmStart` that says what was taken and what wasn't.

    Raises:
        ArgumentError: a ValueError, where nothing fits; the model stays as it is.
        ModelFileError: a ValueError, for a file that is no Keras model.

    Example:

    >>> report = warm_start(bnn_tf.models.lenet("bwn"), bnn_tf.models.lenet("float"))
    >>> len(report.taken), report.unused
    (6, ('conv2/bias', 'dense1/bias'))
    """
    own, other = _weights(model), _weights(load_model(source))
    common = [name for name in own if name in other]
    taken = [name for name in common if own[name].shape == other[name].shape]
    if not taken:
        raise ArgumentError(
            f"{source if not isinstance(source, keras.Model) else source.name} has no weight of {model.name} under the "
            "same name and in the same shape. Give the same network in another scheme."
        )
    for name in taken:
        own[name].assign(other[name])
    return WarmStart(
        tuple(taken),
        tuple(name for name in own if name not in other),
        tuple(name for name in common if name not in taken),
        tuple(name for name in other if name not in own),
    )


def _weights(model: keras.Model) -> dict[str, Any]:
    return {
        f"{layer.name}/{weight.name}": weight
        for layer in flat_layers(model)
        for weight in layer.weights
        if weight.name != PROGRESS
    }


def new_head(model: keras.Model, classes: int, seed: int = 0) -> keras.Model:
    """The body of a trained network under a new last layer, for other classes.

    The last layer with weights gives way to one of its kind for `classes`, with new weights; what follows it (a global
    pooling say) is kept. Layers are copied: the given model stays as it is.

    Args:
        model: a graph of layers whose last one with weights is a dense layer or a convolution.
        classes: how many, at least 1.
        seed: int, of the new weights.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        ArgumentError: a ValueError, for a model whose last layer isn't of that kind.

    Example:

    >>> new_head(bnn_tf.models.lenet5(), classes=3).output_shape
    (None, 3)

    Source: Yosinski, Clune, Bengio, Lipson, "How transferable are features in deep neural networks?", 2014.
    """
    head = next((layer for layer in reversed(flat_layers(model)) if layer.weights), None)
    width = next((name for name in _WIDTHS if head is not None and name in head.get_config()), None)
    if head is None or width is None:
        raise ArgumentError(
            f"new_head: the last layer of {model.name} with weights must be a dense layer or a convolution. "
            f"It is {head and type(head).__name__}. Build the new model by hand and copy weights with `warm_start`."
        )
    if classes < 1:
        raise ArgumentError(f"new_head: `classes` must be at least 1. Got {classes}.")
    config = {**head.get_config(), width: classes, "kernel_initializer": keras.initializers.GlorotUniform(seed)}

    def copy(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config(config if layer is head else layer.get_config())

    twin = keras.models.clone_model(model, clone_function=copy)
    for old, new in zip(flat_layers(model), flat_layers(twin), strict=True):
        if old is not head:
            new.set_weights(old.get_weights())
    return twin
