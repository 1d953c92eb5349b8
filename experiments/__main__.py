"""`python -m experiments`: trains, and tells what came out."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bnn_tf.reporting.experiments import LATENCY
from experiments import latency, page, running
from experiments.plan import Run
from experiments.plans import EXPERIMENTS, RUNS, choose


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train = commands.add_parser("run", help="train what has no result yet; what was interrupted goes on")
    train.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(EXPERIMENTS)}")
    train.add_argument(
        "--only",
        default="",
        type=_pattern,
        metavar="PATTERN",
        help='those in whose "row, column, seed N", as `list` shows it, this regular expression is found',
    )
    train.add_argument("--runs", type=Path, default=Path("runs") / "experiments", metavar="DIR", help="for checkpoints")
    train.set_defaults(run=_run)
    listing = commands.add_parser("list", help="every run, and whether its result is there")
    listing.add_argument("names", nargs="*", metavar="NAME")
    listing.set_defaults(run=_list)
    timing = commands.add_parser("latency", help="time the packed networks of the cells, in tables that ask for it")
    timing.set_defaults(run=_latency)
    tell = commands.add_parser("report", help="docs/experiments.md and its pictures, from results/experiments")
    tell.set_defaults(run=_report)
    options = parser.parse_args(arguments)
    unknown = set(getattr(options, "names", ())) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"unknown experiment {', '.join(sorted(unknown))}. Known: {', '.join(EXPERIMENTS)}.")
    try:
        return options.run(options)
    except running.RunError as error:
        print(f"experiments: error: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    planned = [run for experiment in choose(options.names).values() for run in experiment.runs]
    wanted = [run for run in planned if options.only.search(_title(run))]
    if not wanted:
        raise running.RunError(
            f"--only {options.only.pattern!r} finds none of {len(planned)} runs. "
            "`python -m experiments list` shows them."
        )
    running.run(wanted, RUNS, options.runs.resolve(), say=lambda text: print(text, flush=True))
    return 0


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def _list(options: argparse.Namespace) -> int:
    for name, experiment in choose(options.names).items():
        for run in experiment.runs:
            print(f"{'done' if _done(run) else '    '}  {name:8}  {_title(run)}")
    return 0


def _done(run: Run) -> bool:
    return (running.RESULTS / f"{run.name}.json").exists()


def _title(run: Run) -> str:
    return f"{run.row}, {run.column}, seed {run.seed}"


def _latency(options: argparse.Namespace) -> int:
    wanted = [run for experiment in EXPERIMENTS.values() if experiment.costs for run in experiment.runs if _done(run)]
    running.save(running.RESULTS / LATENCY, {"commit": running.commit(), **latency.measure(wanted)})
    return 0


def _report(options: argparse.Namespace) -> int:
    page.write(running.RESULTS, running.ROOT / "docs" / "experiments.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
