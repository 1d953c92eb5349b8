"""`bnn-tf export`: a trained model for other platforms."""

import argparse
from pathlib import Path
from typing import Any

from bnn_tf.commands import evaluate
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
    parser.add_argument("model", metavar="MODEL", help="a .keras file, or the folder of a run of `bnn-tf train`")
    parser.add_argument("-o", "--out", required=True, metavar="PATH", help="net.tflite, net.onnx, or a new folder")
    parser.add_argument("--format", choices=_FORMATS, help="by default what the path ends with, else saved_model")
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help="of a run; by default last")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    subject = evaluate.subject(Path(options.model), options.checkpoint)
    with quiet():
        from bnn_tf import exporting, training

    print(exporting.export(training.load_model(subject.file), options.out, options.format))
    return 0
