"""From a trained model to one for inference, whose binary layers hold bits."""

from typing import Any

import keras

from bnn_tf.cloning import Copies, check_built, check_graph, copy_own_weights, everywhere, rebuilt, with_class
from bnn_tf.errors import ArgumentError
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.layers.frozen import FROZEN, FrozenLayer

_TWINS = {keras.saving.get_registered_name(trained): frozen for trained, frozen in FROZEN.items()}


def freeze(model: keras.Model) -> keras.Model:
    """A copy of a trained model for inference: one bit a binary weight, in memory and in its files.

    Each binary layer becomes its frozen twin, which holds packed bits and alpha and gives the same output, on the C++
    path bit for bit; every other layer is copied with its weights. The original stays as it is, and is what one trains
    on: `fit` on the copy is an error. All names stay, and layers that are shared, inside other models or in
    `TimeDistributed` stay so. To evaluate the copy, compile it with a loss and metrics.

    Args:
        model: a built Sequential or functional model with at least one binary layer. Those that are frozen already are
            copied as they are.

    Returns:
        A `keras.Model` of the same kind, not compiled, with every layer's `trainable` off. Calling it with
        `training=True` is an error, also as part of a larger model: train what shall follow it on what it predicts.

    Raises:
        ArgumentError: a ValueError, for a model with no binary layer, one that isn't built, a subclassed one, and a
            binary layer that some other layer made for itself, since it can't be replaced from outside.

    Example:

    >>> model = keras.Sequential([keras.Input((64,)), bnn_tf.layers.BinaryDense(32)])
    >>> frozen = bnn_tf.freeze(model)
    >>> [weight.shape for weight in frozen.weights]   # bits, alpha, bias
    [(1, 2, 2, 16), (32,), (32,)]
    """
    return frozen_copy(model, "freeze")


def frozen_copy(model: keras.Model, who: str) -> keras.Model:
    """What `freeze` returns; errors say that `who` asked for it."""
    check_built(who, model)
    if not _binary_layers(model):
        found = {type(layer).__name__ for layer in model.layers}
        raise ArgumentError(
            f"{who}: model {model.name!r} has no binary layer. Got {', '.join(sorted(found))}; expected "
            f"{', '.join(cls.__name__ for cls in FROZEN)} among them. Save it as it is."
        )
    frozen = _Frozen(who).of_model(model)
    frozen.trainable = False
    return frozen


def _binary_layers(model: keras.Model) -> list[BinaryLayer]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, BinaryLayer)]


class _Frozen(Copies):
    """Copies whose binary layers hold bits; errors begin with `who`."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self._who = who

    def copy(self, operation: Any) -> Any:
        """A layer of the same configuration, save that what is binary in it is frozen."""
        _check(self._who, operation)
        return rebuilt(operation, everywhere(_frozen_config))

    def transfer(self, layer: keras.Layer, copy: keras.Layer) -> None:
        """Packs the weights of a binary layer, and copies those of others."""
        for old, new in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
            _transfer(self._who, layer, old, new)


def _check(who: str, operation: Any) -> None:
    """Raises an ArgumentError where a binary layer is out of reach."""
    if isinstance(operation, keras.Model) and _binary_layers(operation):
        check_graph(who, operation)
    # Any wrapper but TimeDistributed may work on the latent weights, as SpectralNormalization does.
    wrapped = operation.layer if isinstance(operation, keras.layers.Wrapper) else None
    if isinstance(wrapped, BinaryLayer):
        raise ArgumentError(
            f"{who}: can't freeze {wrapped.name!r} ({type(wrapped).__name__}) in the wrapper {operation.name!r} "
            f"({type(operation).__name__}). Expected TimeDistributed, or no wrapper: put the trained layer itself into "
            "the model."
        )


def _frozen_config(config: dict[str, Any]) -> dict[str, Any]:
    """A serialized layer with a trained class exchanged for the frozen one."""
    twin = _TWINS.get(config.get("registered_name"))
    return with_class(config, twin) if twin else config


def _transfer(who: str, layer: keras.Layer, old: keras.Layer, new: keras.Layer) -> None:
    """Gives `new` the weights of `old`, which is `layer` or inside it."""
    if isinstance(new, BinaryLayer) and not isinstance(new, FrozenLayer):
        raise ArgumentError(
            f"{who}: can't replace {old.name!r} ({type(old).__name__}) in {layer.name!r} "
            f"({type(layer).__name__}). Expected a layer of bnn_tf's own classes that stands in a Sequential or "
            "functional model itself. Write the model out so, without layers derived from it or made inside others."
        )
    if isinstance(new, FrozenLayer) and not isinstance(old, FrozenLayer):
        new.pack(old)
    else:
        copy_own_weights(old, new)
