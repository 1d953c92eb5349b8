"""Files that can't be read as what they should be."""

import json
import math
from pathlib import Path
from typing import Any

from bnn_tf.reporting.tables import is_figure
from bnn_tf.training import run_folder

# How reading a file ends that isn't whole, or isn't ours.
UNREADABLE = (OSError, *run_folder.UNREADABLE)


class DamagedError(ValueError):
    """A file of a run that can't be read as what it should be."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DamagedError: a ValueError, where there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedError(f"{path.name} can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise DamagedError(f"{path.name} is damaged: it isn't JSON") from None
    if not isinstance(content, dict):
        raise DamagedError(f"{path.name} is damaged: it holds no object")
    return content


def figure(value: Any) -> float:
    """A number of a file, NaN for None.

    Raises:
        ValueError: where it is none, or too large to be computed with.
    """
    number = float("nan") if value is None else float(value)
    if not math.isnan(number) and not is_figure(number):
        raise ValueError(f"a figure is {number}")
    return number
