"""What is compared: every combination of networks, data sets, schemes, widths and seeds."""

import ast
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bnn_tf import data as data_sets
from bnn_tf import models
from bnn_tf.errors import ArgumentError
from bnn_tf.models.schemes import get_scheme

# What a network is built with besides its own options.
_OWN = {"classes", "input_shape", "scheme", "seed", "width"}


@dataclass(frozen=True)
class Cell:
    """One network that is trained.

    Attributes:
        model: the network, perhaps with options: "lenet", "resnet_cifar:n=2".
        data: the data set, likewise.
        scheme: "float", "bwn", "dorefa" or "xnor".
        width: what its numbers of feature maps are multiplied by.
        seed: of initial weights, dropout and the order of the images.
    """

    model: str
    data: str
    scheme: str
    width: float
    seed: int


@dataclass(frozen=True)
class Grid:
    """All combinations of what is listed.

    Attributes:
        models, data, schemes, widths, seeds: the values of each part of a `Cell`.

    Raises:
        ArgumentError: a ValueError, for an unknown name, a list without or with equal values, a width or a seed out of
            range.

    Example:

    >>> [cell.scheme for cell in Grid(("lenet",), ("digits",), ("float", "bwn"), (1.0,), (0,)).cells()]
    ['float', 'bwn']
    """

    models: tuple[str, ...]
    data: tuple[str, ...]
    schemes: tuple[str, ...]
    widths: tuple[float, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for model in self.models:
            name, options = model_spec(model)
            models.check_name(name)
            for option in _OWN & set(options):
                raise ArgumentError(
                    f"compare: {model} can't set {option}: that is for compare's own arguments, or the data."
                )
        for data in self.data:
            data_sets.source(data_spec(data)[0])
        for scheme in self.schemes:
            get_scheme(scheme)
        for part, what in (("models", "names"), ("data", "names"), ("schemes", "names"), ("widths", "numbers")):
            _check_different(part, what, getattr(self, part))
        _check_different("seeds", "numbers", self.seeds)
        if min(self.widths) <= 0 or min(self.seeds) < 0:
            raise ArgumentError(
                "compare: `widths` must be positive and `seeds` can't be negative. "
                f"Got {list(self.widths)} and {list(self.seeds)}."
            )
        stems = [self.file_stem(cell) for cell in self.cells()]
        if len(set(stems)) < len(stems):
            raise ArgumentError(
                "compare: two networks would have the same file name. Compare them one after the other."
            )

    def cells(self) -> list[Cell]:
        """Each combination: data set by data set, there seed by seed, so that the first ones are a comparison, too."""
        order = itertools.product(self.data, self.seeds, self.models, self.widths, self.schemes)
        return [Cell(model, data, scheme, width, seed) for data, seed, model, width, scheme in order]

    def varies(self, part: str) -> bool:
        """Whether "models", "data", "schemes", "widths" or "seeds" has more than one value."""
        return len(getattr(self, part)) > 1

    def label(self, cell: Cell, without: Collection[str] = ()) -> str:
        """What tells a cell from the others: the scheme, and what else varies; some parts can be left out."""
        return cell_label(cell, {part for part in asdict(self) if self.varies(part)} - set(without))

    def file_stem(self, cell: Cell) -> str:
        """MODEL_SCHEME, and what else varies, as the name of a file."""
        parts = [cell.model, cell.scheme]
        parts += [cell.data] if self.varies("data") else []
        parts += [f"width{cell.width:g}"] if self.varies("widths") else []
        parts += [f"seed{cell.seed}"] if self.varies("seeds") else []
        return "_".join(re.sub(r"[^\w.+]+", "-", part).strip("-") for part in parts)


def cell_label(cell: Cell, varied: Collection[str]) -> str:
    """The scheme of a cell, and the values of those parts of a `Grid` that are named.

    Example:

    >>> cell_label(Cell("lenet", "digits", "bwn", 2.0, 0), ["models", "widths"])
    'lenet bwn ×2'
    """
    parts = (
        ("models", cell.model),
        ("schemes", cell.scheme),
        ("widths", f"×{cell.width:g}"),
        ("data", cell.data),
        ("seeds", f"seed {cell.seed}"),
    )
    return " ".join(text for part, text in parts if part == "schemes" or part in varied)


def model_spec(text: str) -> tuple[str, dict[str, Any]]:
    """A network's name and options.

    Args:
        text: "NAME" or "NAME:KEY=VALUE,KEY=VALUE".

    Raises:
        ArgumentError: a ValueError, for options that aren't written so.

    Example:

    >>> model_spec("resnet_cifar:n=2,shortcuts=projection")
    ('resnet_cifar', {'n': 2, 'shortcuts': 'projection'})
    """
    name, colon, options = text.partition(":")
    return name, (_options(text, options) if colon else {})


def data_spec(text: str) -> tuple[str, dict[str, Any]]:
    """A data set's name and options, as `model_spec`; the path of a folder has none.

    Example:

    >>> data_spec("flowers102:size=64"), data_spec("./my:pictures")
    (('flowers102', {'size': 64}), ('./my:pictures', {}))
    """
    return model_spec(text) if text.partition(":")[0] in data_sets.list_datasets() else (text, {})


def _options(text: str, options: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in options.split(","):
        key, equals, value = option.partition("=")
        if not (key and equals and value):
            raise ArgumentError(f"compare: options are written NAME:KEY=VALUE,KEY=VALUE. Got {text!r}.")
        try:
            found[key] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            found[key] = value
    return found


def _check_different(part: str, what: str, values: Sequence[Any]) -> None:
    if not values or len(set(values)) < len(values):
        raise ArgumentError(f"compare: `{part}` must be one or more different {what}. Got {list(values)}.")
