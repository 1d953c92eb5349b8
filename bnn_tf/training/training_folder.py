"""The folder of one training:

    config.json                  what the training is: everything that is needed to repeat it
    last.keras, best.keras       the model with its optimizer after the last epoch, and after the best one
    metrics.csv, metrics.jsonl   a line an epoch
    curves.png                   at the end
    tensorboard/                 events, where they were asked for

A checkpoint carries the state of its training inside (`state.json` in the archive, which Keras doesn't look at), so
that the two can't come apart.
"""

import csv
import io
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from bnn_tf import plots
from bnn_tf.training.arrays import array
from bnn_tf.training.run_folder import UNREADABLE, Folder, FullDiskError, RunFolderError, first_line

CONFIG, LAST, BEST, CURVES = "config.json", "last.keras", "best.keras", "curves.png"
METRICS_CSV, METRICS_JSONL, EVENTS = "metrics.csv", "metrics.jsonl", "tensorboard"
STATE = "state.json"
# What may differ between a run and its continuation: it is reported, since it can cost the last bit of equality.
_CIRCUMSTANCES = ("environment", "command")

_LOG = logging.getLogger(__name__)
History = dict[str, list[float]]


@dataclass
class State:
    """How far a training has come: what its continuation needs besides weights and optimizer.

    Attributes:
        epoch: how many epochs are done.
        history: a list of values, one an epoch, for each figure.
        best_epoch: the number of the best one, from 1; 0 before there is one.
        callbacks: the counters of early stopping and plateau.
        finished: whether there is nothing left to do.
        seconds: of wall clock, over all its processes.
        seeds: where the dropouts' random numbers stand, which Keras' files leave out.
    """

    epoch: int = 0
    history: History = field(default_factory=dict)
    best_epoch: int = 0
    callbacks: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    seconds: float = 0.0
    seeds: list[list[int]] = field(default_factory=list)


class TrainingFolder(Folder):
    """The folder of a training.

    Args:
        path: created where it doesn't exist.
        config: what the training is, as JSON takes it.
        resume: whether a training that was begun there is continued; it must have the same config.
        overwrite: whether an earlier one may be removed. Files of others are never touched.

    Raises:
        RunFolderError: a FileExistsError, for a folder that holds something else, another training (with what differs),
            or this one without `resume`.
    """

    def __init__(
        self, path: str | os.PathLike[str], config: dict[str, Any], resume: bool = False, overwrite: bool = False
    ):
        super().__init__(path)
        config = json.loads(json.dumps(config))  # as it will be read again
        if any(self.path.iterdir()):
            earlier = self._config()
            if resume:
                self._check(earlier, config)
                for rest in self.path.glob(".partial.*"):  # of a process that was killed while it wrote
                    rest.unlink()
                return
            if not overwrite:
                raise RunFolderError(
                    f"{self.path} holds an earlier run. Continue it (--resume), allow to overwrite it (--overwrite), "
                    "or choose another folder."
                )
            shutil.rmtree(self.path / EVENTS, ignore_errors=True)
            self.clear([LAST, BEST, METRICS_CSV, METRICS_JSONL, CURVES, CONFIG])
        self.write_json(CONFIG, config)

    def _config(self) -> dict[str, Any]:
        try:
            config = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
            return {**config, "recipe": dict(config["recipe"]), "environment": dict(config["environment"])}
        except FileNotFoundError:
            names = {entry.name for entry in self.path.iterdir()}
            if names <= {f".partial.{CONFIG}"}:  # killed before its first word
                return {}
            raise RunFolderError(f"{self.path} isn't empty, and holds no earlier run. Choose another folder.") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(f"{self.path / CONFIG} describes no training. Choose another folder.") from None

    def _check(self, earlier: dict[str, Any], config: dict[str, Any]) -> None:
        if not earlier:
            self.write_json(CONFIG, config)
            return
        differences = differing(earlier, config)
        if differences:
            raise RunFolderError(
                f"{self.path} holds another run: {'; '.join(differences)}. Continue it with its own arguments "
                f"(they are in {CONFIG}), or choose another folder."
            )
        changes = differing(earlier["environment"], config["environment"], ["environment"])
        if changes:
            _LOG.warning("%s goes on in other circumstances, so figures may differ: %s", self.path, "; ".join(changes))

    def save(self, model: keras.Model, state: State, improved: bool = False) -> None:
        """Writes the last checkpoint, and the best one where this is it; then the metrics.

        The best one comes first: an interruption between the two repeats an epoch that writes it again.
        """
        with self.replacing(LAST) as path:
            _write_checkpoint(path, model, state)
            if improved:
                with self.replacing(BEST) as best:
                    shutil.copyfile(path, best)
        self.write_metrics(state.history)

    def write_metrics(self, history: History) -> None:
        """Writes the figures of every epoch so far."""
        rows = [
            {"epoch": number, **dict(zip(history, values, strict=True))}
            for number, values in enumerate(zip(*history.values(), strict=True), 1)
        ]
        table = io.StringIO()
        writer = csv.DictWriter(table, ["epoch", *history], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write_text(METRICS_CSV, table.getvalue())
        self.write_text(METRICS_JSONL, "".join(json.dumps(row) + "\n" for row in rows))

    def write_curves(self, history: History, title: str) -> None:
        """Draws the learning curves."""
        with self.replacing(CURVES) as path:
            plots.learning_curves({title: history}).savefig(path, dpi=120)

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return (self.path / LAST).exists()

    def load(self, model: keras.Model) -> State:
        """Gives a compiled model, whose optimizer is built, weights and optimizer of the last checkpoint."""
        return load_checkpoint(self.path / LAST, model)


def _write_checkpoint(path: Path, model: keras.Model, state: State) -> None:
    try:
        model.save(path)
        state.seeds = [array(variable).tolist() for variable in _seed_states(model)]
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(STATE, json.dumps(state.__dict__))
    except OSError as error:
        if error.errno is None:  # h5py's own, which doesn't say
            raise FullDiskError(f"{path} couldn't be written: {error}. What was written before is whole.") from error
        raise


def load_checkpoint(path: str | os.PathLike[str], model: keras.Model) -> State:
    """Gives a compiled model, whose optimizer is built, the weights, the optimizer and the seeds of a checkpoint.

    Raises:
        RunFolderError: a FileExistsError, for a file that isn't one or doesn't fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            state = State(**json.loads(archive.read(STATE)))
        model.load_weights(path)
        for variable, value in zip(_seed_states(model), state.seeds, strict=True):
            variable.assign(value)
    except UNREADABLE as error:
        raise RunFolderError(
            f"{path} is no checkpoint of this training: {first_line(error)}. Choose another folder."
        ) from error
    return state


def _seed_states(model: keras.Model) -> list[Any]:
    """The variables that a model changes and doesn't count as weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.non_trainable_variables if id(variable) not in weights]


def differing(earlier: dict[str, Any], config: dict[str, Any], prefix: Sequence[str] = ()) -> list[str]:
    """What two configs don't have in common, circumstances aside, in words.

    Example:

    >>> differing({"recipe": {"epochs": 5}}, {"recipe": {"epochs": 7}})
    ['recipe.epochs is 5 there and 7 here']
    """
    found = []
    for name in dict.fromkeys([*earlier, *config]):
        before, now = earlier.get(name), config.get(name)
        if before == now or (not prefix and name in _CIRCUMSTANCES):
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            found += differing(before, now, (*prefix, name))
        else:
            found.append(f"{'.'.join((*prefix, name))} is {before} there and {now} here")
    return found
