"""One network in several schemes on the same data: accuracy, size and speed side by side."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras

from bnn_tf import data as data_sets
from bnn_tf import models, ops, plots
from bnn_tf.errors import ArgumentError
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.models.schemes import get_scheme
from bnn_tf.training.environment import environment
from bnn_tf.training.fit import evaluate, train
from bnn_tf.training.recipe import Recipe, recipe_for
from bnn_tf.training.run_folder import RunFolder
from bnn_tf.training.speed import images_per_second

CURVES = "curves.png"
_FORMAT = 1


@dataclass(frozen=True)
class Row:
    """One trained network of a comparison.

    Attributes:
        scheme: "float", "bwn", "dorefa" or "xnor".
        accuracy: on the test set, 0..1.
        loss: on the test set.
        binary_weights: those of one bit.
        float_weights: those of 32 bits, the scales of binary layers excluded.
        packed_bytes: with one bit for each binary weight.
        float_bytes: with 32 bits for every weight.
        train_seconds: of wall clock.
        images_per_second: inference, through the C++ op where the scheme has one; None where that doesn't serve.
        images_per_second_composed: the same through the composed path; None for the float network.
        history: the learning curves, see `Training`.
        model_file: the trained model's file in the run's folder; None without a folder.
    """

    scheme: str
    accuracy: float
    loss: float
    binary_weights: int
    float_weights: int
    packed_bytes: int
    float_bytes: int
    train_seconds: float
    images_per_second: float | None
    images_per_second_composed: float | None
    history: dict[str, list[float]]
    model_file: str | None


@dataclass
class Comparison:
    """A comparison, finished or under way.

    Attributes:
        model: the network's name.
        data: the data set's name.
        schemes: what is compared.
        recipe: how each is trained.
        seed: of initial weights, dropout and the order of the images.
        environment: where it was measured.
        rows: the networks that are finished.
    """

    model: str
    data: str
    schemes: tuple[str, ...]
    recipe: Recipe
    seed: int
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every scheme has its row."""
        return len(self.rows) == len(self.schemes)

    @property
    def command(self) -> str:
        """The command that repeats the comparison."""
        recipe = self.recipe
        return (
            f"bnn-tf compare --model {self.model} --data {self.data} --schemes {' '.join(self.schemes)} "
            f"--epochs {recipe.epochs} --batch-size {recipe.batch_size} "
            f"--learning-rate {recipe.learning_rate:g} --seed {self.seed}"
        )

    def table(self) -> str:
        """The finished rows as text."""
        return _align([_HEADER, *(_cells(row) for row in self.rows)])

    def as_dict(self) -> dict[str, Any]:
        """The content of `results.json`."""
        return {
            "format": _FORMAT,
            "command": self.command,
            "complete": self.complete,
            "files": [row.model_file for row in self.rows if row.model_file] + ([CURVES] if self.rows else []),
            "model": self.model,
            "data": self.data,
            "schemes": list(self.schemes),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "environment": self.environment,
            "rows": [asdict(row) for row in self.rows],
        }


class ComparisonInterrupted(KeyboardInterrupt):
    """Ctrl-C during `compare`: what was finished is whole, in the folder and in `comparison`."""

    def __init__(self, comparison: Comparison):
        super().__init__()
        self.comparison = comparison


def compare(
    model: str = "lenet",
    data: str = "digits",
    schemes: Sequence[str] = ("float", "bwn", "dorefa", "xnor"),
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Comparison:
    """Trains a network in several schemes, from the same initial weights and with the same order of images.

    With `out`, each finished scheme leaves its model (`MODEL_SCHEME.keras`, uncompiled) there, and `results.json` and
    `curves.png` grow by it: files are replaced as a whole, so an interruption leaves what was finished.

    Args:
        model: a name of `models.list_models()`.
        data: a name of `data.list_datasets()`.
        schemes: names of `models.SCHEMES`.
        epochs, batch_size, learning_rate: in place of the values of `recipe_for(data)`.
        seed: int.
        data_dir: see `data.load`.
        out: a folder to be created, or an empty one; None writes nothing.
        overwrite: whether an earlier run in `out` may be replaced.
        progress: whether progress is shown on standard error.

    Returns:
        A `Comparison`.

    Raises:
        ArgumentError: a ValueError, for an unknown name or a value out of range.
        RunFolderError: a FileExistsError, where `out` holds something else.
        MissingDataError, DataFileError: see `data.load`.
        ComparisonInterrupted: a KeyboardInterrupt that carries the finished rows.

    Example:

    >>> print(compare("lenet", "digits", ["float", "xnor"], epochs=3).table())
    """
    comparison = _comparison(model, data, schemes, recipe_for(data, epochs, batch_size, learning_rate), seed)
    dataset = data_sets.load(data, data_dir)
    folder = None
    try:
        for scheme in comparison.schemes:
            network = models.build(model, scheme, input_shape=dataset.input_shape, classes=dataset.classes, seed=seed)
            if (
                folder is None and out is not None
            ):  # Not before everything that can be wrong with the arguments has been tried.
                folder = RunFolder(out, overwrite)
                folder.write_results(comparison.as_dict())
            row = _row(network, scheme, dataset, comparison, folder, progress)
            comparison.rows.append(row)
            if folder is not None:
                _save(folder, comparison)
    except KeyboardInterrupt:
        if folder is not None and comparison.rows:  # It may have cut short the saving of the last one.
            _save(folder, comparison)
        raise ComparisonInterrupted(comparison) from None
    return comparison


def _comparison(model: str, data: str, schemes: Sequence[str], recipe: Recipe, seed: int) -> Comparison:
    models.check_name(model)
    data_sets.source(data)
    for scheme in schemes:
        get_scheme(scheme)
    if not schemes or len(set(schemes)) < len(schemes):
        raise ArgumentError(f"compare: `schemes` must be one or more different names. Got {list(schemes)}.")
    return Comparison(model, data, tuple(schemes), recipe, seed, environment())


def _row(
    network: keras.Model,
    scheme: str,
    dataset: data_sets.Dataset,
    comparison: Comparison,
    folder: RunFolder | None,
    progress: bool,
) -> Row:
    label = f"{comparison.model} {scheme}"
    training = train(network, dataset, comparison.recipe, seed=comparison.seed, progress=label if progress else None)
    evaluation = evaluate(network, dataset)
    fast, composed = _speeds(network, dataset)
    size = models.model_size(network)
    model_file = None
    if folder is not None:
        model_file = f"{comparison.model}_{scheme}.keras"
        with folder.replacing(model_file) as path:
            # The same layers without an optimizer, whose state would triple the file.
            keras.Model(network.inputs, network.outputs, name=network.name).save(path)
    return Row(
        scheme,
        evaluation.accuracy,
        evaluation.loss,
        size.binary_weights,
        size.float_weights,
        size.packed_bytes,
        size.float_bytes,
        training.seconds,
        fast,
        composed,
        training.history,
        model_file,
    )


def _speeds(network: keras.Model, dataset: data_sets.Dataset) -> tuple[float | None, float | None]:
    """Images per second as the model runs, and on the composed path; None for what there isn't."""
    x = dataset.normalize(dataset.x_test)
    if not any(isinstance(layer, BinaryLayer) for layer in network.layers):
        return images_per_second(network, x), None
    with ops.composed_path():
        composed = images_per_second(network, x)
    return (images_per_second(network, x) if ops.backend_info()["custom_ops"] else None), composed


def _save(folder: RunFolder, comparison: Comparison) -> None:
    title = f"{comparison.model} on {comparison.data}"
    with folder.replacing(CURVES) as path:
        plots.learning_curves({row.scheme: row.history for row in comparison.rows}, title).savefig(path, dpi=120)
    folder.write_results(comparison.as_dict())


_HEADER = (
    "scheme",
    "test accuracy",
    "1-bit weights",
    "32-bit weights",
    "bytes",
    "bytes at 32 bits",
    "train s",
    "images/s",
    "composed images/s",
)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.scheme,
        f"{row.accuracy:.2%}",
        f"{row.binary_weights:,}",
        f"{row.float_weights:,}",
        f"{row.packed_bytes:,}",
        f"{row.float_bytes:,}",
        f"{row.train_seconds:.1f}",
        _rate(row.images_per_second),
        _rate(row.images_per_second_composed),
    )


def _rate(images: float | None) -> str:
    return "-" if images is None else f"{images:,.0f}"


def _align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        (row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)))
        for row in rows
    )
    return "\n".join("  ".join(line) for line in lines)
