"""`bnn-tf summary`: what a network weighs and computes, layer by layer."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from bnn_tf.commands import predict
from bnn_tf.commands.common import Quiet, positive
from bnn_tf.errors import UserError

if TYPE_CHECKING:
    import keras


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser(
        "summary",
        help="count a network's weights, bytes and multiply-accumulates, layer by layer",
        description="Counts each layer's weights, their bytes as trained and packed, and its multiply-accumulates.",
    )
    parser.add_argument("model", metavar="NAME|FILE", help="a name that `bnn-tf models` lists, a .keras or .bnn file")
    parser.add_argument("--scheme", help="float, bwn, dorefa or xnor; by default the network's own")
    parser.add_argument(
        "--input-shape", nargs="+", type=positive, metavar="N", help="height, width, channels; by default as published"
    )
    parser.add_argument("--classes", type=positive, help="by default as published")
    parser.add_argument("--width", type=float, help="what the numbers of feature maps are multiplied by")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="JSON to that file, or instead of the table"
    )
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    if options.model.endswith(".bnn"):
        return predict.summary(options.model)
    with quiet():
        from bnn_tf import models
        from bnn_tf.counting.summary import summary
        from bnn_tf.models.table import without_weights

    path = Path(options.model)
    given = {
        name: getattr(options, name) for name in ("scheme", "classes", "width") if getattr(options, name) is not None
    }
    shape = options.input_shape and tuple(options.input_shape)
    if options.model not in models.list_models() and (path.suffix or path.exists()):
        if given:
            raise UserError(f"--{next(iter(given))} is for networks by name. Got the file {path}. Leave it out.")
        result = summary(_load(path), shape)
    else:
        if shape:
            given["input_shape"] = shape
        result = without_weights(lambda: summary(models.build(options.model, **given)))
    print(result.to_json() if options.json == "-" else result)
    if options.json not in (None, "-"):
        Path(options.json).write_text(result.to_json() + "\n", encoding="utf-8")
    return 0


def _load(path: Path) -> "keras.Model":
    import keras

    path.open("rb").close()  # says what is wrong with the path better than Keras does
    try:
        return keras.models.load_model(path, compile=False)
    except (TypeError, ValueError, OSError, BadZipFile) as error:
        raise UserError(f"{path} can't be loaded as a Keras model: {str(error).splitlines()[0]}") from error
