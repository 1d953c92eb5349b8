"""`bnn-tf data`: the data sets, and where their files are expected."""

import argparse
from typing import Any

from bnn_tf.commands.common import add_data_dir


def add(commands: Any) -> None:
    """Adds the command to the parsers of `bnn-tf`."""
    parser = commands.add_parser("data", help="list the data sets and where their files are expected")
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from bnn_tf import data
    from bnn_tf.data.files import forms

    folder = data.data_folder(options.data_dir)
    for name in data.list_datasets():
        source = data.source(name)
        print(f"{name}: {source.description}")
        for file in source.files:
            missing = "  (missing; downloaded when needed)" if source.downloaded else "  (missing)"
            found = next((path for path in forms(folder / file) if path.exists()), None)
            print(f"    {found}" if found else f"    {folder / file}{missing}")
    return 0
