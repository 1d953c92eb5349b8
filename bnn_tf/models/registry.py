"""The networks by name: a builder registers itself, and `build`, the command line and the tests find it."""

from collections.abc import Callable
from typing import Any, TypeVar

import keras

from bnn_tf.errors import unknown_name

Builder = TypeVar("Builder", bound=Callable[..., keras.Model])

_BUILDERS: dict[str, Callable[..., keras.Model]] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Makes the decorated builder known as `name`; its first argument must be the scheme."""

    def add(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ValueError(f"A model named {name!r} is registered already. Choose another name.")
        _BUILDERS[name] = builder
        return builder

    return add


def list_models() -> list[str]:
    """The names that `build` knows."""
    return sorted(_BUILDERS)


def check_name(name: str) -> None:
    """Raises an ArgumentError with the nearest names, where `build` doesn't know `name`."""
    if name not in _BUILDERS:
        raise unknown_name("model", name, _BUILDERS)


def build(name: str, scheme: str = "float", **options: Any) -> keras.Model:
    """Builds a network by name.

    Args:
        name: one of `list_models()`.
        scheme: "float", "bwn", "dorefa" or "xnor"; see `SCHEMES`.
        **options: what the network's own function takes, `input_shape`, `classes`, `width` and `seed` among them.

    Returns:
        An uncompiled `keras.Model` from images to logits.

    Raises:
        ArgumentError: a ValueError, for an unknown name or scheme (with the nearest ones) or an option out of range.

    Example:

    >>> build("lenet", "bwn", input_shape=(28, 28, 1), classes=10).output_shape
    (None, 10)
    """
    check_name(name)
    return _BUILDERS[name](scheme, **options)
