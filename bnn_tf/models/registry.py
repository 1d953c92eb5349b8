"""The networks by name: a builder registers itself, and `build`, the command line and the tests find it."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from bnn_tf.errors import unknown_name

Builder = TypeVar("Builder", bound=Callable[..., keras.Model])

_BUILDERS: dict[str, Callable[..., keras.Model]] = {}


@dataclass(frozen=True)
class Description:
    """What a registered builder says about itself.

    Attributes:
        name: what `build` takes.
        sentence: the first of its docstring.
        scheme: the one that it is built in by default: "float", or that of a binary-born network.
        input_shape: as published: (height, width, channels).
        classes: as published.
        options: the names of what it takes.
    """

    name: str
    sentence: str
    scheme: str
    input_shape: tuple[int, int, int]
    classes: int
    options: tuple[str, ...]


def register(name: str) -> Callable[[Builder], Builder]:
    """Makes the decorated builder known as `name`.

    Its first argument must be the scheme; with `input_shape` and `classes` it has defaults, as published.
    """

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


def describe(name: str) -> Description:
    """What the builder of that name says about itself, without building anything.

    Raises:
        ArgumentError: a ValueError that gives the nearest names.

    Example:

    >>> describe("lenet").input_shape
    (28, 28, 1)
    """
    check_name(name)
    builder = _BUILDERS[name]
    parameters = inspect.signature(builder).parameters
    text = " ".join((inspect.getdoc(builder) or "").split("\n\n")[0].split())
    return Description(
        name,
        text.split(". ")[0].rstrip("."),
        parameters["scheme"].default,
        parameters["input_shape"].default,
        parameters["classes"].default,
        _option_names(builder, parameters),
    )


def build(name: str, scheme: str | None = None, **options: Any) -> keras.Model:
    """Builds a network by name.

    Args:
        name: one of `list_models()`.
        scheme: "float", "bwn", "dorefa" or "xnor"; see `SCHEMES`. By default the network's own, which is "float" but
            for those that were published as binary ones.
        **options: what the network's own function takes, `input_shape`, `classes`, `width` and `seed` among them.

    Returns:
        An uncompiled `keras.Model` from images to logits.

    Raises:
        ArgumentError: a ValueError, for an unknown name, scheme or option (with the nearest ones) or an option out of
            range.

    Example:

    >>> build("lenet", "bwn", input_shape=(28, 28, 1), classes=10).output_shape
    (None, 10)
    """
    known = describe(name).options
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    return _BUILDERS[name](*([] if scheme is None else [scheme]), **options)


def _option_names(builder: Callable[..., keras.Model], parameters: Any) -> tuple[str, ...]:
    names: list[str] = []
    for parameter in parameters.values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.append(parameter.name)
        else:  # `**options: Unpack[Options]`
            (options,) = typing.get_type_hints(builder)[parameter.name].__args__
            names.extend(typing.get_type_hints(options))
    names.remove("scheme")
    return tuple(names)
