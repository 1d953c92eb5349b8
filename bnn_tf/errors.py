"""What a user can put right, as exceptions.

The command line prints a `UserError` as one line and exits with 2; any other exception is a bug and keeps its
traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: the message says what was expected and what to do."""

    exit_code = 2


class ArgumentError(UserError, ValueError):
    """An argument outside its range."""


class MissingPartError(UserError, ImportError):
    """A part of the package that this installation can't run; the message says what is missing and how to get it."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ArgumentError:
    """The error for a name that no registry entry has: it leads to the nearest names, or to all where none is near.

    Example:

    >>> unknown_name("model", "lenett", ["lenet", "alexnet"])
    ArgumentError("Unknown model 'lenett'. Did you mean lenet? Known: alexnet, lenet.")
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return ArgumentError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")
