"""The page: one file that needs no other, no network and no server.

Everything that comes from files is escaped, and a content security policy lets the browser run the page's own script
and nothing else, so that a run called `<script>` is only a name.
"""

import base64
import hashlib
import os
from datetime import datetime, timezone
from functools import partial
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from bnn_tf import __version__
from bnn_tf.errors import ArgumentError
from bnn_tf.reporting import evaluating
from bnn_tf.reporting.runs import Runs, find_runs
from bnn_tf.reporting.sections import Evaluate, sections
from bnn_tf.training.run_folder import Folder


def write_report(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    kernels: bool = True,
    evaluate: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Writes one self-contained HTML page about every run in a folder and the folders inside it.

    Args:
        folder: holds folders of `bnn-tf train` (folds of a cross-validation, too), `compare` and `evaluate`, or is one;
            or the results of experiments, as `results/experiments` of this project.
        out: the file to write; by default `report.html` in `folder`. An earlier one is replaced, as a whole.
        kernels: whether models are loaded, to show their kernels.
        evaluate: whether the last checkpoint of each training is evaluated, to show its classes and confusions.
        data_dir: where the data for that lie; see `data.load`.

    Returns:
        The path of the page.

    Raises:
        ArgumentError: a ValueError, for a folder that isn't there or holds no run that could be read.
        FullDiskError: an OSError; an earlier page is whole.

    Example:

    >>> write_report("runs")
    PosixPath('runs/report.html')
    """
    source = Path(folder).expanduser()
    if not source.is_dir():
        raise ArgumentError(f"{source} is no folder. Name one that holds runs of bnn-tf train, compare or evaluate.")
    page = Path(out).expanduser() if out is not None else source / "report.html"
    if page.is_dir():
        raise ArgumentError(f"{page} is a folder. Name a file for the page.")
    runs = find_runs(source)
    if not runs.found:
        damaged = "".join(f" {name}: {reason}." for name, reason in runs.damaged)
        raise ArgumentError(f"{source} holds no run of bnn-tf train, compare or evaluate that can be read.{damaged}")
    evaluation = partial(evaluating.evaluate, data_dir=data_dir) if evaluate else None
    html = render(source.resolve().name, runs, kernels=kernels, evaluate=evaluation)
    with Folder(page.parent).replacing(page.name) as unfinished:
        # A file's name may hold bytes that aren't UTF-8.
        unfinished.write_bytes(html.encode("utf-8", "replace"))
    return page


def render(name: str, runs: Runs, *, kernels: bool = True, evaluate: Evaluate | None = None) -> str:
    """The page as text.

    Args:
        name: of the folder, for the heading.
        runs: what was found.
        kernels: see `write_report`.
        evaluate: see `sections.sections`.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    script = _text("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    unfinished = [
        (run.name, problem) for several in (runs.trainings, runs.comparisons) for run in several
        for problem in run.problems
    ]  # fmt: skip
    return environment.from_string(_text("page.html")).render(
        name=name,
        counts=_counts(runs),
        version=__version__,
        time=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        problems=[*runs.damaged, *unfinished],
        sections=sections(runs, kernels, evaluate),
        style=Markup(_text("page.css")),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


def _counts(runs: Runs) -> str:
    kinds = (
        ("experiment", runs.experiments),
        ("training", runs.trainings),
        ("comparison", runs.comparisons),
        ("evaluation", runs.evaluations),
    )
    return ", ".join(f"{len(found)} {kind}{'s' if len(found) > 1 else ''}" for kind, found in kinds if found)


def _text(name: str) -> str:
    return resources.files("bnn_tf.reporting").joinpath(name).read_text(encoding="utf-8")
