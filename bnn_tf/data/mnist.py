"""MNIST and the sets in its form: 60,000 + 10,000 grey images of 28×28 pixels in ten classes, in four idx files.

Sources: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998 (the address is a mirror: the
publisher's own server asks for a password nowadays); Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017; Clanuwat et al.,
"Deep Learning for Classical Japanese Literature", 2018.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bnn_tf.data import idx
from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import DataFileError, RemoteFile, fetch_missing, find, read, sha256
from bnn_tf.data.registry import register

# What each of the four files holds: its name and the shape of its array.
_PARTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "x_train": ("train-images-idx3-ubyte.gz", (60000, 28, 28)),
    "y_train": ("train-labels-idx1-ubyte.gz", (60000,)),
    "x_test": ("t10k-images-idx3-ubyte.gz", (10000, 28, 28)),
    "y_test": ("t10k-labels-idx1-ubyte.gz", (10000,)),
}


@dataclass(frozen=True)
class Family:
    """A data set in MNIST's form.

    Attributes:
        name: of the data set and of its folder.
        description: what it shows.
        url: where its four files are, ending in a slash.
        sha256: of the decompressed files, in the order of `_PARTS`; None where only those of the gzip files are known.
        class_names: what the labels mean.
        packed_sha256: of the gzip files as published, in the same order.
    """

    name: str
    description: str
    url: str
    sha256: tuple[str | None, str | None, str | None, str | None]
    class_names: tuple[str, ...]
    packed_sha256: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None)

    @property
    def files(self) -> dict[str, RemoteFile]:
        """The four files, by the part of the data set that each one holds."""
        return {
            part: RemoteFile(name, self.url + name, digest, packed)
            for (part, (name, _)), digest, packed in zip(_PARTS.items(), self.sha256, self.packed_sha256, strict=True)
        }


FAMILIES = (
    Family(
        "mnist",
        "70,000 handwritten digits, 28×28×1",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        tuple("0123456789"),
    ),
    Family(
        "fashion-mnist",
        "70,000 pictures of clothes, 28×28×1",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    Family(
        "kmnist",
        "70,000 cursive Japanese characters, 28×28×1",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        (None, None, None, None),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
)

_OWNERS = {
    digest: f"{family.name}/{file.name}"
    for family in FAMILIES
    for file in family.files.values()
    for digest in (file.sha256, file.packed_sha256)
    if digest
}


def _load(family: Family, folder: Path) -> Dataset:
    """The data set in `folder`/`family.name`; what is missing there is downloaded."""
    own_folder = folder / family.name
    fetch_missing(list(family.files.values()), own_folder, lambda file, path: _checked(family, file, path))
    arrays = {}
    for part, file in family.files.items():
        path = find(file, own_folder)
        assert path is not None  # fetch_missing would have raised.
        arrays[part] = _checked(family, file, path)
    return Dataset(
        family.name,
        arrays["x_train"][..., np.newaxis],
        arrays["y_train"].astype(np.int64),
        arrays["x_test"][..., np.newaxis],
        arrays["y_test"].astype(np.int64),
        family.class_names,
    )


def _checked(family: Family, file: RemoteFile, path: Path) -> npt.NDArray[np.uint8]:
    """The array in `path`, which should be `file`.

    Raises:
        DataFileError: for a file that is truncated, corrupt, or another one under this name.
    """
    raw, content = path.read_bytes(), read(path)
    digest, packed = sha256(content), sha256(raw)
    if file.sha256 == digest or file.packed_sha256 == packed:
        return idx.parse(content)

    expected = f"{family.name}/{file.name}"
    owner = _OWNERS.get(digest) or _OWNERS.get(packed)
    if owner:
        raise DataFileError(f"{path} holds {owner}, not {expected}: files were swapped. Rename them.")
    shape = next(shape for name, shape in _PARTS.values() if name == file.name)
    try:
        array = idx.parse(content)
    except idx.IdxError as error:
        state = "truncated" if error.truncated else "corrupt"
        raise DataFileError(f"{path} is {state}: {error}. Delete it to have it downloaded again.") from None
    if array.shape != shape:
        raise DataFileError(
            f"{path} holds an array of shape {array.shape}, where {expected} has {shape}: another file under this "
            "name. Delete it to have it downloaded again."
        )
    if file.sha256 is None:
        return _plausible(path, array)
    raise DataFileError(
        f"{path} is corrupt: its decompressed content has sha256 {digest}, where the publisher's has {file.sha256}. "
        "Delete it to have it downloaded again."
    )


def _plausible(path: Path, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An array that someone packed again and of which no digest is known: labels that are balanced, or some image.

    Raises:
        DataFileError: where the array can't be the published one.
    """
    counts = np.bincount(array.ravel())
    if array.ndim == 1 and counts.tolist() != [len(array) // 10] * 10:
        raise DataFileError(
            f"{path} is corrupt: its labels count {counts.tolist()}, where the publisher has {len(array) // 10} of "
            "each of ten classes. Delete it to have it downloaded again."
        )
    if array.ndim == 3 and not array.any(axis=(1, 2)).all():
        raise DataFileError(f"{path} is corrupt: it has images that are all black. Delete it to download it again.")
    return array


for _family in FAMILIES:
    _files = tuple(f"{_family.name}/{name}" for name, _ in _PARTS.values())
    register(_family.name, _family.description, _files)(partial(_load, _family))
