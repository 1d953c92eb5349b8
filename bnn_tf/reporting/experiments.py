"""Tables that many trainings fill, read from what remains of those trainings: small result files, without checkpoints.

`experiments.json` says what the tables are; beside it lies a file for each training that was done.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bnn_tf import plots
from bnn_tf.reporting.damage import UNREADABLE, DamagedError, read_json
from bnn_tf.reporting.pictures import Picture, picture
from bnn_tf.reporting.tables import MISSING, Cell, Table, number, percent, table, text

EXPERIMENTS = "experiments.json"
_FORMAT = 1


@dataclass(frozen=True)
class Outcome:
    """What one training came to.

    Attributes:
        row, column: its cell.
        seed: of the training.
        command: that repeats it.
        commit, date: when it was begun.
        accuracy, best_accuracy: on the test images, after the last and after the best epoch.
        epochs: that were done.
        packed_bytes: of the network as a packed file.
        seconds: of wall clock.
        history: a value for each figure and epoch.
    """

    row: str
    column: str
    seed: int
    command: str
    commit: str
    date: str
    accuracy: float
    best_accuracy: float
    epochs: int
    packed_bytes: int
    seconds: float
    history: Mapping[str, list[float]]


@dataclass(frozen=True)
class Experiment:
    """A table, and what is known of its cells.

    Attributes:
        title: of the table.
        about: what is asked and what is alike in all trainings.
        axis: what the rows are called.
        rows, columns: in their order.
        planned: how many trainings fill it.
        outcomes: of those that were done.
        reference: what others report for a cell, in percent.
        source: whose figures those are.
        costs: whether accuracy is drawn over size, instead of curves.
    """

    title: str
    about: str
    axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    planned: int
    outcomes: tuple[Outcome, ...]
    reference: Mapping[tuple[str, str], float]
    source: str
    costs: bool


def read_experiments(path: Path) -> list[Experiment]:
    """The tables that a folder's `experiments.json` describes.

    Raises:
        DamagedError: a ValueError, where it or a result can't be read.
    """
    content = read_json(path / EXPERIMENTS)
    if content.get("format") != _FORMAT:
        raise DamagedError(f"{EXPERIMENTS} is of format {content.get('format')!r}; this version reads {_FORMAT}")
    try:
        return [_experiment(each, path) for each in content["experiments"]]
    except DamagedError:
        raise
    except UNREADABLE as error:
        raise DamagedError(f"{EXPERIMENTS} is damaged: {type(error).__name__} {error}") from None


def _experiment(content: Mapping[str, Any], path: Path) -> Experiment:
    runs = content["runs"]
    outcomes = [_outcome(run, path / Path(str(run["name"])).with_suffix(".json").name) for run in runs]
    return Experiment(
        str(content["title"]),
        str(content["about"]),
        str(content["axis"]),
        tuple(dict.fromkeys(str(run["row"]) for run in runs)),
        tuple(dict.fromkeys(str(run["column"]) for run in runs)),
        len(runs),
        tuple(outcome for outcome in outcomes if outcome),
        {(str(each["row"]), str(each["column"])): float(each["percent"]) for each in content["reference"]},
        str(content["source"]),
        content["costs"] is True,
    )


def _outcome(run: Mapping[str, Any], file: Path) -> Outcome | None:
    if not file.exists():
        return None
    found = read_json(file)
    try:
        history = {str(name): [float(value) for value in values] for name, values in found["history"].items()}
        return Outcome(
            str(run["row"]),
            str(run["column"]),
            int(found["seed"]),
            str(found["command"]),
            str(found.get("commit", "")),
            str(found.get("date", "")),
            float(found["accuracy"]),
            float(found["best_accuracy"]),
            int(found["epochs"]),
            int(found["packed_bytes"]),
            float(found["wall_seconds"]),
            history,
        )
    except UNREADABLE as error:
        raise DamagedError(f"{file.name} is damaged: {type(error).__name__} {error}") from None


def tables(experiment: Experiment) -> tuple[Table, ...]:
    """The table itself, and how each of its figures was made."""
    cells: dict[tuple[str, str], list[float]] = {}
    for each in experiment.outcomes:
        cells.setdefault((each.row, each.column), []).append(each.accuracy)
    rows = []
    for row in experiment.rows:
        found = [
            _cell(cells.get((row, column)), experiment.reference.get((row, column))) for column in experiment.columns
        ]
        rows.append([text(row), *found])
    caption = "Accuracy on the test images after the last epoch, in percent"
    if experiment.reference:
        caption += f"; in brackets what {experiment.source} reports"
    return table(caption, (experiment.axis, *experiment.columns), rows), _made(experiment)


def _cell(accuracies: list[float] | None, reference: float | None) -> Cell:
    if not accuracies:
        return MISSING if reference is None else Cell(f"– / ({reference:g})", None)
    percents = [100 * accuracy for accuracy in accuracies]
    shown = f"{statistics.mean(percents):.2f}"
    if len(percents) > 1:
        shown += f" ± {statistics.stdev(percents):.2f} ({len(percents)})"
    return Cell(shown if reference is None else f"{shown} / ({reference:g})", statistics.mean(percents))


def _made(experiment: Experiment) -> Table:
    columns = ("run", "seed", "last", "best", "epochs", "packed bytes", "seconds", "commit", "date", "command")
    rows = [
        [
            text(f"{each.row}, {each.column}"),
            number(each.seed),
            percent(each.accuracy),
            percent(each.best_accuracy),
            number(each.epochs),
            number(each.packed_bytes),
            number(each.seconds),
            text(each.commit or None),
            text(each.date or None),
            text(each.command),
        ]
        for each in experiment.outcomes
    ]
    return table("How each figure was made", columns, rows)


def pictures(experiment: Experiment) -> tuple[Picture, ...]:
    """Curves, or accuracy over size, of the trainings with the first seed; none where nothing was done."""
    first = {f"{each.row}, {each.column}": each for each in experiment.outcomes if each.seed == 0}
    if not first:
        return ()
    if experiment.costs:
        networks = {
            label: {"accuracy": each.accuracy, "packed_bytes": each.packed_bytes, "group": each.column}
            for label, each in first.items()
        }
        return (picture("accuracy over packed size", partial(plots.trade_off, networks)),)
    curves = {label: dict(each.history) for label, each in list(first.items())[: plots.MOST_CURVES]}
    return (picture("learning curves", partial(plots.learning_curves, curves)),)
