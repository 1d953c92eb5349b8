"""Which layers an argument like `skip` means: by name, pattern, class or a function of one's own."""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from bnn_tf.errors import ArgumentError

# How many names an error message gives.
_LISTED = 12

Selector = str | re.Pattern[str] | type | Callable[[keras.Layer], bool]


def select(
    who: str, argument: str, given: Selector | Iterable[Selector], layers: Mapping[str, keras.Layer]
) -> set[str]:
    """The paths of the layers that any of the selectors means.

    Args:
        who, argument: the function and its argument, for messages.
        given: a name, which may be a pattern with `*`, `?` and `[...]` and may be that of a model around the layers; a
            regular expression, which must be found in the path; a layer class; a function of the layer; or several of
            these.
        layers: the layers by path, that is with the names of the models around them and "/" between.

    Raises:
        ArgumentError: a ValueError, where one of them means none (it gives the nearest names), or is something else.

    Example:

    >>> layers = {"conv1": keras.layers.Conv2D(2, 3), "fc": keras.layers.Dense(2), "logits": keras.layers.Dense(2)}
    >>> sorted(select("binarize", "skip", ["conv*", "fc"], layers))
    ['conv1', 'fc']
    """
    several = isinstance(given, Iterable) and not isinstance(given, (str, type))
    selected: set[str] = set()
    for selector in given if several else [given]:  # type: ignore[union-attr]
        matches = _matcher(who, argument, selector)
        found = {path for path, layer in layers.items() if matches(path, layer)}
        if not found:
            raise _nothing(who, argument, selector, layers)
        selected |= found
    return selected


def _matcher(who: str, argument: str, selector: Any) -> Callable[[str, keras.Layer], bool]:
    if isinstance(selector, str):
        return lambda path, layer: any(fnmatch.fnmatchcase(name, selector) for name in {path, *path.split("/")})
    if isinstance(selector, re.Pattern):
        return lambda path, layer: selector.search(path) is not None
    if isinstance(selector, type):
        return lambda path, layer: isinstance(layer, selector)
    if callable(selector) and not isinstance(selector, keras.Layer):
        return lambda path, layer: bool(selector(layer))
    raise ArgumentError(
        f"{who}: `{argument}` must be a name, a pattern, a compiled regular expression, a layer class, a function of "
        f"the layer, or a list of these. Got {selector!r}. Of a layer, give its name."
    )


def _nothing(who: str, argument: str, selector: Any, layers: Mapping[str, keras.Layer]) -> ArgumentError:
    if isinstance(selector, type):
        known = sorted({type(layer).__name__ for layer in layers.values()})
        what = f"class {selector.__name__}"
    else:
        known = list(layers)
        what = f"regular expression {selector.pattern!r}" if isinstance(selector, re.Pattern) else f"{selector!r}"
    word = selector.__name__ if isinstance(selector, type) else str(getattr(selector, "pattern", selector))
    near = difflib.get_close_matches(word, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    listed = ", ".join(known[:_LISTED]) + (f" and {len(known) - _LISTED} more" if len(known) > _LISTED else "")
    return ArgumentError(f"{who}: `{argument}` matches no layer: {what}.{hint} There are {listed}.")
