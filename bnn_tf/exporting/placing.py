"""Files and folders that are there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bnn_tf.errors import ArgumentError


def check_file(path: Path) -> None:
    """Raises an ArgumentError where no file can be written to `path`; one that is there will be replaced."""
    if path.is_dir():
        raise ArgumentError(f"export: {path} is a folder, and this format is a file. Name a file in it.")
    _check_parent(path)


def check_folder(path: Path) -> None:
    """Raises an ArgumentError where no new folder can be made at `path`."""
    if os.path.lexists(path):
        raise ArgumentError(f"export: {path} is there already. Remove it, or name a folder that isn't there.")
    _check_parent(path)


def _check_parent(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise ArgumentError(f"export: there is no folder {path.parent} to write {path.name} to. Create it first.")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or folder to; it becomes `path` on leaving without an exception.

    Raises:
        OSError: where that can't be written; it names `path`.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        part.touch(exist_ok=False)  # before minutes of work: says whether one may write here
        part.unlink()
        yield part
        os.replace(part, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
