"""Tables that many trainings fill, read from what remains of those trainings: small result files, without checkpoints.

`experiments.json` says what the tables are; beside it lies a file for each training that was done, and `latency.json`,
where the networks were timed.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bnn_tf import plots
from bnn_tf.reporting.damage import UNREADABLE, DamagedError, figure, read_json
from bnn_tf.reporting.pictures import Picture, picture
from bnn_tf.reporting.tables import MISSING, Cell, Table, number, percent, table, text

EXPERIMENTS, LATENCY = "experiments.json", "latency.json"
FORMAT = 1


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
        latency: seconds that an image takes; None where that wasn't measured.
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
    latency: float | None
    seconds: float
    history: Mapping[str, list[float]]


@dataclass(frozen=True)
class Experiment:
    """A table, and what is known of its cells.

    Attributes:
        name: short.
        title: of the table.
        about: what is asked and what is alike in all trainings.
        axis: what the rows are called.
        rows, columns: in their order.
        wanted: a cell for each training that is to fill it.
        outcomes: of those that were done.
        reference: what others report for a cell, in percent.
        source: whose figures those are.
        costs: whether accuracy is drawn over size and time, instead of curves.
        timed: on what and when the times were measured.
    """

    name: str
    title: str
    about: str
    axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wanted: tuple[tuple[str, str], ...]
    outcomes: tuple[Outcome, ...]
    reference: Mapping[tuple[str, str], float]
    source: str
    costs: bool
    timed: str

    @property
    def planned(self) -> int:
        """How many trainings are to fill it."""
        return len(self.wanted)

    @property
    def shown(self) -> str:
        """What its picture shows: "costs", "curves", or "accuracies" where trainings of one epoch have no curves."""
        if self.costs:
            return "costs"
        return "curves" if any(each.epochs > 1 for each in self.outcomes) else "accuracies"

    def cells(self) -> dict[tuple[str, str], list[float]]:
        """The accuracies of each row and column that has any, in percent, a figure for each seed."""
        found: dict[tuple[str, str], list[float]] = {}
        for each in self.outcomes:
            found.setdefault((each.row, each.column), []).append(100 * each.accuracy)
        return found


def read_experiments(path: Path) -> list[Experiment]:
    """The tables that a folder's `experiments.json` describes.

    Raises:
        DamagedError: a ValueError, where it or a result can't be read.
    """
    content = read_json(path / EXPERIMENTS)
    if content.get("format") != FORMAT:
        raise DamagedError(f"{EXPERIMENTS} is of format {content.get('format')!r}; this version reads {FORMAT}")
    try:
        latency = read_json(path / LATENCY) if (path / LATENCY).exists() else {"seconds": {}}
        latencies = {str(name): figure(seconds) for name, seconds in latency["seconds"].items()}
        timed = ", ".join(str(latency[key]) for key in ("cpu", "commit", "date") if latency.get(key))
        return [_experiment(each, path, latencies, timed) for each in content["experiments"]]
    except DamagedError:
        raise
    except UNREADABLE as error:
        raise DamagedError(f"{EXPERIMENTS} is damaged: {type(error).__name__} {error}") from None


def _experiment(content: Mapping[str, Any], path: Path, latencies: Mapping[str, float], timed: str) -> Experiment:
    runs = content["runs"]
    outcomes = [_outcome(run, path, latencies) for run in runs]
    wanted = tuple((str(run["row"]), str(run["column"])) for run in runs)
    return Experiment(
        str(content["name"]),
        str(content["title"]),
        str(content["about"]),
        str(content["axis"]),
        tuple(dict.fromkeys(row for row, _ in wanted)),
        tuple(dict.fromkeys(column for _, column in wanted)),
        wanted,
        tuple(outcome for outcome in outcomes if outcome),
        {(str(each["row"]), str(each["column"])): figure(each["percent"]) for each in content["reference"]},
        str(content["source"]),
        content["costs"] is True,
        timed,
    )


def _outcome(run: Mapping[str, Any], path: Path, latencies: Mapping[str, float]) -> Outcome | None:
    file = path / Path(f"{run['name']}.json").name
    if not file.exists():
        return None
    found = read_json(file)
    try:
        history = {str(name): [figure(value) for value in values] for name, values in found["history"].items()}
        if len({len(values) for values in history.values()}) != 1:
            raise ValueError("its history isn't as long for all figures")
        return Outcome(
            str(run["row"]),
            str(run["column"]),
            int(found["seed"]),
            str(found["command"]),
            str(found.get("commit", "")),
            str(found.get("date", "")),
            figure(found["accuracy"]),
            figure(found["best_accuracy"]),
            int(found["epochs"]),
            int(found["packed_bytes"]),
            latencies.get(file.stem),
            figure(found["wall_seconds"]),
            history,
        )
    except UNREADABLE as error:
        raise DamagedError(f"{file.name} is damaged: {type(error).__name__} {error}") from None


def accuracies(experiment: Experiment) -> list[list[Cell]]:
    """The rows of the table: its name, then for each column the mean over the seeds and what others report.

    A cell that no training is to fill is empty.
    """
    found, wanted = experiment.cells(), set(experiment.wanted)

    def cell(place: tuple[str, str]) -> Cell:
        return _cell(found.get(place, ()), experiment.reference.get(place)) if place in wanted else Cell("", None)

    return [[text(row), *(cell((row, column)) for column in experiment.columns)] for row in experiment.rows]


def _cell(percents: Sequence[float], reference: float | None) -> Cell:
    shown = f"{statistics.mean(percents):.2f}" if percents else MISSING.text
    if len(percents) > 1:
        shown += f" ± {statistics.stdev(percents):.2f} ({len(percents)})"
    key = statistics.mean(percents) if percents else None
    return Cell(shown if reference is None else f"{shown} / ({reference:g})", key)


def notes(experiment: Experiment) -> str:
    """What the figures of the table are."""
    found = ["Accuracy on the test images after the last epoch, in percent."]
    if len({(each.row, each.column) for each in experiment.outcomes}) < len(experiment.outcomes):
        found.append("± is the standard deviation over the seeds, whose number stands in brackets.")
    if experiment.reference:
        found.append(f"In brackets after a slash: what {experiment.source} reports.")
    if reached := _reached(experiment):
        found.append(reached)
    known = sum(each.latency is not None for each in experiment.outcomes)
    if experiment.costs and known:
        of = "" if known == len(experiment.outcomes) else f" ({known} of {len(experiment.outcomes)} networks)"
        found.append(f"Times: one image a call on one thread, {experiment.timed}{of}.")
    missing = experiment.planned - len(experiment.outcomes)
    if missing:
        found.append(f"{MISSING.text}: not run yet ({missing} of {experiment.planned} runs).")
    return " ".join(found)


def _reached(experiment: Experiment) -> str:
    """The smallest width at which each scheme is as good as float; nothing where a training to come may decide it."""
    found = {place: statistics.mean(percents) for place, percents in experiment.cells().items()}
    networks = []
    for network, rows in _widths(experiment).items():
        level = found.get((rows[0], "float"))
        parts = []
        for column in experiment.columns:
            percents = {row: found.get((row, column)) for row in rows if (row, column) in experiment.wanted}
            if level is None or column == "float" or not percents:
                continue
            decides = next((row for row, percent in percents.items() if percent is None or percent >= level), None)
            if decides is None:
                parts.append(f"{column} none")
            elif percents[decides] is not None:
                parts.append(f"{column} {decides.removeprefix(f'{network}, ')}")
        if parts:
            networks.append(f"{network} – {', '.join(parts)}")
    return f"The smallest width that reaches float: {'; '.join(networks)}." if networks else ""


def _widths(experiment: Experiment) -> dict[str, list[str]]:
    """The rows of each network that has several of them, such as "LeNet, ×1" and "LeNet, ×2", as they come."""
    found: dict[str, list[str]] = {}
    for row in experiment.rows:
        found.setdefault(_network(row), []).append(row)
    return {network: rows for network, rows in found.items() if len(rows) > 1}


def _network(row: str) -> str:
    """What a row is of, whatever its width."""
    return row.split(", ×")[0]


def tables(experiment: Experiment) -> tuple[Table, ...]:
    """The table itself, and how each of its figures was made."""
    columns = (experiment.axis, *experiment.columns)
    return table(notes(experiment), columns, accuracies(experiment)), _made(experiment)


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


def draw(experiment: Experiment) -> Figure | None:
    """Curves, or accuracy over costs, of a training for each cell; without curves, the means over the seeds.

    None where nothing was done.
    """
    if not experiment.outcomes:
        return None
    if experiment.shown == "accuracies":
        return plots.accuracies(_panels(experiment))
    if experiment.shown == "costs":
        alone = _widths(experiment)
        costs = {f"{each.row}, {each.column}": _costs(each, _network(each.row) in alone) for each in _first(experiment)}
        return plots.trade_off(costs, experiment.title)
    several = len(experiment.columns) > 1
    rows: dict[str, dict[str, Any]] = {}
    for each in _first(experiment):
        row, label = (each.row, each.column) if several else ("", each.row)
        rows.setdefault(row, {})[label] = dict(each.history)
    return plots.learning_curves_by_row(rows, experiment.title)


def _first(experiment: Experiment) -> list[Outcome]:
    """Of each cell the training with the first seed that was done."""
    found: dict[tuple[str, str], Outcome] = {}
    for each in experiment.outcomes:
        found.setdefault((each.row, each.column), each)
    return list(found.values())


def _panels(experiment: Experiment) -> plots.Panels:
    """A panel for each column, in which each row has its mean, and its deviation where there are several seeds."""
    found = experiment.cells()
    panels: plots.Panels = {}
    for column in experiment.columns:
        filled = {row: found[row, column] for row in experiment.rows if (row, column) in found}
        if filled:
            panels[column] = {"mean": {row: _mean_and_deviation(percents) for row, percents in filled.items()}}
    return panels


def _mean_and_deviation(percents: Sequence[float]) -> tuple[float, float | None]:
    deviation = statistics.stdev(percents) / 100 if len(percents) > 1 else None
    return statistics.mean(percents) / 100, deviation


def _costs(each: Outcome, alone: bool) -> dict[str, Any]:
    """What `plots.trade_off` takes: a network that was tried at several widths is drawn alone."""
    network = _network(each.row)
    return {
        "accuracy": each.accuracy,
        "packed_bytes": each.packed_bytes,
        "latency": each.latency,
        "panel": network if alone else "",
        "group": each.column if alone else f"{network}, {each.column}",
    }


_CAPTIONS = {
    "costs": "accuracy against its costs",
    "curves": "learning curves",
    "accuracies": "means and deviations over the seeds",
}


def pictures(experiment: Experiment) -> tuple[Picture, ...]:
    """What `draw` draws; none where nothing was done."""
    return (picture(_CAPTIONS[experiment.shown], lambda: draw(experiment)),) if experiment.outcomes else ()
