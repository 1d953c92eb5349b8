"""From a trained model to one for inference, whose binary layers hold bits."""

from typing import Any

import keras

from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.layers.frozen import FROZEN, FrozenLayer

# Keras has no public name for the class of `keras.Model(inputs, outputs)`.
_INPUT = keras.Input((1,), name="input")
_Functional = type(keras.Model(_INPUT, _INPUT, name="functional"))

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
        ValueError: for a model with no binary layer, one that isn't built, a subclassed one, and a binary layer that
            some other layer made for itself, since it can't be replaced from outside.

    Example:

    >>> model = keras.Sequential([keras.Input((64,)), bnn_tf.layers.BinaryDense(32)])
    >>> frozen = bnn_tf.freeze(model)
    >>> [weight.shape for weight in frozen.weights]   # bits, alpha, bias
    [(1, 2, 2, 16), (32,), (32,)]
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"freeze: `model` must be a Keras model. Got {model!r}. Wrap a layer in keras.Sequential.")
    if not model.built:
        raise ValueError(
            f"freeze: model {model.name!r} has no weights yet. Call it on data, or its build(input_shape)."
        )
    if not _binary_layers(model):
        found = {type(layer).__name__ for layer in model.layers}
        raise ValueError(
            f"freeze: model {model.name!r} has no binary layer. Got {', '.join(sorted(found))}; expected "
            f"{', '.join(cls.__name__ for cls in FROZEN)} among them. Save it as it is."
        )
    frozen = _Copies().of_model(model)
    frozen.trainable = False
    return frozen


def _binary_layers(model: keras.Model) -> list[BinaryLayer]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, BinaryLayer)]


class _Copies:
    """The frozen copies of layers and models, one of each: what is shared in the original is shared in the copy."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._layers: list[tuple[keras.Layer, keras.Layer]] = []

    def of_model(self, model: keras.Model) -> keras.Model:
        """The copy of a model, with its weights."""
        copy = self._of(model)
        for layer, its_copy in self._layers:
            _copy_weights(layer, its_copy)
        return copy

    def _of(self, operation: Any) -> Any:
        if id(operation) not in self._copies:
            self._copies[id(operation)] = self._new(operation)
        return self._copies[id(operation)]

    def _new(self, operation: Any) -> Any:
        if _calls_as(operation, keras.Sequential):
            return keras.Sequential(
                [*_new_inputs(operation.inputs), *map(self._of, operation.layers)], name=operation.name
            )
        if _calls_as(operation, _Functional):
            # Keras compiles the clone of a compiled model, and the optimizer makes slots for weights nobody trains.
            uncompiled = keras.Model(operation.input, operation.output, name=operation.name)
            return keras.models.clone_model(uncompiled, _new_inputs(operation.input), clone_function=self._of)
        _check(operation)
        copy = _rebuilt(operation)
        if isinstance(operation, keras.Layer):
            self._layers.append((operation, copy))
        return copy


def _calls_as(model: Any, kind: type) -> bool:
    return isinstance(model, kind) and type(model).call is kind.call  # type: ignore[attr-defined]


def _new_inputs(inputs: Any) -> Any:
    """Inputs of the same names, in the same structure."""
    return keras.tree.map_structure(lambda tensor: _rebuilt(tensor._keras_history.operation).output, inputs)


def _check(operation: Any) -> None:
    """Raises a ValueError where a binary layer is out of reach."""
    if isinstance(operation, keras.Model) and _binary_layers(operation):
        raise ValueError(
            f"freeze: can't see how the subclassed model {operation.name!r} ({type(operation).__name__}) calls its "
            "layers. Expected a Sequential or functional model. Build it as one, or freeze such models inside it."
        )
    # Any wrapper but one may work on the latent weights, as SpectralNormalization does.
    wrapped = operation.layer if isinstance(operation, keras.layers.Wrapper) else None
    if isinstance(wrapped, BinaryLayer) and not isinstance(operation, keras.layers.TimeDistributed):
        raise ValueError(
            f"freeze: can't freeze {wrapped.name!r} ({type(wrapped).__name__}) in the wrapper {operation.name!r} "
            f"({type(operation).__name__}). Expected TimeDistributed, or no wrapper: put the trained layer itself into "
            "the model."
        )


def _rebuilt(operation: Any) -> Any:
    """A new layer (or other operation) of the same configuration, save that what is binary in it is frozen."""
    inside = operation._flatten_layers() if isinstance(operation, keras.Layer) else [operation]
    return keras.saving.deserialize_keras_object(
        _frozen_config(keras.saving.serialize_keras_object(operation)),
        custom_objects={type(layer).__name__: type(layer) for layer in inside},
        safe_mode=False,  # it is no file: the code in a Lambda layer is the caller's own
    )


def _frozen_config(config: Any) -> Any:
    """A serialized object with the trained classes in it exchanged for the frozen ones, and nothing compiled."""
    if isinstance(config, list):
        return [_frozen_config(item) for item in config]
    if not isinstance(config, dict):
        return config
    config = {name: _frozen_config(value) for name, value in config.items() if name != "compile_config"}
    if twin := _TWINS.get(config.get("registered_name")):
        config["module"], config["class_name"] = twin.__module__, twin.__name__
        config["registered_name"] = keras.saving.get_registered_name(twin)
    return config


def _copy_weights(layer: keras.Layer, copy: keras.Layer) -> None:
    """Gives `copy` the weights of `layer`, and of what is inside it."""
    for old, new in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
        if isinstance(new, BinaryLayer) and not isinstance(new, FrozenLayer):
            raise ValueError(
                f"freeze: can't replace {old.name!r} ({type(old).__name__}) in {layer.name!r} "
                f"({type(layer).__name__}). Expected a layer of bnn_tf's own classes that stands in a Sequential or "
                "functional model itself. Write the model out so, without layers derived from it or made inside others."
            )
        if isinstance(new, FrozenLayer) and not isinstance(old, FrozenLayer):
            new.pack(old)
        else:
            store: dict[str, Any] = {}
            old.save_own_variables(store)
            new.load_own_variables(store)
