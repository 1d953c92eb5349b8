"""docs/experiments.md: a table, a picture and the commands for each experiment, made of its result files alone."""

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from bnn_tf import plots
from experiments.plans import EXPERIMENTS, Experiment

_PAGE = Path(__file__).with_name("page.md")
_NOT_RUN = "–"
Result = dict[str, Any]


def write(results: Path, page: Path) -> None:
    """Writes the page, and a picture of the curves beside each experiment's results.

    Args:
        results: a folder for each experiment, with a JSON file for each run.
        page: of Markdown.
    """
    sections = []
    for name, experiment in EXPERIMENTS.items():
        found = load(results / name, experiment)
        picture = _draw(experiment, found, results / name)
        address = os.path.relpath(picture, page.parent) if picture else ""
        sections.append(section(experiment, found, address))
    page.parent.mkdir(parents=True, exist_ok=True)
    text = Template(_PAGE.read_text(encoding="utf-8")).substitute(sections="\n".join(sections))
    page.write_text(text, encoding="utf-8")


def load(folder: Path, experiment: Experiment) -> list[Result]:
    """The results that are there, in the order of the experiment's runs."""
    paths = (folder / f"{run.name}.json" for run in experiment.runs)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def section(experiment: Experiment, results: Sequence[Result], picture: str = "") -> str:
    """An experiment in Markdown: title, question, table, picture, commands."""
    parts = [f"## {experiment.title}", experiment.about, "\n".join(table(experiment, results))]
    missing = len(experiment.runs) - len(results)
    notes = ["Accuracy on the test images after the last epoch, in percent."]
    if any(len(group) > 1 for group in _cells(results).values()):
        notes.append("± is the standard deviation over the seeds, whose number stands in brackets.")
    if experiment.reference:
        notes.append(f"In brackets after a slash: what {experiment.source} reports.")
    if missing:
        notes.append(f"{_NOT_RUN}: not run yet ({missing} of {len(experiment.runs)} runs).")
    parts.append(" ".join(notes))
    if picture:
        parts.append(f"![The test accuracy of each run, epoch by epoch]({picture})")
    if results:
        parts.append("\n".join(commands(results)))
    return "\n\n".join(parts) + "\n"


def table(experiment: Experiment, results: Sequence[Result]) -> list[str]:
    """The lines of a table in Markdown: a line for each row of the experiment, a column for each of its columns."""
    cells = _cells(results)
    columns = experiment.columns()
    lines = [f"| {experiment.axis} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for row in experiment.rows():
        texts = [_cell(cells.get((row, column), []), experiment.reference.get((row, column))) for column in columns]
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return lines


def commands(results: Sequence[Result]) -> list[str]:
    """How each figure was made: the lines of a table in Markdown."""
    lines = ["| run | last | best | epochs | wall time | commit | command |", "|---|---:|---:|---:|---:|---|---|"]
    for result in results:
        lines.append(
            f"| {result['row']}, {result['column']}, seed {result['seed']} | {result['accuracy']:.2%} | "
            f"{result['best_accuracy']:.2%} | {result['epochs']} | {_minutes(result['wall_seconds'])} | "
            f"{result.get('commit') or _NOT_RUN}, {result.get('date') or _NOT_RUN} | `{result['command']}` |"
        )
    return lines


def _cells(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    cells: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        cells.setdefault((result["row"], result["column"]), []).append(result)
    return cells


def _cell(results: Sequence[Result], reference: float | None) -> str:
    text = _NOT_RUN
    if results:
        accuracies = [100 * result["accuracy"] for result in results]
        text = f"{statistics.mean(accuracies):.2f}"
        if len(accuracies) > 1:
            text += f" ± {statistics.stdev(accuracies):.2f} ({len(accuracies)})"
    return text if reference is None else f"{text} / ({reference:g})"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _draw(experiment: Experiment, results: Sequence[Result], folder: Path) -> Path | None:
    """The learning curves of the first seeds, as many as colours tell apart."""
    shown = [result for result in results if result["seed"] == 0][: plots.MOST_CURVES]
    if not shown:
        return None
    histories = {f"{result['row']}, {result['column']}": result["history"] for result in shown}
    path = folder / "curves.png"
    plots.learning_curves(histories, experiment.title).savefig(path, dpi=100)
    return path
