"""`python -m experiments`: trains, and tells what came out."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import page, running
from experiments.plans import EXPERIMENTS, Run, choose


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train = commands.add_parser("run", help="train what has no result yet; what was interrupted goes on")
    train.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(EXPERIMENTS)}")
    train.add_argument(
        "--only", default="", metavar="PATTERN", help="runs in whose names this regular expression is found"
    )
    train.add_argument("--runs", type=Path, default=Path("runs") / "experiments", metavar="DIR", help="for checkpoints")
    train.set_defaults(run=_run)
    listing = commands.add_parser("list", help="every run, and whether its result is there")
    listing.add_argument("names", nargs="*", metavar="NAME")
    listing.set_defaults(run=_list)
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
    def wanted(run: Run) -> bool:
        return re.search(options.only, run.name) is not None

    for name, experiment in choose(options.names).items():
        running.run(name, experiment, options.runs.resolve(), wanted=wanted, say=lambda text: print(text, flush=True))
    return 0


def _list(options: argparse.Namespace) -> int:
    for name, experiment in choose(options.names).items():
        for run in experiment.runs:
            done = (running.RESULTS / name / f"{run.name}.json").exists()
            print(f"{'done' if done else '    '}  {name:8}  {run.name}")
    return 0


def _report(options: argparse.Namespace) -> int:
    page.write(running.RESULTS, running.ROOT / "docs" / "experiments.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
