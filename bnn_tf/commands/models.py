"""`bnn-tf models`: every network with its parameters, packed size and multiply-accumulates."""

import argparse
from typing import Any

from bnn_tf.commands.common import Quiet, announced


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser(
        "models",
        help="list the networks with parameters, packed size and multiply-accumulates",
        description="Counts every network at its published input, in less than a minute.",
    )
    parser.add_argument("--quick", action="store_true", help="names only")
    parser.add_argument("--markdown", action="store_true", help="as docs/models.md has it")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    with quiet():
        from bnn_tf import models
        from bnn_tf.models import table

    names = models.list_models()
    if options.quick:
        print("\n".join(names))
    else:
        rows = [table.row(name) for name in announced(names)]
        print("\n".join(table.markdown(rows)) if options.markdown else table.text(rows))
    if not options.markdown:
        print(f"\neach in the schemes {', '.join(models.SCHEMES)}")
    return 0
