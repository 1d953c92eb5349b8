"""`bnn-tf report`: the runs of a folder as one HTML page."""

import argparse
from typing import Any

from bnn_tf.commands.common import Quiet, add_data_dir

_DESCRIPTION = """Writes one HTML page about every run of bnn-tf train, compare and evaluate in a folder and the folders
inside it: tables that sort by a click, learning curves, kernels, confusion matrices, configurations. The page needs no
other file and no network. Runs that are unfinished or damaged are named on it. The tables of experiments, of which only
results are kept, are put on it too."""


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser("report", help="put the runs of a folder on one HTML page", description=_DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", help="holds folders of runs, or is one")
    parser.add_argument("-o", "--out", metavar="FILE", help="the page; by default DIR/report.html; replaced if there")
    parser.add_argument("--no-kernels", action="store_true", help="load no model to show its kernels: quicker")
    parser.add_argument(
        "--evaluate", action="store_true", help="evaluate the last checkpoint of each training: classes and confusions"
    )
    add_data_dir(parser)
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    with quiet():
        from bnn_tf.reporting import write_report

    page = write_report(
        options.folder,
        options.out,
        kernels=not options.no_kernels,
        evaluate=options.evaluate,
        data_dir=options.data_dir,
    )
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
    return 0
