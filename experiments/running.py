"""Runs trainings, each in a process of its own, and keeps what came out of them.

A training that is stopped, killed even, goes on after its last whole epoch when its experiment is run again.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import bnn_tf
from bnn_tf.training import load_model
from bnn_tf.training.run_folder import Folder
from bnn_tf.training.training_folder import CONFIG, LAST, STATE
from experiments.plan import Run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "experiments"
_KEPT = ("accuracy", "loss", "val_accuracy", "val_loss", "flipped")
_DIGITS = 5


class RunError(Exception):
    """A training ended with an error; what it said stands in the message."""


def run(
    wanted: Iterable[Run],
    known: Mapping[str, Run],
    runs: Path,
    results: Path = RESULTS,
    say: Callable[[str], None] = print,
) -> None:
    """Trains what has no result yet, one after the other, and before each run those that it needs.

    Args:
        wanted: in this order.
        known: every run by its name, those that others need among them.
        runs: where the trainings' own folders lie, with the checkpoints.
        results: where the small JSON files go.
        say: is told what happens.

    Raises:
        RunError: where a training ends with an error; its folder stays as it is.
    """
    for each in wanted:
        if not (results / f"{each.name}.json").exists():
            _run(each, known, runs, results, say)


def _run(run: Run, known: Mapping[str, Run], runs: Path, results: Path, say: Callable[[str], None]) -> None:
    for name in run.needs:  # of a needed run, the result alone may be here, from another machine
        if not _finished(runs / name):
            _run(known[name], known, runs, results, say)
    say(f"{run.row}, {run.column}, seed {run.seed}: {run.name}")
    folder = runs / run.name
    _train(run, folder)
    save(results / f"{run.name}.json", {"run": run.name, "seed": run.seed, "command": command(run), **read(folder)})


def command(run: Run) -> str:
    """The run as somebody repeats it: the folders of the machine aside."""
    return shlex.join(["bnn-tf", *run.command("runs")])


def _finished(folder: Path) -> bool:
    try:
        return _state(folder)["finished"]
    except RunError:
        return False


def _state(folder: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(folder / LAST) as archive:
            return json.loads(archive.read(STATE))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RunError(f"{folder} holds no training: {error}") from error


def _train(run: Run, folder: Path) -> None:
    words = [sys.executable, "-m", "bnn_tf.cli", *run.command(str(folder.parent))]
    if (folder / CONFIG).exists():
        words.append("--resume")
    else:
        save(_begun(folder), {"commit": commit(), "date": time.strftime("%Y-%m-%d")})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _begun(folder: Path) -> Path:
    """Says when the training in a folder began, and on which commit."""
    return folder.with_name(f"{folder.name}.begun.json")


def read(folder: Path) -> dict[str, Any]:
    """What a finished training's folder says, in few bytes.

    Args:
        folder: as `bnn-tf train` left it.

    Returns:
        Accuracies after the last and after the best epoch, wall time, the curves, the size of the packed file, and
        where that was.

    Raises:
        RunError: where there is no training, or one that isn't finished.
    """
    state = _state(folder)
    if not state["finished"]:
        raise RunError(f"{folder} isn't finished: {state['epoch']} epochs are done.")
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
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
        "packed_bytes": _packed_bytes(folder / LAST),
        "recipe": config["recipe"],
        "history": history,
        "environment": {
            key: environment[key] for key in ("cpu", "cpus", "tensorflow", "keras", "bnn_tf", "keras_backend")
        },
    }


def _packed_bytes(checkpoint: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return bnn_tf.pack(load_model(checkpoint), Path(folder) / "net.bnn").bytes


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


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON that is there whole or not at all."""
    with Folder(path.parent).replacing(path.name) as partial:
        partial.write_text(_compact(content), encoding="utf-8")


def _compact(content: dict[str, Any]) -> str:
    """JSON with each list of numbers on one line."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda match: re.sub(r"\n\s*", " ", match[0]), text) + "\n"
