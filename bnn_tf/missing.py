"""What an installation of the runtime alone says when something else is asked of it.

Without this, `import bnn_tf.layers` would end with "No module named 'keras'".
"""

import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bnn_tf.errors import MissingPartError

# What a part needs besides NumPy: modules, and the packages that they come in. What isn't named needs the last.
_PICTURES = {"PIL": "pillow"}
_ALL = {"keras": "keras", "tensorflow": "tensorflow"}
_NOTHING = {"_build_info", "_core", "cli", "commands", "errors", "latency", "loading", "machine"}
_NOTHING |= {"missing", "runtime", "text"}
_NEEDS: dict[str, dict[str, str]] = {**{part: {} for part in _NOTHING}, "data": _PICTURES}


class _Finder:
    """Finds no module; for those of bnn_tf that can't run here, it says why."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        package, _, module = name.partition(".")
        if package == "bnn_tf" and module:
            check(name)
        return None


def check(module: str, what: str = "") -> None:
    """Raises a MissingPartError where a module of bnn_tf needs packages that aren't installed.

    Args:
        module: its full name.
        what: the message says that this needs them; by default the module.

    Example:

    >>> check("bnn_tf.layers")
    """
    needs = _NEEDS.get(module.split(".")[1], _ALL)
    absent = [package for name, package in needs.items() if importlib.util.find_spec(name) is None]
    if not absent:
        return
    told = f"{what or module} needs {' and '.join(absent)}, and this is an installation of the runtime alone."
    if needs is _ALL:
        raise MissingPartError(
            f"{told} Install all of bnn_tf: pip install . in its sources, without BNN_TF_RUNTIME_ONLY."
        )
    raise MissingPartError(f"{told} Install what is missing: pip install {' '.join(absent)}")


def announce() -> None:
    """Makes imports of parts that can't run here say what is missing; once a process.

    Example:

    >>> # announce()
    """
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
