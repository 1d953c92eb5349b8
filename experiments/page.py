"""docs/experiments.md: a table, a picture and the commands for each experiment, made of the result files alone.

And `experiments.json` beside these files: it tells `bnn-tf report` what the tables are.
"""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import Figure

from bnn_tf import plots
from experiments import latency
from experiments.plan import Experiment, Run
from experiments.plans import EXPERIMENTS
from experiments.running import save

_PAGE = Path(__file__).with_name("page.md")
MANIFEST = "experiments.json"
_NOT_RUN = "–"
_PICTURES = {
    "curves": "The test accuracy of each run, epoch by epoch",
    "cost": "The test accuracy of each network over its packed size and over the time that an image takes",
}
Result = dict[str, Any]
Results = Mapping[str, Result]  # by the names of the runs


def write(results: Path, page: Path) -> None:
    """Writes the page, and beside the results a picture for each experiment.

    Args:
        results: a JSON file for each run.
        page: of Markdown.
    """
    found = load(results)
    sections = []
    for name, experiment in EXPERIMENTS.items():
        addresses = {}
        for kind, figure in figures(experiment, found, latency.load(results)["seconds"]).items():
            path = results / f"{name}-{kind}.png"
            figure.savefig(path, dpi=100)
            addresses[kind] = os.path.relpath(path, page.parent)
        sections.append(section(experiment, found, addresses))
    page.parent.mkdir(parents=True, exist_ok=True)
    text = Template(_PAGE.read_text(encoding="utf-8")).substitute(sections="\n".join(sections))
    page.write_text(text, encoding="utf-8")
    save(results / MANIFEST, manifest())


def manifest() -> dict[str, Any]:
    """What the tables are, for `bnn-tf report`, which doesn't know the plans."""
    described = []
    for experiment in EXPERIMENTS.values():
        reference = [
            {"row": row, "column": column, "percent": at} for (row, column), at in experiment.reference.items()
        ]
        described.append(
            {
                "title": experiment.title,
                "about": experiment.about,
                "axis": experiment.axis,
                "source": experiment.source,
                "costs": experiment.costs,
                "reference": reference,
                "runs": [{"name": run.name, "row": run.row, "column": run.column} for run in experiment.runs],
            }
        )
    return {"format": 1, "experiments": described}


def load(folder: Path) -> Results:
    """The results in a folder."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*-*-*.json")))
    return {result["run"]: result for result in map(json.loads, texts)}


def section(experiment: Experiment, results: Results, pictures: Mapping[str, str] | None = None) -> str:
    """An experiment in Markdown: title, question, table, pictures by their addresses, commands."""
    parts = [f"## {experiment.title}", experiment.about, "\n".join(table(experiment, results))]
    done = [run for run in experiment.runs if run.name in results]
    missing = len(experiment.runs) - len(done)
    notes = ["Accuracy on the test images after the last epoch, in percent."]
    if len({(run.row, run.column) for run in done}) < len(done):
        notes.append("± is the standard deviation over the seeds, whose number stands in brackets.")
    if experiment.reference:
        notes.append(f"In brackets after a slash: what {experiment.source} reports.")
    if missing:
        notes.append(f"{_NOT_RUN}: not run yet ({missing} of {len(experiment.runs)} runs).")
    parts.append(" ".join(notes))
    parts += [f"![{_PICTURES[kind]}]({address})" for kind, address in (pictures or {}).items()]
    if done:
        parts.append("\n".join(commands(done, results)))
    return "\n\n".join(parts) + "\n"


def table(experiment: Experiment, results: Results) -> list[str]:
    """The lines of a table in Markdown: a line for each row of the experiment, a column for each of its columns."""
    cells: dict[tuple[str, str], list[Result]] = {}
    for run in experiment.runs:
        if run.name in results:
            cells.setdefault((run.row, run.column), []).append(results[run.name])
    columns = experiment.columns()
    lines = [f"| {experiment.axis} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for row in experiment.rows():
        texts = [_cell(cells.get((row, column), []), experiment.reference.get((row, column))) for column in columns]
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return lines


def commands(done: Sequence[Run], results: Results) -> list[str]:
    """How each figure was made: the lines of a table in Markdown."""
    lines = [
        "| run | last | best | epochs | packed bytes | wall time | commit | command |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for run in done:
        result = results[run.name]
        lines.append(
            f"| {run.row}, {run.column}, seed {run.seed} | {result['accuracy']:.2%} | {result['best_accuracy']:.2%} | "
            f"{result['epochs']} | {result['packed_bytes']:,} | {_minutes(result['wall_seconds'])} | "
            f"{result.get('commit') or _NOT_RUN}, {result.get('date') or _NOT_RUN} | `{result['command']}` |"
        )
    return lines


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


def figures(experiment: Experiment, results: Results, seconds: Mapping[str, float]) -> dict[str, Figure]:
    """The pictures of an experiment, of the runs with the first seed: none where nothing was run.

    Args:
        experiment: whose.
        results: of all runs.
        seconds: that an image takes, by the name of the run.
    """
    shown = {f"{run.row}, {run.column}": run for run in experiment.runs if run.seed == 0 and run.name in results}
    if not shown:
        return {}
    if not experiment.costs:
        curves = {label: results[run.name]["history"] for label, run in list(shown.items())[: plots.MOST_CURVES]}
        return {"curves": plots.learning_curves(curves, experiment.title)}
    networks = {
        label: {
            "accuracy": results[run.name]["accuracy"],
            "packed_bytes": results[run.name]["packed_bytes"],
            "latency": seconds.get(run.name),
            "group": f"{run.row.split(', ×')[0]}, {run.column}",
        }
        for label, run in shown.items()
    }
    return {"cost": plots.trade_off(networks, experiment.title)}
