"""Any folder of class folders as a data set.

    FOLDER/train/CLASS/*.jpg        split as the folders say; `test`, `validation`, `valid` or `val` is tested on
    FOLDER/test/CLASS/*.jpg

    FOLDER/CLASS/*.jpg              a share of each class is held out, drawn by a seed

A class' label is its folder's place in the sorted names. Images are read when they are needed.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import DataFileError, MissingDataError
from bnn_tf.data.images import ImageFiles, image_files
from bnn_tf.data.registry import Loader, Source, handle_paths, register
from bnn_tf.errors import ArgumentError

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_TEST_FOLDERS = ("test", "validation", "valid", "val")


def load_folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] = 224,
    short_side: int | None = None,
    channels: int = 3,
    test: float = 0.2,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Loads a folder of class folders, with `train` and `test` above them or without.

    Args:
        path: of the folder.
        size: (height, width) that each image gets, or one number for both: the middle is cut out.
        short_side: pixels to which the shorter side is scaled before; by default 8/7 of `size`: 256 for 224.
        channels: 3 for RGB, 1 for grey.
        test: the share of each class that is held out where the folder has no test part, 0 < test < 1.
        seed: of which images are held out, int from 0.
        name: of the data set; by default the folder's.

    Returns:
        A `Dataset` whose images are read when they are needed; `.in_memory()` reads them all.

    Raises:
        MissingDataError: a FileNotFoundError, where there is no such folder.
        DataFileError: a ValueError, for a folder without classes, a class without images, or parts whose classes
            differ; reading an image that isn't one raises it too, with the file's name.
        ArgumentError: a ValueError, for an argument out of range.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for file in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
    ...         Path(folder, file).parent.mkdir(exist_ok=True)
    ...         Image.new("RGB", (40, 30)).save(Path(folder, file))
    ...     load_folder(folder, size=24).x_train.shape
    (2, 24, 24, 3)
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise MissingDataError(
            f"There is no folder {root}. A data set's name or a folder of class folders is expected."
        )
    files = partial(image_files, size=size, short_side=short_side, channels=channels)
    parts = {part: root / part for part in ("train", *_TEST_FOLDERS) if (root / part).is_dir()}
    tested = next((part for part in _TEST_FOLDERS if part in parts), None)
    if "train" in parts and tested is not None:
        train, test_classes = _classes(parts["train"]), _classes(parts[tested])
        _check_same(train, test_classes, parts["train"], parts[tested])
        (x_train, y_train), (x_test, y_test) = _listed(train), _listed(test_classes)
        return _dataset(name or root.resolve().name, files(x_train), y_train, files(x_test), y_test, train)
    if "train" in parts:
        return load_folder(
            parts["train"], size=size, short_side=short_side, channels=channels, test=test, seed=seed,
            name=name or root.resolve().name,
        )  # fmt: skip
    classes = _classes(root)
    paths, labels = _listed(classes)
    held_out = _held_out(labels, test, seed, root)
    return _dataset(
        name or root.resolve().name,
        files([paths[i] for i in np.flatnonzero(~held_out)]),
        labels[~held_out],
        files([paths[i] for i in np.flatnonzero(held_out)]),
        labels[held_out],
        classes,
    )


def _dataset(
    name: str,
    x_train: ImageFiles,
    y_train: npt.NDArray[np.int64],
    x_test: ImageFiles,
    y_test: npt.NDArray[np.int64],
    classes: dict[str, list[Path]],
) -> Dataset:
    return Dataset(name, x_train, y_train, x_test, y_test, tuple(classes))


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The images of each class folder, sorted; hidden files and folders aren't looked at."""
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    classes = {entry.name: sorted(file for file in entry.iterdir() if _is_image(file)) for entry in folders}
    if not classes:
        images = any(_is_image(file) for file in folder.iterdir())
        raise DataFileError(
            f"{folder} has no class folders{', only images' if images else ''}. Expected one folder of images for each "
            f"class, {folder / 'cat' / '1.jpg'} say."
        )
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise DataFileError(
            f"{folder / empty[0]} has no images ({', '.join(sorted(_SUFFIXES))}). Add some or remove the folder."
        )
    return classes


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file()


def _check_same(train: dict[str, list[Path]], test: dict[str, list[Path]], train_path: Path, test_path: Path) -> None:
    for one, other, here, there in ((train, test, train_path, test_path), (test, train, test_path, train_path)):
        lacking = sorted(set(one) - set(other))
        if lacking:
            raise DataFileError(
                f"The classes of {here} and {there} differ: only the first has {', '.join(lacking[:5])}"
                f"{' and others' if lacking[5:] else ''}. Both need the same class folders."
            )


def _listed(classes: dict[str, list[Path]]) -> tuple[list[Path], npt.NDArray[np.int64]]:
    """All files, class by class, and their labels."""
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return [file for files in classes.values() for file in files], labels.astype(np.int64)


def _held_out(labels: npt.NDArray[np.int64], share: float, seed: int, folder: Path) -> npt.NDArray[np.bool_]:
    """Which images are tested on: of each class that share, at least one, and at least one stays."""
    if not 0 < share < 1 or seed < 0:
        raise ArgumentError(f"`test` must be between 0 and 1, and `seed` at least 0. Got {share} and {seed}.")
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for label in range(labels.max() + 1):
        places = np.flatnonzero(labels == label)
        if len(places) < 2:
            raise DataFileError(
                f"{folder} has a class of one image, which can't be split. Add images, or make folders `train` "
                "and `test`."
            )
        count = min(max(1, round(len(places) * share)), len(places) - 1)
        held_out[random.permutation(places)[:count]] = True
    return held_out


def _by_path(path: str) -> Source:
    def load(folder: Path, **options: object) -> Dataset:
        return load_folder(path, **options)  # type: ignore[arg-type]

    return Source(path, "a folder of class folders", load)


handle_paths(_by_path)


def _flowers17() -> Loader:
    def load(folder: Path, size: int = 128, short_side: int | None = None) -> Dataset:
        """The short side of these images is 128 pixels already: nothing is scaled."""
        root = folder / "flowers17"
        if not (root / "train").is_dir() or not (root / "test").is_dir():
            raise MissingDataError(
                f"Missing: {root / 'train'} and {root / 'test'}, with a folder of images for each of 17 classes. Put "
                "them there, or name the folder above flowers17 with --data-dir or BNN_TF_DATA_DIR."
            )
        return load_folder(root, size=size, short_side=short_side or max(128, size), name="flowers17")

    return load


register(
    "flowers17",
    "1,360 flowers of 17 classes, 128×128×3",
    ("flowers17/train", "flowers17/test"),
    downloaded=False,
)(_flowers17())
