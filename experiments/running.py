"""Runs trainings, each in a process of its own, and keeps what came out of them.

A training that is stopped, killed even, goes on after its last whole epoch when its experiment is run again.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bnn_tf.training.run_folder import Folder
from experiments.plans import Experiment, Run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "experiments"
# What `bnn-tf train` leaves in a folder.
_CHECKPOINT, _STATE, _CONFIG = "last.keras", "state.json", "config.json"
_KEPT = ("accuracy", "loss", "val_accuracy", "val_loss", "flipped")
_DIGITS = 5


class RunError(Exception):
    """A training ended with an error; what it said stands in the message."""


def run(
    name: str,
    experiment: Experiment,
    runs: Path,
    results: Path = RESULTS,
    wanted: Callable[[Run], bool] = lambda run: True,
    say: Callable[[str], None] = print,
) -> None:
    """Trains what has no result yet, one after the other.

    Args:
        name: of the experiment.
        experiment: its runs.
        runs: where the trainings' own folders lie, with the checkpoints.
        results: where the small JSON files go, in a folder named after the experiment.
        wanted: says which runs are looked at; those that they need are, too.
        say: is told what happens.

    Raises:
        RunError: where a training ends with an error; its folder stays as it is.
    """
    for each in _with_needed(experiment, wanted):
        path = results / name / f"{each.name}.json"
        if path.exists() and not _needed_checkpoint_is_missing(each, experiment, wanted, runs / name):
            continue
        folder = runs / name / each.name
        say(f"{name}: {each.name}")
        _train(each, folder)
        _save(path, {"experiment": name, **_identity(each), **read(folder)})


def _with_needed(experiment: Experiment, wanted: Callable[[Run], bool]) -> Iterator[Run]:
    chosen = [run for run in experiment.runs if wanted(run)]
    needed = {name for run in chosen for name in run.needs}
    return (run for run in experiment.runs if run in chosen or run.name in needed)


def _needed_checkpoint_is_missing(run: Run, experiment: Experiment, wanted: Callable[[Run], bool], runs: Path) -> bool:
    """Whether another run begins with this one's weights, and they were left on another machine."""
    waiting = any(run.name in other.needs for other in experiment.runs if wanted(other))
    return waiting and not (runs / run.name / _CHECKPOINT).exists()


def _train(run: Run, folder: Path) -> None:
    command = [sys.executable, "-m", "bnn_tf.cli", *run.command(str(folder.parent))]
    if (folder / _CONFIG).exists():
        command.append("--resume")
    else:
        _save(_begun(folder), {"commit": commit(), "date": time.strftime("%Y-%m-%d")})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _begun(folder: Path) -> Path:
    """Says when the training in a folder began, and on which commit."""
    return folder.with_name(f"{folder.name}.begun.json")


def _identity(run: Run) -> dict[str, Any]:
    """The run as somebody repeats it: the folders of the machine aside."""
    command = shlex.join(["bnn-tf", *run.command("runs")])
    return {"run": run.name, "row": run.row, "column": run.column, "seed": run.seed, "command": command}


def read(folder: Path) -> dict[str, Any]:
    """What a finished training's folder says, in few bytes.

    Args:
        folder: as `bnn-tf train` left it.

    Returns:
        Accuracies after the last and after the best epoch, wall time, the curves, and where that was.

    Raises:
        RunError: where the training isn't finished.
    """
    with zipfile.ZipFile(folder / _CHECKPOINT) as archive:
        state = json.loads(archive.read(_STATE))
    if not state["finished"]:
        raise RunError(f"{folder} isn't finished: {state['epoch']} epochs are done.")
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    environment = config["environment"]
    history = {
        key: [round(value, _DIGITS) for value in state["history"][key]] for key in _KEPT if key in state["history"]
    }
    begun = _begun(folder)
    return {
        **(json.loads(begun.read_text(encoding="utf-8")) if begun.exists() else {}),
        "epochs": state["epoch"],
        "accuracy": history["val_accuracy"][-1],
        "best_accuracy": max(history["val_accuracy"]),
        "wall_seconds": round(state["seconds"]),
        "parameters": config["network"]["parameters"],
        "recipe": config["recipe"],
        "history": history,
        "environment": {
            key: environment[key] for key in ("cpu", "cpus", "tensorflow", "keras", "bnn_tf", "keras_backend")
        },
    }


def commit() -> str:
    """The commit that is checked out, with a "+" where files differ from it; "" where that can't be told."""
    try:
        head, changes = (
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+" if changes else "")


def _save(path: Path, content: dict[str, Any]) -> None:
    with Folder(path.parent).replacing(path.name) as partial:
        partial.write_text(_compact(content), encoding="utf-8")


def _compact(content: dict[str, Any]) -> str:
    """JSON with each list of numbers on one line."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda match: re.sub(r"\n\s*", " ", match[0]), text) + "\n"
