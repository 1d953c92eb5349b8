"""The schemes: which convolution and which dense layer a network is built of.

    float     keras.layers.Conv2D, Dense
    bwn       binary weights, a scale per filter (XNOR-Net's Binary-Weight-Network)
    dorefa    binary weights, one scale per layer (DoReFa-Net with 1-bit weights)
    xnor      binary weights with a scale per filter, and binary inputs (XNOR-Net)

Sources: Rastegari et al., "XNOR-Net", 2016; Zhou et al., "DoReFa-Net", 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras

from bnn_tf import layers
from bnn_tf.errors import ArgumentError, unknown_name

LayerFactory = Callable[..., keras.Layer]

_OF_WEIGHTS = ("scaling", "ste")
_OF_INPUT = ("input_scaling", "input_ste")


@dataclass(frozen=True)
class Scheme:
    """How the layers of a network compute.

    Attributes:
        name: what `build` takes.
        conv: makes a convolution from the arguments of `keras.layers.Conv2D`.
        dense: makes a dense layer from the arguments of `keras.layers.Dense`.
        binary_weights: whether these hold one bit a weight.
        binary_input: whether these see only the signs of their input.
        scaling: of the binary weights.
    """

    name: str
    conv: LayerFactory
    dense: LayerFactory
    binary_weights: bool
    binary_input: bool
    scaling: str = "none"

    @property
    def options(self) -> tuple[str, ...]:
        """What its layers take besides the arguments of a float layer."""
        return (_OF_WEIGHTS if self.binary_weights else ()) + (_OF_INPUT if self.binary_input else ())

    def with_options(self, **options: Any) -> "Scheme":
        """The scheme with other options of its binary layers, which win over those that a network gives them.

        Args:
            **options: `scaling`, `ste`, `input_scaling`, `input_ste` of the layers; None leaves the layer's own.

        Raises:
            ArgumentError: a ValueError, for an option that no layer of the scheme has.

        Example:

        >>> SCHEMES["xnor"].with_options(input_ste="ede").conv(8, 3).input_ste.name
        'ede'
        """
        given = {name: value for name, value in options.items() if value is not None}
        for name in given.keys() - self.options:
            advice = f"It has {', '.join(self.options)}." if self.options else "Leave it out, or take a binary scheme."
            raise ArgumentError(f"The scheme {self.name} has no layers with `{name}`. {advice}")
        if not given:
            return self
        scaling = given.get("scaling", self.scaling)
        return replace(self, conv=_insisting(self.conv, given), dense=_insisting(self.dense, given), scaling=scaling)


def _insisting(make: LayerFactory, options: dict[str, Any]) -> LayerFactory:
    return lambda *args, **kwargs: make(*args, **{**kwargs, **options})


def _weights_only(name: str, scaling: str) -> Scheme:
    options: dict[str, Any] = {"scaling": scaling, "kernel_constraint": layers.WeightClip()}
    conv, dense = partial(layers.BinaryConv2D, **options), partial(layers.BinaryDense, **options)
    return Scheme(name, conv, dense, True, False, scaling)


def _with_input(name: str) -> Scheme:
    options: dict[str, Any] = {"scaling": "channel", "kernel_constraint": layers.WeightClip()}
    conv, dense = partial(layers.BinaryConvInput2D, **options), partial(layers.BinaryDenseInput, **options)
    return Scheme(name, conv, dense, True, True, "channel")


FLOAT = Scheme("float", keras.layers.Conv2D, keras.layers.Dense, False, False)

_ALL = (FLOAT, _weights_only("bwn", "channel"), _weights_only("dorefa", "tensor"), _with_input("xnor"))
SCHEMES = {scheme.name: scheme for scheme in _ALL}
"""Every scheme, by its name."""


def get_scheme(name: str) -> Scheme:
    """The scheme of that name.

    Raises:
        ArgumentError: a ValueError that gives the nearest names.
    """
    if name not in SCHEMES:
        raise unknown_name("scheme", name, SCHEMES)
    return SCHEMES[name]
