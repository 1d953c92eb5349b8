"""`bnn-tf compare`: networks, schemes, widths and data sets side by side, over several seeds."""

import argparse
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_tf.commands import train
from bnn_tf.commands.common import Quiet, add_data_dir, measured_on
from bnn_tf.errors import ArgumentError

if TYPE_CHECKING:
    from bnn_tf.training import Comparison

_DESCRIPTION = """Trains every combination of the networks, data sets, schemes, widths and seeds, and compares accuracy
(mean and standard deviation over the seeds), size and speed. An interrupted comparison, killed even, goes on with the
same command and --resume. Values that aren't given are what suits the data set."""
# More than these are counted, not named.
_MOST_NAMED = 8


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        quiet: makes a context in which the backend is loaded without its chatter.
    """
    parser = commands.add_parser(
        "compare", help="train a network in float and in binary schemes, and compare them", description=_DESCRIPTION
    )
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--model", nargs="+", default=["lenet"], help="names that `bnn-tf models` lists, as NAME:KEY=VALUE with options"
    )
    group.add_argument("--data", nargs="+", default=["digits"], help="names that `bnn-tf data` lists, or folders")
    group.add_argument(
        "--schemes", nargs="+", default=["float", "bwn", "dorefa", "xnor"], metavar="SCHEME", help="by default all"
    )
    group.add_argument("--widths", nargs="+", type=float, default=[1], metavar="W", help="times the feature maps")
    group.add_argument("--seed", nargs="+", type=int, default=[0], help="of weights and the order of images")
    group.add_argument("--frontend", default="keras", help="what trains: keras (the default), or tflearn for LeNet")
    add_data_dir(group)
    group.add_argument("--augment", nargs="+", metavar="NAME", help="of training images: flip crop:4 rotation:15, say")
    train.add_recipe(parser)
    group = parser.add_argument_group("the run")
    group.add_argument("--out", metavar="DIR", help="for results; by default a new folder under runs/")
    group.add_argument("--resume", action="store_true", help="continue the comparison in --out")
    group.add_argument("--overwrite", action="store_true", help="replace an earlier run in --out")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    if options.resume and not options.out:
        raise ArgumentError("--resume needs --out: the folder of the comparison to continue.")
    with quiet():
        from bnn_tf import training

    out = Path(options.out) if options.out else new_folder(Path("runs"), _name(options.model, options.data))
    try:
        comparison = training.compare(
            options.model,
            options.data,
            options.schemes,
            widths=options.widths,
            seed=options.seed,
            precision=options.precision,
            frontend=options.frontend,
            data_dir=options.data_dir,
            out=out,
            resume=options.resume,
            overwrite=options.overwrite,
            **train.recipe_arguments(options, training.Recipe),
        )
    except training.ComparisonInterrupted as interruption:
        _print(interruption.comparison, out)
        raise
    _print(comparison, out)
    return 0


def _name(models: list[str], data: list[str]) -> str:
    if len(models) > 1 or len(data) > 1:
        return "comparison"
    return re.sub(r"[^\w.+-]+", "-", f"{models[0]}-{Path(data[0]).name}")


def new_folder(parent: Path, name: str) -> Path:
    """The first of `name`, `name`-2, `name`-3, ... that doesn't exist in `parent`."""
    candidates = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(path for path in (parent / candidate for candidate in candidates) if not path.exists())


def _print(comparison: "Comparison", out: Path) -> None:
    if comparison.rows:
        print(comparison.table(), end="\n\n")
    print(measured_on(comparison.environment))
    print("composed images/s: the same layers as plain Keras ops.")
    left = comparison.unfinished
    if len(left) > _MOST_NAMED:
        print(f"Not finished: {len(left)} of {len(comparison.grid.cells())}.")
    elif left:
        print(f"Not finished: {', '.join(map(comparison.grid.label, left))}.")
    if out.exists():
        print(f"In {out}: results.json{', pictures and the trained models' if comparison.rows else ''}.")
