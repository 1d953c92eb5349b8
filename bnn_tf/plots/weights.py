"""The layers of a model that have kernels, and what their kernels hold, whatever kind of layer they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.errors import ArgumentError, unknown_name

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A layer's kernel.

    Attributes:
        layer: the layer's name.
        weights: float32 `[height, width, inputs, filters]`, latent in a binary layer; None for a frozen one.
        signs: +1 and -1 in the same shape; None for a float layer.
        alpha: float32 `[filters]`, the scales of a binary layer; else None.
        dense: whether it is a dense layer's, with units for filters.
    """

    layer: str
    weights: Floats | None
    signs: Floats | None
    alpha: Floats | None
    dense: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, inputs, filters."""
        values = self.signs if self.weights is None else self.weights
        assert values is not None
        return values.shape


def values(tensor: Any) -> Floats:
    """A tensor or variable of any Keras backend as float32."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype(np.float32)


def chosen_layers(function: str, source: Any, names: str | Sequence[str] | None) -> tuple[list[Any], bool]:
    """The layers of a model, or the one layer that `source` is.

    Returns:
        The layers, and whether they were asked for by name (or are the one that was given).

    Raises:
        ArgumentError: a ValueError, for something else, a model or layer that isn't built, or an unknown name.
    """
    import keras

    if not isinstance(source, keras.layers.Layer):
        raise ArgumentError(f"{function}: expected a Keras model or layer. Got {source!r:.80}.")
    if not source.built:
        raise ArgumentError(
            f"{function}: {source.name} isn't built, so it has no weights yet. Call it on a batch first, or begin the "
            "model with keras.Input."
        )
    if not isinstance(source, keras.Model):
        if names is not None:
            raise ArgumentError(f"{function}: `layers` chooses among a model's layers, and {source.name} is one layer.")
        return [source], True
    found = [layer for layer in source._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]
    if names is None:
        return found, False
    by_name = {layer.name: layer for layer in found}
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise ArgumentError(f"{function}: `layers` names no layer. Leave it out, or name at least one.")
    for name in wanted:
        if name not in by_name:
            raise unknown_name(f"layer of {source.name}", name, by_name)
    return [by_name[name] for name in wanted], True


def chosen_kernels(
    function: str,
    source: Any,
    names: str | Sequence[str] | None,
    demand: str = "no kernel that could be drawn",
    accept: Callable[[Kernel], bool] = lambda kernel: True,
) -> list[Kernel]:
    """The kernels of a model's or a layer's layers; those that `accept` turns down are left out or, named, an error.

    Args:
        function: for messages.
        source, names: see `chosen_layers`.
        demand: what a layer has that is turned down, for messages.
        accept: whether a kernel will do.

    Raises:
        ArgumentError: a ValueError, for a named layer that won't do, or where none is left.
    """
    layers, named = chosen_layers(function, source, names)
    found = []
    for layer in layers:
        kernel = kernel_of(layer)
        if kernel is not None and accept(kernel):
            found.append(kernel)
        elif named:
            raise ArgumentError(f"{function}: {layer.name} ({type(layer).__name__}) has {demand}. Name another layer.")
    if not found:
        raise ArgumentError(f"{function}: every layer of {source.name} has {demand}. Give another model.")
    return found


def kernel_of(layer: Any) -> Kernel | None:
    """The kernel of a built layer; None for one that has none of two to four dimensions."""
    import keras

    from bnn_tf.composed import binarize_kernel, unpack_kernel
    from bnn_tf.layers.binary import BinaryLayer
    from bnn_tf.layers.frozen import FrozenLayer

    if not layer.built:
        return None
    if isinstance(layer, FrozenLayer):
        packed = layer.kernel
        signs = four_dimensions(values(unpack_kernel(packed.bits, packed.shape)))
        return Kernel(layer.name, None, signs, values(layer.alpha), len(packed.shape) == 2)
    kernel = getattr(layer, "kernel", None)
    if kernel is None or not 2 <= len(kernel.shape) <= 4:
        return None
    latent = four_dimensions(values(kernel))
    if isinstance(layer, BinaryLayer):
        signs, scales = map(values, binarize_kernel(keras.ops.convert_to_tensor(latent), layer.scaling, layer.ste))
        alpha = np.broadcast_to(scales, latent.shape[3:])
        return Kernel(layer.name, latent, signs, alpha, len(kernel.shape) == 2)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        latent = latent.reshape(*latent.shape[:2], 1, -1)
    elif isinstance(layer, keras.layers.Conv2DTranspose):
        latent = latent.swapaxes(2, 3)
    return Kernel(layer.name, latent, None, None, len(kernel.shape) == 2)


def four_dimensions(kernel: Floats) -> Floats:
    """A dense kernel as one of 1×1, a one-dimensional convolution's as one of a single row."""
    return kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
