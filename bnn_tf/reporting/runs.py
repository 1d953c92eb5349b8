"""Finds the runs below a folder and reads what they left, without trusting any of it."""

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bnn_tf.reporting.damage import UNREADABLE, DamagedError, figure, read_json
from bnn_tf.reporting.experiments import EXPERIMENTS, Experiment, read_experiments
from bnn_tf.reporting.tables import is_figure
from bnn_tf.training.metrics import ClassMetrics
from bnn_tf.training.rows import Row, row_from_json
from bnn_tf.training.run_folder import RESULTS
from bnn_tf.training.training_folder import BEST, CONFIG, LAST, METRICS_JSONL, STATE, History

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class TrainingRun:
    """A folder of `bnn-tf train`.

    Attributes:
        name: of the folder, from the one that is reported on.
        path: of the folder.
        config: what `config.json` says.
        history: a value for each figure and epoch.
        best_epoch: from 1; 0 where there is none.
        seconds: of wall clock; None where the checkpoint doesn't say.
        state: "finished", "unfinished" or "damaged".
        problems: why it isn't whole or isn't finished.
    """

    name: str
    path: Path
    config: dict[str, Any]
    history: History
    best_epoch: int
    seconds: float | None
    state: str
    problems: tuple[str, ...]

    @property
    def model_file(self) -> Path:
        """The checkpoint of the best epoch, or else the last one."""
        best = self.path / BEST
        return best if best.exists() else self.path / LAST

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.history.get("val_accuracy", ()))


@dataclass(frozen=True)
class ComparisonRun:
    """A folder of `bnn-tf compare`.

    Attributes:
        name, path: see `TrainingRun`.
        content: of `results.json`.
        rows: the finished networks.
        problems: why it isn't whole or isn't finished.
    """

    name: str
    path: Path
    content: dict[str, Any]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Evaluated:
    """One model in a folder of `bnn-tf evaluate`.

    Attributes:
        model, data: what was evaluated on what.
        class_names: of the classes.
        figures: of the whole test set.
        metrics: of the classes.
    """

    model: str
    data: str
    class_names: tuple[str, ...]
    figures: dict[str, float]
    metrics: ClassMetrics


@dataclass(frozen=True)
class EvaluationRun:
    """A folder of `bnn-tf evaluate`.

    Attributes:
        name, path: see `TrainingRun`.
        models: one, or two side by side.
        p_value: of two models; see `training.Pair`.
    """

    name: str
    path: Path
    models: tuple[Evaluated, ...]
    p_value: float | None


@dataclass
class Runs:
    """What is found below a folder.

    Attributes:
        trainings, comparisons, evaluations: by their names.
        experiments: tables that many trainings fill.
        damaged: the names of folders whose files can't be read, and why.
    """

    trainings: list[TrainingRun] = field(default_factory=list)
    comparisons: list[ComparisonRun] = field(default_factory=list)
    evaluations: list[EvaluationRun] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How many could be read."""
        return len(self.trainings) + len(self.comparisons) + len(self.evaluations) + len(self.experiments)


def find_runs(folder: Path) -> Runs:
    """Every run in a folder and the folders inside it, by their paths."""
    runs = Runs()
    for path, files in _folders(folder):
        name = folder.resolve().name if path == folder else path.relative_to(folder).as_posix()
        for file, read in ((CONFIG, read_training), (RESULTS, read_results)):
            if file in files:
                try:
                    _add(runs, read(name, path))
                except DamagedError as error:
                    runs.damaged.append((name, str(error)))
        if EXPERIMENTS in files:
            try:
                runs.experiments += read_experiments(path)
            except DamagedError as error:
                runs.damaged.append((name, str(error)))
        if CONFIG not in files and {LAST, BEST, METRICS_JSONL} & files:
            runs.damaged.append((name, f"{CONFIG} is missing"))
    return runs


def _folders(folder: Path) -> Iterator[tuple[Path, set[str]]]:
    """Each folder with the names of its files; hidden ones and links to others are left out."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(path), set(files)


def _add(runs: Runs, run: TrainingRun | ComparisonRun | EvaluationRun) -> None:
    if isinstance(run, TrainingRun):
        runs.trainings.append(run)
    elif isinstance(run, ComparisonRun):
        runs.comparisons.append(run)
    else:
        runs.evaluations.append(run)


def read_training(name: str, path: Path) -> TrainingRun:
    """The training in a folder.

    Raises:
        DamagedError: a ValueError, where its config can't be read; of what else is damaged, `problems` tells.
    """
    config = read_json(path / CONFIG)
    for part in ("recipe", "data", "network", "environment"):
        if not isinstance(config.get(part), dict):
            raise DamagedError(f"{CONFIG} describes no training: it has no {part!r}")
    problems: list[str] = []
    history = _tried(lambda: _history(path / METRICS_JSONL), {}, problems)
    state = _tried(lambda: _state(path / LAST), {}, problems)
    done, planned = len(history.get("val_accuracy", ())), config["recipe"].get("epochs")
    if state.get("epoch") and not history and not problems:
        problems.append(f"{METRICS_JSONL} is missing or empty")
    standing = "damaged" if problems else "finished" if state.get("finished") is True else "unfinished"
    if standing == "unfinished":
        problems.append(f"unfinished: {f'{done} of {planned} epochs are done' if state else f'there is no {LAST} yet'}")
    accuracies = [-math.inf if math.isnan(value) else value for value in history.get("val_accuracy", ())]
    best = 1 + accuracies.index(max(accuracies)) if accuracies else 0
    seconds = state.get("seconds") if is_figure(state.get("seconds")) else None
    return TrainingRun(name, path, config, history, best, seconds, standing, tuple(problems))


def _tried(read: Callable[[], dict[str, Any]], otherwise: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    try:
        return read()
    except DamagedError as error:
        problems.append(str(error))
        return otherwise


def _history(path: Path) -> History:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        history = {name: [figure(row[name]) for row in rows] for name in rows[0] if name != "epoch"} if rows else {}
    except FileNotFoundError:
        return {}
    except UNREADABLE:
        raise DamagedError(f"{path.name} is damaged") from None
    if rows and not set(_FIGURES) <= set(history):
        raise DamagedError(f"{path.name} is damaged: it lacks {', '.join(sorted(set(_FIGURES) - set(history)))}")
    return history


def _state(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its training; empty where there is none yet."""
    try:
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read(STATE))
    except FileNotFoundError:
        return {}
    except UNREADABLE:
        raise DamagedError(f"{path.name} is damaged") from None
    if not isinstance(state, dict):
        raise DamagedError(f"{path.name} is damaged")
    return state


def read_results(name: str, path: Path) -> ComparisonRun | EvaluationRun:
    """The comparison or the evaluation in a folder.

    Raises:
        DamagedError: a ValueError, where it is neither, or can't be read.
    """
    content = read_json(path / RESULTS)
    try:
        if "grid" in content:
            return _comparison(name, path, content)
        if "confusion_matrix" in content:
            return EvaluationRun(name, path, (_evaluated(content),), None)
        if "first" in content:
            pair = _evaluated(content["first"]), _evaluated(content["second"])
            return EvaluationRun(name, path, pair, float(content["p_value"]))
    except UNREADABLE as error:
        raise DamagedError(f"{RESULTS} is damaged: {type(error).__name__} {error}") from None
    raise DamagedError(f"{RESULTS} describes neither a comparison nor an evaluation")


def _comparison(name: str, path: Path, content: dict[str, Any]) -> ComparisonRun:
    rows = tuple(row_from_json(row) for row in content["rows"])
    for row in rows:
        _check_row(row)
    problems = [] if content.get("complete") is True else [f"unfinished: {len(rows)} networks are done"]
    problems += [f"{row.model} {row.scheme}, seed {row.seed}: diverged" for row in rows if row.diverged]
    return ComparisonRun(name, path, content, rows, tuple(problems))


def _check_row(row: Row) -> None:
    """What is computed with must be numbers, and what is told apart by it text."""
    for name in ("model", "data", "scheme"):
        if not isinstance(getattr(row, name), str):
            raise ValueError(f"{name} is {getattr(row, name)!r}")
    for name in ("accuracy", "top_5", "width", "packed_bytes", "float_bytes", "train_seconds"):
        if not is_figure(getattr(row, name)):
            raise ValueError(f"{name} is {getattr(row, name)!r}")
    if row.images_per_second is not None and not is_figure(row.images_per_second):
        raise ValueError(f"images_per_second is {row.images_per_second!r}")
    if row.history and not set(_FIGURES) <= set(row.history):
        raise ValueError("a history lacks figures")
    values = [value for several in row.history.values() for value in several]
    if not all(is_figure(value) or (isinstance(value, float) and math.isnan(value)) for value in values):
        raise ValueError("a history holds what is no number")


def _evaluated(content: dict[str, Any]) -> Evaluated:
    matrix: npt.NDArray[np.int64] = np.array(content["confusion_matrix"], np.int64)
    names = tuple(str(each["class"]) for each in content["classes"])
    if matrix.shape != (len(names),) * 2 or (matrix < 0).any() or not matrix.any():
        raise ValueError(f"a confusion matrix of the shape {matrix.shape} for {len(names)} classes")
    figures = {str(name): figure(value) for name, value in content["figures"].items()}
    return Evaluated(str(content["model"]), str(content["data"]), names, figures, ClassMetrics(matrix))
