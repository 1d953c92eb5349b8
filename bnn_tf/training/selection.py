"""Layers of a model, by the patterns of their names."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import keras

from bnn_tf.errors import ArgumentError


def flat_layers(model: keras.Model) -> list[keras.Layer]:
    """Every layer of a model, those inside nested models and wrappers included, in their order."""
    return [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def matching(model: keras.Model, pattern: str, what: str) -> list[keras.Layer]:
    """The layers whose name matches a pattern.

    Args:
        model: a model.
        pattern: a layer's name, in which * stands for anything.
        what: the option that the pattern comes from, for the message.

    Returns:
        The layers, at least one.

    Raises:
        ArgumentError: a ValueError that lists the layers with weights, where none matches.

    Example:

    >>> [layer.name for layer in matching(bnn_tf.models.lenet5(), "dense*", "frozen")]
    ['dense1', 'dense1_relu', 'dense2', 'dense2_relu']
    """
    found = [layer for layer in flat_layers(model) if fnmatchcase(layer.name, pattern)]
    if not found:
        names = ", ".join(layer.name for layer in flat_layers(model) if layer.weights)
        raise ArgumentError(f"`{what}`: no layer of {model.name} matches {pattern!r}. It has {names}.")
    return found


def freeze_layers(model: keras.Model, patterns: Iterable[str]) -> None:
    """Leaves some layers as they are in training; frozen batch norms use their stored statistics.

    Args:
        model: a model; compile it, or have `train` do so, afterwards.
        patterns: of the names of layers.

    Raises:
        ArgumentError: a ValueError, for a pattern that no layer's name matches, or where nothing would be left to
            train.

    Example:

    >>> freeze_layers(bnn_tf.models.lenet5(), ["conv*"])
    """
    patterns = tuple(patterns)
    for pattern in patterns:
        for layer in matching(model, pattern, "frozen"):
            layer.trainable = False
    if patterns and not model.trainable_variables:
        raise ArgumentError(f"`frozen`: {', '.join(patterns)} leaves nothing of {model.name} to train.")
