"""What takes a layer's place in a network for images of any size: each function makes the new layer of the old one.

An action is such a function with its arguments after the layer; None leaves the layer out.
"""

from collections.abc import Callable
from typing import Any

import keras

from bnn_tf import layers
from bnn_tf.cloning import rebuilt, unbuilt

Pair = tuple[int, int]
Action = tuple[Any, ...] | None

# The convolution that computes the same as a dense layer.
CONVOLUTIONS: dict[type[keras.Layer], Callable[..., keras.Layer]] = {
    keras.layers.Dense: keras.layers.Conv2D,
    layers.BinaryDense: layers.BinaryConv2D,
    layers.BinaryDenseInput: layers.BinaryConvInput2D,
    layers.FrozenBinaryDense: layers.FrozenBinaryConv2D,
    layers.FrozenBinaryDenseInput: layers.FrozenBinaryConvInput2D,
}

_OPTIONS = (
    "activation",
    "use_bias",
    "scaling",
    "ste",
    "input_scaling",
    "input_ste",
    *(f"{weight}_{what}" for weight in ("kernel", "bias") for what in ("initializer", "regularizer", "constraint")),
    "activity_regularizer",
)


def make(layer: Any, action: Action) -> Any:
    """What takes the layer's place: a new layer without weights, or None."""
    return action and action[0](layer, *action[1:])


def kept(layer: Any, **changes: Any) -> Action:
    """The action for a layer of the same class, with these changes to its configuration."""
    return (_changed, tuple(sorted(changes.items())))


def _changed(layer: Any, changes: tuple[tuple[str, Any], ...]) -> Any:
    def edit(config: dict[str, Any]) -> dict[str, Any]:
        return unbuilt(config) | {"config": config["config"] | dict(changes)}

    return rebuilt(layer, edit)


def convolution(layer: Any, size: Pair, dilation: Pair) -> keras.Layer:
    """A convolution for a dense layer, with the kernel's height and width."""
    # A fresh copy's activation and initializers are no one else's.
    plain = rebuilt(layer, unbuilt)
    trained = not isinstance(layer, (layers.FrozenBinaryDense, layers.FrozenBinaryDenseInput))
    names = _OPTIONS if trained else [name for name in _OPTIONS if name in plain.get_config()]
    options = {name: getattr(plain, name) for name in names if hasattr(plain, name)}
    return CONVOLUTIONS[type(layer)](plain.units, size, dilation_rate=dilation, **_common(plain), **options)


def windows(layer: Any, size: Pair, dilation: Pair) -> keras.Layer:
    """The pixels of every window, for `Flatten`."""
    return layers.Windows(size, dilation, **_common(layer))


def pooling(layer: Any, size: Pair) -> keras.Layer:
    """The pooling of every window, for a global pooling."""
    average = isinstance(layer, keras.layers.GlobalAveragePooling2D)
    cls = keras.layers.AveragePooling2D if average else keras.layers.MaxPooling2D
    return cls(size, strides=1, **_common(layer))


def _common(layer: Any) -> dict[str, Any]:
    return {"name": layer.name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
