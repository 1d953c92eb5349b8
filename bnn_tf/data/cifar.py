"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32×32 pixels, in pickles of rows of R, G and B planes.

A file that is the publisher's, byte for byte, is known by its digest. Of others the content is checked, in whatever
order its rows are: all of CIFAR-10 by the digest of its sorted rows; of CIFAR-100, of which re-encoded copies are in
use, shapes, labels and counts.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data import pickles
from bnn_tf.data.archive import unpack
from bnn_tf.data.cifar_classes import CIFAR10, CIFAR100, SUPERCLASSES, coarse_labels
from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import DataFileError, RemoteFile, check_packed, fetch_missing, find, read
from bnn_tf.data.registry import register

_ADDRESS = "https://www.cs.toronto.edu/~kriz/"
_ROW = 3 * 32 * 32


@dataclass(frozen=True)
class Cifar:
    """One of the two sets.

    Attributes:
        name: of the data set.
        folder: where its files lie.
        archive: the publisher's.
        train: its training files, each with the md5 that the publisher's has.
        test: its test file, likewise.
        key: of the labels in the files.
        class_names: what the labels mean.
        counts: how many images of each class are in the training and in the test set.
        rows: the digests of the sorted rows of the training and of the test set; None where copies differ.
    """

    name: str
    folder: str
    archive: RemoteFile
    train: dict[str, str]
    test: dict[str, str]
    key: str
    class_names: tuple[str, ...]
    counts: tuple[int, int]
    rows: tuple[str, str] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """All that is read."""
        return (*self.train, *self.test)


_CIFAR10 = Cifar(
    "cifar10",
    "cifar-10-batches-py",
    RemoteFile(
        "cifar-10-python.tar.gz",
        f"{_ADDRESS}cifar-10-python.tar.gz",
        None,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    {"test_batch": "40351d587109b95175f43aff81a1287e"},
    "labels",
    CIFAR10,
    (5000, 1000),
    (
        "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
        "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
    ),
)
_CIFAR100 = Cifar(
    "cifar100",
    "cifar-100-python",
    RemoteFile(
        "cifar-100-python.tar.gz",
        f"{_ADDRESS}cifar-100-python.tar.gz",
        None,
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
    {"train": "16019d7e3df5f24257cddd939b257f8d"},
    {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    "fine_labels",
    CIFAR100,
    (500, 100),
)


@dataclass(frozen=True)
class _Batch:
    """One file: uint8 `[images, 3072]`, int64 `[images]`, and whether it is the publisher's, byte for byte."""

    path: Path
    published: bool
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def load_cifar(spec: Cifar, folder: Path, coarse: bool = False) -> Dataset:
    """The data set in `folder`/`spec.folder`; where a file is missing, its archive is unpacked, or downloaded before.

    Args:
        spec: which one.
        folder: of all data sets.
        coarse: whether the labels are CIFAR-100's 20 superclasses.

    Returns:
        A `Dataset`.

    Raises:
        MissingDataError: a FileNotFoundError that says which files to put where.
        DataFileError: a ValueError that names the file which is truncated, corrupt or swapped with another.
    """
    own_folder = folder / spec.folder
    _unpack_missing(spec, folder, own_folder)
    train = _part(spec, own_folder, 0)
    test = _part(spec, own_folder, 1)
    images = [_images(part) for part in (train, test)]
    labels = [np.concatenate([batch.labels for batch in part]) for part in (train, test)]
    name, class_names = spec.name, spec.class_names
    if coarse:
        labels = [coarse_labels(fine) for fine in labels]
        name, class_names = f"{name}-coarse", tuple(SUPERCLASSES)
    return Dataset(name, images[0], labels[0], images[1], labels[1], class_names)


def _unpack_missing(spec: Cifar, folder: Path, own_folder: Path) -> None:
    """The archive may lie in the folder of all data sets too, where Keras downloads it."""
    if all((own_folder / name).is_file() for name in spec.files):
        return
    archive = find(spec.archive, own_folder) or find(spec.archive, folder)
    downloaded = archive is None
    if archive is None:
        fetch_missing([spec.archive], own_folder, check_packed, f"or, unpacked, {', '.join(spec.files)}")
        archive = own_folder / spec.archive.name
    names = "|".join(map(re.escape, spec.files))
    unpack(archive, own_folder, rf"(?:\./)?{re.escape(spec.folder)}/({names})")
    missing = [name for name in spec.files if not (own_folder / name).is_file()]
    if missing:
        raise DataFileError(f"{archive} is another archive under this name: it has no {spec.folder}/{missing[0]}.")
    if downloaded:
        archive.unlink(missing_ok=True)


def _part(spec: Cifar, own_folder: Path, part: int) -> list[_Batch]:
    """The batches of the training (0) or of the test set (1), checked one by one and together."""
    batches = [_batch(spec, own_folder / name, md5) for name, md5 in (spec.train, spec.test)[part].items()]
    suspects = [batch for batch in batches if not batch.published]
    if not suspects:
        return batches
    named = f"One of {', '.join(str(batch.path) for batch in suspects)}" if suspects[1:] else str(suspects[0].path)
    counts = np.bincount(np.concatenate([batch.labels for batch in batches]), minlength=len(spec.class_names))
    if np.all(counts == spec.counts[1 - part]):
        other = ", ".join((spec.test, spec.train)[part])
        raise DataFileError(f"{named} holds {spec.name}'s {other}: files were swapped. Rename them.")
    wrong = np.flatnonzero(counts != spec.counts[part])
    if len(wrong):
        raise DataFileError(
            f"{named} is corrupt or another file: together there are {counts[wrong[0]]} images of "
            f"{spec.class_names[wrong[0]]!r}, where {spec.name} has {spec.counts[part]}. Get it again."
        )
    if spec.rows and rows_digest(batches) != spec.rows[part]:
        raise DataFileError(
            f"{named} is corrupt: the sorted rows have sha256 {rows_digest(batches)}, where the publisher's have "
            f"{spec.rows[part]}. Get it again."
        )
    return batches


def rows_digest(batches: list[_Batch]) -> str:
    """Of all rows, label and pixels, in no order: the sha256 of their sorted digests."""
    digests = []
    for batch in batches:
        rows = np.concatenate([batch.labels[:, None].astype(np.uint8), batch.pixels], axis=1)
        digests += [hashlib.sha256(row).digest() for row in rows]
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _batch(spec: Cifar, path: Path, md5: str) -> _Batch:
    """The content of one file.

    Raises:
        DataFileError: for a file that is truncated, corrupt, or another one under this name.
    """
    raw = read(path)
    try:
        content = pickles.loads(raw)
    except pickles.PickleError as error:
        state = "truncated" if error.truncated else "corrupt"
        raise DataFileError(f"{path} is {state}: {error}. Delete it and get it again.") from None
    if not isinstance(content, dict):
        raise DataFileError(f"{path} is another file under this name: it holds no dict. Get it again.")
    content = {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}
    _refuse_swapped(spec, path, content)
    pixels, labels = content.get(b"data"), content.get(spec.key.encode())
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_ROW,):
        raise DataFileError(f"{path} is corrupt: its `data` is no array of rows of {_ROW} bytes. Get it again.")
    if not isinstance(labels, (list, np.ndarray)) or len(labels) != len(pixels):
        raise DataFileError(f"{path} is corrupt: it has no `{spec.key}` for its {len(pixels)} images. Get it again.")
    known = range(len(spec.class_names))
    if not all(isinstance(label, (int, np.integer)) and label in known for label in labels):
        raise DataFileError(f"{path} is corrupt: it has labels that aren't in 0..{known[-1]}. Get it again.")
    if spec.key == "fine_labels" and b"coarse_labels" in content:
        _check_coarse(path, np.asarray(labels), content[b"coarse_labels"])
    published = hashlib.md5(raw, usedforsecurity=False).hexdigest() == md5
    return _Batch(path, published, pixels, np.asarray(labels, np.int64))


def _check_coarse(path: Path, fine: npt.NDArray[np.int64], coarse: Any) -> None:
    if not isinstance(coarse, (list, np.ndarray)) or not np.array_equal(coarse_labels(fine), coarse):
        raise DataFileError(f"{path} is corrupt: its `coarse_labels` contradict its `fine_labels`. Get it again.")


def _refuse_swapped(spec: Cifar, path: Path, content: dict[bytes, Any]) -> None:
    """Each file says which one it is, and the two sets have their labels under other names."""
    holds = None
    if spec.key == "labels" and b"fine_labels" in content:
        holds = "a file of CIFAR-100"
    elif spec.key == "fine_labels" and b"labels" in content:
        holds = "a file of CIFAR-10"
    else:
        said = content.get(b"batch_label", b"")
        match = re.fullmatch(rb"(training|testing) batch (\d) of \d", said) if isinstance(said, bytes) else None
        name = said.decode("latin-1") if isinstance(said, bytes) else ""
        if match:
            files = tuple(spec.train) if match[1] == b"training" else tuple(spec.test)
            name = files[int(match[2]) - 1] if int(match[2]) <= len(files) else ""
        if name in spec.files and name != path.name:
            holds = name
    if holds:
        raise DataFileError(f"{path} holds {holds}, not {spec.name}'s {path.name}: files were swapped. Rename them.")


def _images(batches: list[_Batch]) -> npt.NDArray[np.uint8]:
    """Rows of planes to `[images, 32, 32, 3]`."""
    out = np.empty((sum(len(batch.pixels) for batch in batches), 32, 32, 3), np.uint8)
    start = 0
    for batch in batches:
        planes = batch.pixels.reshape(-1, 3, 32, 32)
        for channel in range(3):
            out[start : start + len(planes), :, :, channel] = planes[:, channel]
        start += len(planes)
    return out


def _register(spec: Cifar, description: str, name: str | None = None, **options: Any) -> None:
    files = tuple(f"{spec.folder}/{file}" for file in spec.files)
    register(name or spec.name, description, files)(partial(_load, spec, **options))


def _load(spec: Cifar, folder: Path, **options: Any) -> Dataset:
    return load_cifar(spec, folder, **options)


_register(_CIFAR10, "60,000 colour images of ten classes, 32×32×3")
_register(_CIFAR100, "60,000 colour images of a hundred classes, 32×32×3")
_register(_CIFAR100, "CIFAR-100 with its 20 superclasses as labels, 32×32×3", "cifar100-coarse", coarse=True)
