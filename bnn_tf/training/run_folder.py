"""The folder of a run: what is in it is whole, and belongs to that run alone."""

import errno
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bnn_tf.errors import UserError

RESULTS = "results.json"
# How reading a zip archive ends that isn't whole, or isn't ours, besides an OSError.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunFolderError(UserError, FileExistsError):
    """A folder that holds something else already."""


class FullDiskError(UserError, OSError):
    """No room for a file of a run; what was there before is whole."""


def first_line(error: BaseException) -> str:
    """Of what an error says; its kind, where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class Folder:
    """A folder whose files appear whole or not at all: each is written beside its place and then renamed.

    Args:
        path: of the folder; it is created where it doesn't exist.

    Raises:
        RunFolderError: a FileExistsError, where something else has that name.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path).expanduser()
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is no folder. Choose another one.")
        self.path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A path to write the file `name` to; on leaving without an exception, it becomes that file.

        The content is on the disk before the name is: not even a power cut leaves half a file.

        Raises:
            FullDiskError: an OSError, where there is no room for it; the earlier file of that name stays.
        """
        partial = self.path / f".partial.{name}"
        try:
            yield partial
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, self.path / name)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _FULL and not isinstance(error, FullDiskError):
                raise FullDiskError(
                    f"No room for {self.path / name}: {os.strerror(error.errno)}. What was written before is whole. "
                    "Free some space and run the same command again."
                ) from error
            raise

    def write_text(self, name: str, text: str) -> None:
        """Writes a file as a whole."""
        with self.replacing(name) as path:
            path.write_text(text, encoding="utf-8")

    def write_json(self, name: str, content: Any) -> None:
        """Writes a JSON file as a whole. What isn't finite becomes null."""
        self.write_text(name, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")

    def clear(self, names: Iterable[str]) -> None:
        """Removes these files, in this order, and what an interrupted writing left before the last of them."""
        *names, last = names
        for file in (*(self.path / name for name in names), *self.path.glob(".partial.*"), self.path / last):
            file.unlink(missing_ok=True)


class RunFolder(Folder):
    """The folder of a comparison or an evaluation, described by its `results.json`.

    Args:
        path: created where it doesn't exist. An existing one must be empty.
        overwrite: whether the files of an earlier run may be removed from it. Files of others are never touched.
        keep: whether an earlier run stays where it is: who makes the folder continues it.

    Raises:
        RunFolderError: a FileExistsError, for a folder that holds another run (without `overwrite`) or something else.
    """

    choices = "Choose another folder, or allow to overwrite it (--overwrite)."

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False, keep: bool = False):
        super().__init__(path)
        if any(entry.name != f".partial.{RESULTS}" for entry in self.path.iterdir()):
            self._clear(overwrite, keep)

    def _clear(self, overwrite: bool, keep: bool) -> None:
        try:
            files = json.loads((self.path / RESULTS).read_text(encoding="utf-8"))["files"]
            names = [name for name in files if Path(name).name == name]
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(f"{self.path} isn't empty, and holds no earlier run. Choose another folder.") from None
        if keep:
            return
        if not overwrite:
            raise RunFolderError(f"{self.path} holds an earlier run. {self.choices}")
        self.clear([*names, RESULTS])  # The list goes last, so that a clearing cut short can be repeated.

    def write_results(self, content: dict[str, Any]) -> None:
        """Writes `results.json`; `content["files"]` must name the run's other files. What isn't finite becomes null."""
        self.write_json(RESULTS, content)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
