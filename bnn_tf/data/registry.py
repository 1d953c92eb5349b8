"""The data sets by name: a loader registers itself, and `load`, the command line and the tests find it."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import data_folder
from bnn_tf.errors import ArgumentError, unknown_name

Loader = Callable[..., Dataset]


@dataclass(frozen=True)
class Source:
    """A data set that can be loaded.

    Attributes:
        name: what `load` takes.
        description: what it is, in a few words.
        load: makes the `Dataset`, given the folder of all data sets and perhaps options.
        files: what it reads, relative to that folder; none for a set that needs no file.
        downloaded: whether missing files are downloaded.
    """

    name: str
    description: str
    load: Loader
    files: tuple[str, ...] = ()
    downloaded: bool = True


_SOURCES: dict[str, Source] = {}
_PATH_HANDLERS: list[Callable[[str], Source]] = []


def register(
    name: str, description: str, files: tuple[str, ...] = (), downloaded: bool = True
) -> Callable[[Loader], Loader]:
    """Makes the decorated loader known as `name`."""

    def add(loader: Loader) -> Loader:
        if name in _SOURCES:
            raise ValueError(f"A data set named {name!r} is registered already. Choose another name.")
        _SOURCES[name] = Source(name, description, loader, files, downloaded)
        return loader

    return add


def handle_paths(handler: Callable[[str], Source]) -> None:
    """Makes `handler` answer for names that are paths: those with a separator, or of a folder that exists."""
    _PATH_HANDLERS[:] = [handler]


def list_datasets() -> list[str]:
    """The names that `load` knows."""
    return sorted(_SOURCES)


def source(name: str) -> Source:
    """The registered data set of that name, or the folder of that path.

    Raises:
        ArgumentError: a ValueError that gives the nearest names.
    """
    if name in _SOURCES:
        return _SOURCES[name]
    if _PATH_HANDLERS and (os.sep in name or name in (".", "..") or Path(name).is_dir()):
        return _PATH_HANDLERS[0](name)
    raise unknown_name("data set", name, _SOURCES)


def load(name: str, data_dir: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """Loads a data set; what it needs and can't find is downloaded.

    Args:
        name: one of `list_datasets()`, or the path of a folder of class folders (see `load_folder`; a folder in the
            current one whose name is that of a data set is `./NAME`).
        data_dir: the folder that holds the data sets' own folders (`mnist/`, ...). By default that in the environment
            variable `BNN_TF_DATA_DIR`, or else Keras' cache, `~/.keras/datasets`.
        **options: of the data set: `size` and `short_side` for the flowers, `swap`, `train` and `test` for flowers102,
            those of `load_folder` for a path.

    Returns:
        A `Dataset`.

    Raises:
        ArgumentError: a ValueError, for an unknown name (with the nearest ones) or option.
        MissingDataError: a FileNotFoundError that says which files to put where.
        DataFileError: a ValueError that names the file which is truncated, corrupt or swapped with another.

    Example:

    >>> bnn_tf.data.load("digits").input_shape
    (8, 8, 1)
    """
    found = source(name)
    try:
        inspect.signature(found.load).bind(Path(), **options)
    except TypeError:
        known = [each for each in inspect.signature(found.load).parameters if each not in ("folder", "options")]
        raise ArgumentError(
            f"{name} doesn't take the options {', '.join(options)}. It takes {', '.join(known) or 'none'}."
        ) from None
    return found.load(data_folder(data_dir), **options)
