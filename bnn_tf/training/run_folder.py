"""The folder of a run: what is in it is whole, and belongs to that run alone."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bnn_tf.errors import UserError

RESULTS = "results.json"


class RunFolderError(UserError, FileExistsError):
    """A folder that holds something else already."""


class RunFolder:
    """A folder whose files appear whole or not at all: each is written beside its place and then renamed.

    Args:
        path: created where it doesn't exist. An existing one must be empty.
        overwrite: whether the files of an earlier run may be removed from it. Files of others are never touched.

    Raises:
        RunFolderError: a FileExistsError, for a folder that holds another run (without `overwrite`) or something else.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False):
        self.path = Path(path).expanduser()
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is no folder. Choose another one.")
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            self._clear(overwrite)

    def _clear(self, overwrite: bool) -> None:
        results = self.path / RESULTS
        try:
            files = json.loads(results.read_text(encoding="utf-8"))["files"]
            names = [self.path / name for name in files if Path(name).name == name]
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(f"{self.path} isn't empty, and holds no earlier run. Choose another folder.") from None
        if not overwrite:
            raise RunFolderError(
                f"{self.path} holds an earlier run. Choose another folder, or allow to overwrite it (--overwrite)."
            )
        for file in (
            *names,
            *self.path.glob(".partial.*"),
            results,
        ):  # The list goes last, so that a clearing cut short can be repeated.
            file.unlink(missing_ok=True)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A path to write the file `name` to; on leaving without an exception, it becomes that file."""
        partial = self.path / f".partial.{name}"
        try:
            yield partial
            os.replace(partial, self.path / name)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def write_results(self, content: dict[str, Any]) -> None:
        """Writes `results.json`; `content["files"]` must name the run's other files. What isn't finite becomes null."""
        with self.replacing(RESULTS) as path:
            path.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
