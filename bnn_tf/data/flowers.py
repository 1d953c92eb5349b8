"""Oxford flowers 102: 8,189 photographs of 102 kinds of flowers, of many sizes, read when they are needed.

    flowers102/102flowers.tgz    unpacked to flowers102/jpg/image_00001.jpg ... image_08189.jpg
    flowers102/imagelabels.mat   the class 1..102 of each image
    flowers102/setid.mat         which images are for training (10 of each class), validation (10), testing (the rest)

Source: Nilsback, Zisserman, "Automated Flower Classification over a Large Number of Classes", 2008.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.data.archive import unpack
from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import DataFileError, RemoteFile, check_packed, fetch_missing, file_sha256
from bnn_tf.data.flower_names import FLOWERS102
from bnn_tf.data.images import ImageFiles, image_files
from bnn_tf.data.registry import register
from bnn_tf.errors import ArgumentError

_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_IMAGES = 8189
_PARTS = {"train": ("trnid", 1020), "valid": ("valid", 1020), "test": ("tstid", 6149)}
_ARCHIVE = RemoteFile(
    "102flowers.tgz",
    f"{_ADDRESS}102flowers.tgz",
    None,
    "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
)
_LABELS = RemoteFile(
    "imagelabels.mat",
    f"{_ADDRESS}imagelabels.mat",
    None,
    "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
)
_SPLITS = RemoteFile(
    "setid.mat",
    f"{_ADDRESS}setid.mat",
    None,
    "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
)
# The bytes of the two as published: fewer are a truncated file.
_BYTES = {_LABELS.name: 502, _SPLITS.name: 14989}


@register(
    "flowers102",
    "8,189 photographs of 102 kinds of flowers, 224×224×3",
    ("flowers102/jpg", "flowers102/imagelabels.mat", "flowers102/setid.mat"),
)
def flowers102(
    folder: Path,
    size: int | tuple[int, int] = 224,
    short_side: int | None = None,
    swap: bool = False,
    train: str = "train",
    test: str = "test",
) -> Dataset:
    """The data set in `folder`/flowers102; what is missing there is downloaded.

    Args:
        folder: of all data sets.
        size: (height, width) that each image gets, or one number for both; 256 where the augmentation "alexnet" cuts
            its windows of 224 out.
        short_side: pixels to which the shorter side is scaled before; by default 8/7 of `size`.
        swap: whether to train on the publisher's test part and to test on its training part.
        train: which of the publisher's parts to train on: "train", "valid", "test", or several joined by "+".
        test: likewise to test on.

    Raises:
        ArgumentError: a ValueError, for a part that there isn't or that is used twice.
        MissingDataError: a FileNotFoundError that says which files to put where.
        DataFileError: a ValueError that names the file which is truncated, corrupt or swapped with another.
    """
    if swap:
        train, test = test, train
    used = _used(train, test)
    own_folder = folder / "flowers102"
    _complete(own_folder)
    labels = _labels(own_folder / _LABELS.name)
    splits = _splits(own_folder / _SPLITS.name, labels)

    def part(names: list[str]) -> tuple[ImageFiles, npt.NDArray[np.int64]]:
        numbers = np.concatenate([splits[name] for name in names])
        paths = [_image(own_folder, number) for number in numbers]
        return image_files(paths, size, short_side), labels[numbers - 1]

    return Dataset("flowers102", *part(used[0]), *part(used[1]), FLOWERS102)


@register(
    "flowers102-swapped",
    "flowers102, trained on its larger test part, tested on its training part",
    ("flowers102/jpg", "flowers102/imagelabels.mat", "flowers102/setid.mat"),
)
def flowers102_swapped(folder: Path, size: int | tuple[int, int] = 224, short_side: int | None = None) -> Dataset:
    """`flowers102` with `swap=True`."""
    plain = flowers102(folder, size, short_side, swap=True)
    return Dataset("flowers102-swapped", plain.x_train, plain.y_train, plain.x_test, plain.y_test, plain.class_names)


def _used(train: str, test: str) -> tuple[list[str], list[str]]:
    used = train.split("+"), test.split("+")
    for name in (*used[0], *used[1]):
        if name not in _PARTS or (*used[0], *used[1]).count(name) > 1:
            raise ArgumentError(
                f"flowers102: `train` and `test` name different ones of {', '.join(_PARTS)}, joined by +. "
                f"Got {train!r} and {test!r}."
            )
    return used


def _complete(own_folder: Path) -> None:
    """Downloads and unpacks what is missing."""
    instead = "or, unpacked, jpg/image_00001.jpg and so on"
    images = all(_image(own_folder, number).is_file() for number in range(1, _IMAGES + 1))
    archive = own_folder / _ARCHIVE.name
    downloaded = not images and not archive.is_file()
    fetch_missing([_LABELS, _SPLITS, *([] if images else [_ARCHIVE])], own_folder, check_packed, instead)
    if images:
        return
    unpack(archive, own_folder, r"(?:\./)?(jpg/image_\d{5}\.jpg)")
    missing = [number for number in range(1, _IMAGES + 1) if not _image(own_folder, number).is_file()]
    if missing:
        raise DataFileError(
            f"{archive} is another archive under this name: it lacks {len(missing)} of {_IMAGES} images, first "
            f"jpg/{_image(own_folder, missing[0]).name}. Get it again."
        )
    if downloaded:
        archive.unlink(missing_ok=True)


def _image(own_folder: Path, number: int) -> Path:
    return own_folder / "jpg" / f"image_{number:05d}.jpg"


def _labels(path: Path) -> npt.NDArray[np.int64]:
    """The classes of all images, 0..101."""
    content = _mat(path, _LABELS)
    if "trnid" in content:
        raise DataFileError(f"{path} holds {_SPLITS.name}, not {_LABELS.name}: files were swapped. Rename them.")
    labels = np.ravel(content.get("labels", [])).astype(np.int64)
    if len(labels) != _IMAGES or set(labels.tolist()) != set(range(1, len(FLOWERS102) + 1)):
        raise DataFileError(
            f"{path} is corrupt: expected `labels` with a class of 1..{len(FLOWERS102)} for each of {_IMAGES} images. "
            "Delete it to have it downloaded again."
        )
    return labels - 1


def _splits(path: Path, labels: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """The numbers of the images of each part, from 1."""
    content = _mat(path, _SPLITS)
    if "labels" in content:
        raise DataFileError(f"{path} holds {_LABELS.name}, not {_SPLITS.name}: files were swapped. Rename them.")
    splits = {name: np.ravel(content.get(key, [])).astype(np.int64) for name, (key, _) in _PARTS.items()}
    whole = np.sort(np.concatenate(list(splits.values())))
    complete = np.array_equal(whole, np.arange(1, _IMAGES + 1))
    if not complete or any(np.any(np.bincount(labels[splits[name] - 1]) != 10) for name in ("train", "valid")):
        counts = ", ".join(f"{key} {count}" for key, count in _PARTS.values())
        raise DataFileError(
            f"{path} is corrupt: expected each of {_IMAGES} images in one part ({counts}), and ten of each class in "
            "the first two. Delete it to have it downloaded again."
        )
    return splits


def _mat(path: Path, file: RemoteFile) -> dict[str, Any]:
    """The variables of a MATLAB file.

    Raises:
        DataFileError: where it can't be read; a truncated file is told from a corrupt one by its length.
    """
    from scipy.io import loadmat

    content = path.read_bytes()
    try:
        return loadmat(io.BytesIO(content))
    except Exception as error:  # SciPy's reader fails in whatever way the damage leads to.
        if len(content) < _BYTES[file.name]:
            raise DataFileError(
                f"{path} is truncated: it ends after {len(content)} of {_BYTES[file.name]} bytes. "
                "Delete it to have it downloaded again."
            ) from None
        raise DataFileError(
            f"{path} is corrupt: {type(error).__name__}: {error}; its sha256 is {file_sha256(path)}, not "
            f"{file.packed_sha256}. Delete it to have it downloaded again."
        ) from None
