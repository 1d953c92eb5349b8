"""What several commands share."""

import argparse
import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bnn_tf.errors import ArgumentError

# Makes a context in which the backend is loaded without its chatter.
Quiet = Callable[[], AbstractContextManager[None]]


def add_data_dir(parser: argparse._ActionsContainer) -> None:
    """Adds --data-dir."""
    parser.add_argument(
        "--data-dir", metavar="DIR", help="holds mnist/, ...; else $BNN_TF_DATA_DIR or Keras' cache does"
    )


def add_data_options(parser: argparse._ActionsContainer) -> None:
    """Adds --data-dir and --data-option."""
    add_data_dir(parser)
    parser.add_argument(
        "--data-option", action="append", default=[], type=pair, metavar="KEY=VALUE", help="of the data set"
    )


def pair(text: str) -> tuple[str, Any]:
    """The type of KEY=VALUE; the value is a number, a tuple, True, False, None, or else text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"KEY=VALUE is expected, not {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return key, value


def positive(text: str) -> int:
    """The type of an argument that is a number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a number above 0 is expected, not {text!r}")
    return int(text)


def height_and_width(sizes: Sequence[int] | None) -> tuple[int, int] | None:
    """The numbers behind --size, one for both or two; None where there are none.

    Raises:
        ArgumentError: for more than two.
    """
    if sizes and len(sizes) > 2:
        raise ArgumentError(f"--size takes height and width, or one number for both. Got {len(sizes)} numbers.")
    return (sizes[0], sizes[-1]) if sizes else None


def measured_on(environment: Mapping[str, object]) -> str:
    """What figures were measured on, in a line."""
    info = environment["backend"]
    assert isinstance(info, dict)
    ops = f"no C++ ops ({info.get('reason')})"
    if info["custom_ops"]:
        ops = f"C++ ops, {info['isa']}, {info['threads']} threads"
    return f"{environment['cpus']} CPUs, {environment['cpu']}; {ops}."


def announced(names: Iterable[str]) -> Iterator[str]:
    """Each name, while a terminal shows which one is being worked on."""
    for name in names:
        if sys.stderr.isatty():
            print(f"\r\033[K{name}", end="", file=sys.stderr, flush=True)
        yield name
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
