"""The data sets by name: a loader registers itself, and `load`, the command line and the tests find it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import data_folder
from bnn_tf.errors import unknown_name

Loader = Callable[[Path], Dataset]


@dataclass(frozen=True)
class Source:
    """A data set that can be loaded.

    Attributes:
        name: what `load` takes.
        description: what it is, in a few words.
        load: makes the `Dataset`, given the folder of all data sets.
        files: what it reads, relative to that folder; none for a set that needs no file.
    """

    name: str
    description: str
    load: Loader
    files: tuple[str, ...] = ()


_SOURCES: dict[str, Source] = {}


def register(name: str, description: str, files: tuple[str, ...] = ()) -> Callable[[Loader], Loader]:
    """Makes the decorated loader known as `name`."""

    def add(loader: Loader) -> Loader:
        if name in _SOURCES:
            raise ValueError(f"A data set named {name!r} is registered already. Choose another name.")
        _SOURCES[name] = Source(name, description, loader, files)
        return loader

    return add


def list_datasets() -> list[str]:
    """The names that `load` knows."""
    return sorted(_SOURCES)


def source(name: str) -> Source:
    """The registered data set of that name.

    Raises:
        ArgumentError: a ValueError that gives the nearest names.
    """
    if name not in _SOURCES:
        raise unknown_name("data set", name, _SOURCES)
    return _SOURCES[name]


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Loads a data set; what it needs and can't find is downloaded.

    Args:
        name: one of `list_datasets()`.
        data_dir: the folder that holds the data sets' own folders (`mnist/`, ...). By default that in the environment
            variable `BNN_TF_DATA_DIR`, or else Keras' cache, `~/.keras/datasets`.

    Returns:
        A `Dataset`.

    Raises:
        ArgumentError: a ValueError, for an unknown name (with the nearest ones).
        MissingDataError: a FileNotFoundError that says which files to put where.
        DataFileError: a ValueError that names the file which is truncated, corrupt or swapped with another.
    """
    return source(name).load(data_folder(data_dir))
