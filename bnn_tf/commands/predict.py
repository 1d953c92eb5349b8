"""`bnn-tf predict`: what a packed model sees in pictures. It needs no TensorFlow."""

import argparse
import csv
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_tf.commands.common import height_and_width, positive
from bnn_tf.errors import ArgumentError, UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from bnn_tf.runtime import PackedModel

    Scores = npt.NDArray[np.floating[Any]]

_DESCRIPTION = """The classes of pictures, of all pictures in folders, or of the rows of .npy arrays, with their scores:
probabilities, by a softmax where the model gives logits. A picture is scaled and the middle cut out as the packed model
says. Bytes in an array are pixels; floats are taken as they are."""
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_COLUMNS = ("image", "rank", "class", "index", "score")

_LOG = logging.getLogger("bnn_tf.commands.predict")


def add(commands: Any) -> None:
    """Adds the command to the parsers of `bnn-tf`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser("predict", help="classify pictures with a packed model", description=_DESCRIPTION)
    parser.add_argument("model", metavar="NET.bnn", help="what `bnn-tf pack` wrote")
    parser.add_argument("images", nargs="+", metavar="IMAGE|FOLDER|ARRAY.npy", help="what to classify")
    parser.add_argument("--top", type=positive, default=1, metavar="K", help="classes for each; by default 1")
    parser.add_argument(
        "--size", nargs="+", type=positive, metavar="N", help="height and width; by default the model's"
    )
    parser.add_argument("--batch-size", type=positive, default=32, help="pictures at a time; by default 32")
    parser.add_argument("--threads", type=positive, default=0, help="by default as many as there are cores")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Prediction:
    """What was seen in a picture.

    Attributes:
        image: its path, or that of the array with the row.
        top: (name, index, score) of the best classes, the best first.
    """

    image: str
    top: tuple[tuple[str, int, float], ...]


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    arrays, pictures = _sources(options.images)
    size = height_and_width(options.size)
    from bnn_tf.runtime import PackedModel

    model = PackedModel(options.model, threads=options.threads)
    if model.classes and options.top > len(model.classes):
        raise ArgumentError(f"--top is {options.top}, and {options.model} knows {len(model.classes)} classes.")
    reader = _Reader(model, size, options.batch_size)
    predictions = (
        Prediction(name, _top(row, options.top, model.classes))
        for part in (reader.arrays(arrays), reader.pictures(pictures))
        for names, outputs in part
        for name, row in zip(names, _scores(outputs), strict=True)
    )
    _print(predictions, options)
    if reader.unreadable:
        raise UserError(f"{reader.unreadable} of {len(pictures)} pictures couldn't be read; they are named above.")
    return 0


def summary(path: str) -> int:
    """Prints what is in a packed model; returns the exit code."""
    from bnn_tf.runtime import PackedModel

    print(PackedModel(path).summary())
    return 0


def _sources(paths: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The arrays and the pictures that the arguments name, folders searched."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
            inside = [file for file in inside if not file.name.startswith(".")]
            if not inside:
                raise ArgumentError(f"There is no picture in {path} ({', '.join(sorted(_SUFFIXES))}).")
            found.extend(inside)
        else:
            path.open("rb").close()  # says what is wrong with the path
            found.append(path)
    return [file for file in found if file.suffix == ".npy"], [file for file in found if file.suffix != ".npy"]


class _Reader:
    """Reads batches and lets the model see them."""

    def __init__(self, model: "PackedModel", size: tuple[int, int] | None, batch_size: int):
        self.unreadable = 0
        self._model = model
        self._size = size
        self._batch = batch_size

    def arrays(self, paths: Sequence[Path]) -> Iterator[tuple[list[str], "Scores"]]:
        for path in paths:
            rows = _array(path, self._model.default_shape)
            for start in range(0, len(rows), self._batch):
                part = rows[start : start + self._batch]
                names = [f"{path}[{start + row}]" for row in range(len(part))]
                yield names, self._model.predict(part)

    def pictures(self, paths: Sequence[Path]) -> Iterator[tuple[list[str], "Scores"]]:
        if not paths:
            return
        from bnn_tf.data.files import DataFileError
        from bnn_tf.data.images import image_files

        height, width, channels = self._picture_shape()
        preprocessing: dict[str, Any] | None = self._model.preprocessing
        if preprocessing is None:
            _LOG.warning("the packed model says nothing about pixels: they are taken as 0..255")
        short_side = max((preprocessing or {}).get("short_side") or 0, height, width)
        for start in range(0, len(paths), self._batch):
            files = image_files(paths[start : start + self._batch], (height, width), short_side, channels)
            try:
                names, images = [str(path) for path in files.paths], files[:]
            except DataFileError:  # one of them: the others are still wanted
                names, images = self._one_by_one(files)
            if names:
                yield names, self._model.predict(images if preprocessing else images.astype("float32"))
            if sys.stderr.isatty():
                print(f"\r\033[K{min(start + self._batch, len(paths))}/{len(paths)}", end="", file=sys.stderr)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _one_by_one(self, files: Any) -> tuple[list[str], "npt.NDArray[np.uint8]"]:
        import numpy as np

        from bnn_tf.data.files import DataFileError

        read = {}
        for index, path in enumerate(files.paths):
            try:
                read[str(path)] = files[index]
            except DataFileError as error:
                self.unreadable += 1
                _LOG.warning("%s", error)
        return list(read), np.array(list(read.values()))

    def _picture_shape(self) -> tuple[int, int, int]:
        height, width, channels = self._model.default_shape
        if channels not in (1, 3):
            raise ArgumentError(
                f"The packed model takes {self._model.default_shape}: no pictures, which have 1 or 3 channels. "
                "Give it an .npy array."
            )
        if self._size:
            height, width = self._size
        if height is None or width is None:
            raise ArgumentError("The packed model takes images of any size. Say with --size which one.")
        return height, width, channels


def _array(path: Path, shape: tuple[int | None, ...]) -> "npt.NDArray[Any]":
    """The inputs in a file, batch first."""
    import numpy as np

    try:
        rows = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ArgumentError(f"{path} is no NumPy array: {str(error).splitlines()[0]}") from None
    if rows.ndim == len(shape):  # a single one, or grey images without a channel axis
        grey = shape[-1] == 1 and rows.shape[-1] != 1 and len(shape) == 3
        rows = rows[..., None] if grey else rows[None]
    if rows.dtype.kind not in "fu" or (rows.dtype.kind == "u" and rows.dtype.itemsize > 1):
        raise ArgumentError(f"{path} holds {rows.dtype}. Expected pixels as uint8, or floats.")
    return rows


def _scores(outputs: "Scores") -> "Scores":
    """A probability for each class; the value itself where there is only one. A map of outputs counts as its mean."""
    import numpy as np

    rows = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    if rows.shape[-1] > 1 and not ((rows >= 0).all() and np.allclose(rows.sum(-1), 1, atol=1e-3)):
        powers = np.exp(rows - rows.max(-1, keepdims=True))
        rows = powers / powers.sum(-1, keepdims=True)
    return rows.mean(1)


def _top(row: "Scores", count: int, classes: Sequence[str]) -> tuple[tuple[str, int, float], ...]:
    best = row.argsort(kind="stable")[::-1][:count]
    return tuple((classes[index] if classes else str(index), int(index), float(row[index])) for index in best)


def _print(predictions: Iterator[Prediction], options: argparse.Namespace) -> None:
    if options.json:
        keys = ("class", "index", "score")
        rows = [
            {"image": each.image, "top": [dict(zip(keys, top, strict=True)) for top in each.top]}
            for each in predictions
        ]
        print(json.dumps(rows, indent=2))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if options.csv:
        writer.writerow(_COLUMNS)
    for each in predictions:
        if options.csv:
            for rank, (name, index, score) in enumerate(each.top, start=1):
                writer.writerow((each.image, rank, name, index, f"{score:.6f}"))
        else:
            print(f"{each.image}: {', '.join(f'{name} {score:.3f}' for name, _, score in each.top)}")
