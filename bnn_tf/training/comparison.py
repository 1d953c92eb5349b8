"""Networks, schemes, widths and data sets side by side: accuracy over seeds, size and speed."""

import logging
import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import keras

from bnn_tf import data as data_sets
from bnn_tf import models, ops, plots
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.models.table import without_weights
from bnn_tf.training.batches import input_shape
from bnn_tf.training.comparison_folder import ACCURACY, CURVES, ComparisonFolder
from bnn_tf.training.divergence import DivergedError
from bnn_tf.training.environment import environment
from bnn_tf.training.evaluation import report
from bnn_tf.training.fit import Training, train
from bnn_tf.training.frontends import check_frontend, train_in_tflearn
from bnn_tf.training.grid import Cell, Grid, data_spec, model_spec
from bnn_tf.training.precision import precision as computing_in
from bnn_tf.training.recipe import Recipe, recipe_for
from bnn_tf.training.rows import Row, groups, row_from_json, table
from bnn_tf.training.speed import images_per_second

_LOG = logging.getLogger(__name__)
_FORMAT = 2
_TIMED_IMAGES = 256
# Options of `bnn-tf compare` that aren't called as the recipe calls them.
_OPTIONS = {"frozen": "freeze", "layer_rates": "layer-rate"}

Datasets = dict[str, data_sets.Dataset]


@dataclass
class Comparison:
    """A comparison, finished or under way.

    Attributes:
        grid: what is compared.
        recipes: how a network is trained, for each data set.
        given: what of the recipes isn't the data sets' own.
        precision: of the layers; see `training.precision`.
        frontend: what trains: "keras" or "tflearn".
        environment: where it was begun.
        rows: the networks that are finished.
    """

    grid: Grid
    recipes: dict[str, Recipe]
    given: dict[str, Any]
    precision: str
    frontend: str
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    @property
    def unfinished(self) -> list[Cell]:
        """What has no row yet."""
        finished = {row.cell for row in self.rows}
        return [cell for cell in self.grid.cells() if cell not in finished]

    @property
    def complete(self) -> bool:
        """Whether everything has its row."""
        return not self.unfinished

    @property
    def command(self) -> str:
        """The command that repeats the comparison."""
        grid = self.grid
        recipe: dict[str, Any] = {}
        for name in ("epochs", "batch_size", "learning_rate"):
            values = {getattr(each, name) for each in self.recipes.values()}
            recipe |= {name: values.pop()} if len(values) == 1 else {}
        lists: dict[str, Any] = {"model": grid.models, "data": grid.data, "schemes": grid.schemes}
        lists |= {"widths": grid.widths} if grid.widths != (1,) else {}
        options = [*lists.items(), *{**recipe, **self.given}.items()]
        options += [("precision", self.precision)] if self.precision != "float32" else []
        options += [("frontend", self.frontend)] if self.frontend != "keras" else []
        words = [word for name, value in [*options, ("seed", grid.seeds)] for word in _option(name, value)]
        return shlex.join(["bnn-tf", "compare", *words])

    def table(self) -> str:
        """The finished rows as text: means and deviations over the seeds."""
        return table(self.grid, self.rows)

    def networks(self) -> dict[str, dict[str, Any]]:
        """What `plots.trade_off` draws: each network's accuracy, packed bytes and seconds an image (in batches).

        Example:

        >>> bnn_tf.plots.trade_off(compare("lenet", "digits").networks()).savefig("trade_off.png")
        """
        return {self.grid.label(group.first.cell, without=["seeds"]): group.network() for group in groups(self.rows)}

    def as_dict(self) -> dict[str, Any]:
        """The content of `results.json`."""
        return {
            "format": _FORMAT,
            "command": self.command,
            "complete": self.complete,
            "files": [*(f"{self.grid.file_stem(cell)}.keras" for cell in self.grid.cells()), CURVES, ACCURACY],
            "grid": asdict(self.grid),
            "recipes": {name: asdict(recipe) for name, recipe in self.recipes.items()},
            "precision": self.precision,
            "frontend": self.frontend,
            "environment": self.environment,
            "rows": [asdict(row) for row in self.rows],
            "groups": [group.to_dict() for group in groups(self.rows)],
        }


class ComparisonInterrupted(KeyboardInterrupt):
    """Ctrl-C during `compare`: what was finished is whole, in the folder and in `comparison`."""

    def __init__(self, comparison: Comparison):
        super().__init__()
        self.comparison = comparison


def compare(
    model: str | Sequence[str] = "lenet",
    data: str | Sequence[str] = "digits",
    schemes: str | Sequence[str] = ("float", "bwn", "dorefa", "xnor"),
    *,
    widths: float | Sequence[float] = 1,
    seed: int | Sequence[int] = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    precision: str = "float32",
    frontend: str = "keras",
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **recipe: Any,
) -> Comparison:
    """Trains every combination of networks, data sets, schemes, widths and seeds; for the same seed and shapes from the
    same initial weights and with the same order of images.

    With `out`, each finished training leaves its model (`MODEL_SCHEME.keras`, and what else varies in the name;
    uncompiled) there, and `results.json` and the pictures grow by it: `curves.png` as long as there are few enough
    lines, `accuracy.png` where more varies than schemes. Files are replaced as a whole, so an interruption, by `kill
    -9` too, leaves what was finished, and `resume` goes on with the training that was under way.

    Args:
        model: a name of `models.list_models()`, perhaps with options, "resnet_cifar:n=2" say; or several.
        data: a name of `data.list_datasets()` or a folder of class folders; or several.
        schemes: names of `models.SCHEMES`.
        widths: what the numbers of feature maps are multiplied by.
        seed: int from 0, or several.
        epochs, batch_size, learning_rate, **recipe: in place of the values of `recipe_for(data)`; see `Recipe`.
        precision: see `training.precision`.
        frontend: "keras", or "tflearn" to train LeNet in TFLearn, in processes of their own. Everything else is done
            with the Keras network that has learnt its weights.
        data_dir: see `data.load`.
        out: a folder to be created, or an empty one; None writes nothing.
        resume: whether a comparison that was begun in `out` is continued; it must have the same arguments. Where there
            is none, it is begun.
        overwrite: whether an earlier run in `out` may be replaced.
        progress: whether progress is shown on standard error.

    Returns:
        A `Comparison`.

    Raises:
        ArgumentError: a ValueError, for an unknown name, a value out of range or a network that can't be built for the
            data: before anything is trained.
        RunFolderError: a FileExistsError, where `out` holds something else, or a comparison of something else.
        MissingDataError, DataFileError: see `data.load`.
        MissingTFLearnError: an ImportError, where `frontend` is "tflearn" and that isn't installed.
        ComparisonInterrupted: a KeyboardInterrupt that carries the finished rows.

    Example:

    >>> print(compare("lenet", "digits", ["float", "xnor"], widths=[1, 2], seed=[0, 1, 2], epochs=3).table())
    """
    grid = Grid(_several(model), _several(data), _several(schemes), _several(widths), _several(seed))
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, **recipe}
    given = {name: value for name, value in given.items() if value is not None}
    recipes = {name: recipe_for(data_spec(name)[0], **given) for name in grid.data}
    check_frontend(frontend, grid.models, recipes, precision)
    comparison = Comparison(grid, recipes, given, precision, frontend, environment())
    datasets = {name: data_sets.load(data_spec(name)[0], data_dir, **data_spec(name)[1]) for name in grid.data}
    for cell in {(cell.model, cell.data, cell.scheme, cell.width): cell for cell in grid.cells()}.values():
        without_weights(partial(_build, cell, datasets, comparison))  # so that what can't be built is found at once
    folder = None
    if out is not None:
        folder = ComparisonFolder(out, comparison.as_dict(), resume, overwrite)
        comparison.rows = [row_from_json(row) for row in folder.rows]
    try:
        for cell in comparison.unfinished:
            comparison.rows.append(_row(cell, datasets, comparison, folder, progress))
            if folder is not None:
                _save(folder, comparison)
    except KeyboardInterrupt:
        if folder is not None and comparison.rows:  # It may have cut short the saving of the last one.
            _save(folder, comparison)
        raise ComparisonInterrupted(comparison) from None
    return comparison


def _several(values: Any) -> tuple[Any, ...]:
    return (values,) if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)


def _build(cell: Cell, datasets: Datasets, comparison: Comparison) -> keras.Model:
    name, options = model_spec(cell.model)
    dataset = datasets[cell.data]
    shape = input_shape(dataset, comparison.recipes[cell.data].augment)
    given = {"input_shape": shape, "classes": dataset.classes, "seed": cell.seed, **options}
    # A width that isn't asked for is left to the network's own default, and to its options.
    width = {"width": cell.width} if cell.width != 1 or comparison.grid.varies("widths") else {}
    with computing_in(comparison.precision):
        return models.build(name, cell.scheme, **{**given, **width})


def _row(
    cell: Cell, datasets: Datasets, comparison: Comparison, folder: ComparisonFolder | None, progress: bool
) -> Row:
    network, dataset, recipe = _build(cell, datasets, comparison), datasets[cell.data], comparison.recipes[cell.data]
    label = f"{cell.model} {comparison.grid.label(cell, without=['models'])}" if progress else None
    training, diverged = _train(network, dataset, recipe, cell, comparison.frontend, label)
    evaluation = report(network, dataset, augment=recipe.augment)
    fast, composed = _speeds(network, dataset, recipe)
    size = models.model_size(network)
    model_file = None
    if folder is not None:
        model_file = f"{comparison.grid.file_stem(cell)}.keras"
        with folder.replacing(model_file) as path:
            # The same layers without an optimizer, whose state would triple the file.
            keras.Model(network.inputs, network.outputs, name=network.name).save(path)
    return Row(
        **asdict(cell),
        accuracy=evaluation.accuracy,
        top_5=evaluation.top_5,
        loss=evaluation.loss,
        binary_weights=size.binary_weights,
        float_weights=size.float_weights,
        packed_bytes=size.packed_bytes,
        float_bytes=size.float_bytes,
        train_seconds=training.seconds,
        images_per_second=fast,
        images_per_second_composed=composed,
        history=training.history,
        diverged=diverged,
        model_file=model_file,
    )


def _train(
    network: keras.Model,
    dataset: data_sets.Dataset,
    recipe: Recipe,
    cell: Cell,
    frontend: str,
    label: str | None,
) -> tuple[Training, str | None]:
    """The training, and why it didn't come to its end: one that diverges doesn't take the others with it."""
    start = time.perf_counter()
    try:
        if frontend == "tflearn":
            return train_in_tflearn(network, dataset, recipe, cell, label), None
        return train(network, dataset, recipe, seed=cell.seed, progress=label), None
    except DivergedError as error:
        _LOG.warning("%s: %s", network.name, error)
        return Training({}, time.perf_counter() - start), str(error)


def _speeds(network: keras.Model, dataset: data_sets.Dataset, recipe: Recipe) -> tuple[float | None, float | None]:
    """Images per second as the model runs, and on the composed path; None for what there isn't."""
    x, _ = dataset.batches("test", _TIMED_IMAGES, augment=recipe.augment or None)[0]
    if not any(isinstance(layer, BinaryLayer) for layer in network._flatten_layers()):
        return images_per_second(network, x), None
    with ops.composed_path():
        composed = images_per_second(network, x)
    return (images_per_second(network, x) if ops.backend_info()["custom_ops"] else None), composed


def _save(folder: ComparisonFolder, comparison: Comparison) -> None:
    grid, found = comparison.grid, groups(comparison.rows)
    title = f"{', '.join(grid.models)} on {', '.join(grid.data)}"
    histories = {grid.label(group.first.cell, without=["seeds"]): group.history() for group in found}
    folder.write_curves({label: history for label, history in histories.items() if history}, title)
    if any(map(grid.varies, ("models", "data", "widths", "seeds"))):
        panels: plots.Panels = {}
        place = "widths" if grid.varies("widths") else "models"
        for group in found:
            cell = group.first.cell
            series = panels.setdefault(cell.data, {}).setdefault(grid.label(cell, without=["seeds", "data", place]), {})
            position = f"×{cell.width:g}" if place == "widths" else cell.model
            series[position] = (group.mean("accuracy") or 0.0, group.deviation("accuracy"))
        folder.write_accuracy(panels, title, joined=place == "widths")
    folder.write_results(comparison.as_dict())


def _option(name: str, value: Any) -> list[str]:
    """An argument of `compare` as the command line has it."""
    option = f"--{_OPTIONS.get(name, name.replace('_', '-'))}"
    if name == "layer_rates":
        assert isinstance(value, Mapping)
        return [word for pattern, rate in value.items() for word in (option, f"{pattern}={rate:g}")]
    if name == "class_weights" and not isinstance(value, str):
        return [option, ",".join(f"{weight:g}" for weight in value)]
    values = value if isinstance(value, list | tuple) else [value]
    return [option, *(f"{each:g}" if isinstance(each, float) else str(each) for each in values)]
