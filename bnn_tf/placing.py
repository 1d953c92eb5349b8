"""Files and folders that are there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bnn_tf.errors import ArgumentError


def check_file(who: str, path: Path) -> None:
    """Raises an ArgumentError that begins with `who` where no file can be written to `path`; one there is replaced."""
    if path.is_dir():
        raise ArgumentError(f"{who}: {path} is a folder. Name a file in it, {path / 'name'} say.")
    _check_parent(who, path)


def check_folder(who: str, path: Path) -> None:
    """Raises an ArgumentError that begins with `who` where no new folder can be made at `path`."""
    if os.path.lexists(path):
        raise ArgumentError(f"{who}: {path} is there already. Remove it, or name a folder that isn't there.")
    _check_parent(who, path)


def _check_parent(who: str, path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise ArgumentError(f"{who}: there is no folder {path.parent} to write {path.name} to. Create it first.")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or folder to; it becomes `path` on leaving without an exception.

    A file's content is on the disk before its name is: not even a power cut leaves half of it.

    Raises:
        OSError: where that can't be written; it names `path`, whose earlier content stays.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        part.touch(exist_ok=False)  # before minutes of work: says whether one may write here
        part.unlink()
        yield part
        if part.is_file():
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part), part):
            raise  # a library's own words, or about another file
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
