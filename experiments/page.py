"""docs/experiments.md: a table, a picture and the commands for each experiment, made of the result files alone.

And `experiments.json` beside these files: it says what the tables are, also to `bnn-tf report`.
"""

import os
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from bnn_tf.reporting.experiments import EXPERIMENTS as MANIFEST
from bnn_tf.reporting.experiments import FORMAT, Experiment, accuracies, draw, notes, read_experiments
from experiments.plans import EXPERIMENTS
from experiments.running import save

_PAGE = Path(__file__).with_name("page.md")
_UNKNOWN = "–"
_FOLDED = '<details markdown="1">\n<summary>How each figure was made: commit, command, time</summary>'
_CAPTIONS = {
    "curves": "Loss and accuracy, epoch by epoch",
    "costs": "The test accuracy of each network over its packed size and over the time that an image takes",
    "accuracies": "The mean and the deviation of each row's test accuracy",
}


def write(results: Path, page: Path) -> None:
    """Writes the page, and beside the results a picture for each experiment and what the tables are.

    Args:
        results: a JSON file for each run.
        page: of Markdown.
    """
    save(results / MANIFEST, manifest())
    experiments = read_experiments(results)
    pictures = {}
    for experiment in experiments:
        figure = draw(experiment)
        if figure:
            path = results / f"{experiment.name}.png"
            figure.savefig(path, dpi=100)
            pictures[experiment.name] = os.path.relpath(path, page.parent)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text(experiments, pictures), encoding="utf-8")


def text(experiments: Sequence[Experiment], pictures: Mapping[str, str]) -> str:
    """The page in Markdown.

    Args:
        experiments: that it tells of.
        pictures: their addresses, by the names of the experiments.

    Raises:
        KeyError: where a sentence names a cell without a result.
    """
    sections = "\n".join(section(each, pictures.get(each.name, "")) for each in experiments)
    return with_figures(Template(_PAGE.read_text(encoding="utf-8")).substitute(sections=sections), experiments)


def with_figures(text: str, experiments: Iterable[Experiment]) -> str:
    """Text in which `{{experiment: row -> column}}` has become that cell's accuracy in percent.

    `{{experiment: row -> column minus row -> column}}` becomes a difference in points, with its sign.

    Raises:
        KeyError: for a cell without a result.

    Example:

    >>> with_figures("Adam gains {{recipe: Adam -> accuracy minus plain -> accuracy}} points.", experiments)
    'Adam gains +7.08 points.'
    """
    found = {
        (experiment.name, f"{row} -> {column}"): percents
        for experiment in experiments
        for (row, column), percents in experiment.cells().items()
    }

    def shown(place: re.Match[str]) -> str:
        first, *second = (statistics.mean(found[place[1], cell]) for cell in place[2].split(" minus "))
        return f"{first - second[0]:+.2f}".replace("-", "−") if second else f"{first:.2f}"

    return re.sub(r"\{\{(\w+): (.+?)\}\}", shown, text)


def manifest() -> dict[str, Any]:
    """What the tables are."""
    described = []
    for name, plan in EXPERIMENTS.items():
        reference = [{"row": row, "column": column, "percent": at} for (row, column), at in plan.reference.items()]
        described.append(
            {
                "name": name,
                "title": plan.title,
                "about": plan.about,
                "axis": plan.axis,
                "source": plan.source,
                "costs": plan.costs,
                "reference": reference,
                "runs": [{"name": run.name, "row": run.row, "column": run.column} for run in plan.runs],
            }
        )
    return {"format": FORMAT, "experiments": described}


def section(experiment: Experiment, picture: str = "") -> str:
    """An experiment in Markdown: title, question, table, the picture at that address, commands."""
    parts = [f"## {experiment.title}", experiment.about, "\n".join(table(experiment)), notes(experiment)]
    if picture:
        parts.append(f"![{_CAPTIONS[experiment.shown]}]({picture})")
    if experiment.outcomes:
        parts += [_FOLDED, "\n".join(commands(experiment)), "</details>"]
    return "\n\n".join(parts) + "\n"


def table(experiment: Experiment) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [f"| {experiment.axis} | {' | '.join(experiment.columns)} |", f"|---|{'---:|' * len(experiment.columns)}"]
    lines += [f"| {' | '.join(cell.text for cell in row)} |" for row in accuracies(experiment)]
    return lines


def commands(experiment: Experiment) -> list[str]:
    """How each figure was made: the lines of a table in Markdown."""
    lines = [
        "| run | last | best | epochs | packed bytes | wall time | commit | command |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for each in experiment.outcomes:
        lines.append(
            f"| {each.row}, {each.column}, seed {each.seed} | {each.accuracy:.2%} | {each.best_accuracy:.2%} | "
            f"{each.epochs} | {each.packed_bytes:,} | {_minutes(each.seconds)} | "
            f"{each.commit or _UNKNOWN}, {each.date or _UNKNOWN} | `{each.command}` |"
        )
    return lines


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
