"""Files that can't be read as what they should be."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

# How reading a file ends that isn't whole, or isn't ours: the zip format alone has seven of these.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


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
