"""The command line, `bnn-tf`: it reads arguments, calls the library and prints.

Exit codes: 0 done, 2 a mistake in the arguments or files (one line on standard error), 75 another process of a
distributed training is gone (the same command with --resume goes on), 130 interrupted. Each command is a file in
`bnn_tf.commands`; TensorFlow is imported only by those that need it.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

import bnn_tf
from bnn_tf.commands import bench, compare, data, evaluate, export, models, pack, predict, report, summary, train
from bnn_tf.commands.quiet import quiet_tensorflow
from bnn_tf.errors import UserError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(format="bnn-tf: %(message)s", level=logging.WARNING)
    logging.getLogger("bnn_tf").setLevel(logging.INFO)
    try:
        return options.run(options)
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        print("bnn-tf: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _fail(message: str, code: int = UserError.exit_code) -> int:
    print(f"bnn-tf: error: {message}", file=sys.stderr)
    return code


def make_parser() -> argparse.ArgumentParser:
    """The parser of `bnn-tf`: what it says of itself is what the documentation of the commands is made of."""
    parser = argparse.ArgumentParser(prog="bnn-tf", description="Binary neural networks that really are one bit.")
    parser.add_argument("--version", action="version", version=f"bnn-tf {bnn_tf.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (compare, train, evaluate, report, pack, export, bench, summary, models):
        command.add(commands, quiet_tensorflow)
    for light in (predict, data):
        light.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
