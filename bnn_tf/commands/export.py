"""`bnn-tf export`: a trained model for other platforms."""

import argparse
from typing import Any

from bnn_tf.commands import subject
from bnn_tf.commands.common import Quiet

_DESCRIPTION = """Writes a model for inference elsewhere: a TensorFlow SavedModel with the C++ ops, or plain float ops
as a SavedModel, LiteRT or ONNX model. For a file with one bit a binary weight that runs without TensorFlow, see
`bnn-tf pack`."""
_FORMATS = ("saved_model", "float_saved_model", "litert", "onnx")


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser(
        "export", help="write a trained model as a SavedModel, LiteRT or ONNX model", description=_DESCRIPTION
    )
    subject.add_model(parser)
    parser.add_argument("-o", "--out", required=True, metavar="PATH", help="net.tflite, net.onnx, or a new folder")
    parser.add_argument("--format", choices=_FORMATS, help="by default what the path ends with, else saved_model")
    subject.add_checkpoint(parser)
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    source = subject.read(options.model, options.checkpoint, quiet)
    with quiet():
        from bnn_tf import exporting, training

    print(exporting.export(training.load_model(source.file), options.out, options.format))
    return 0
