"""`bnn-tf bench`: a packed model on this machine; or binary layers beside TensorFlow's float ones."""

import argparse
from pathlib import Path
from typing import Any

from bnn_tf.commands.common import Quiet, announced, height_and_width, measured_on, positive
from bnn_tf.errors import ArgumentError

_DESCRIPTION = """With a packed model: latency, images a second, the time and share of each layer, size and peak memory;
it needs no TensorFlow. Without: layers of ResNet-18 and of the CIFAR ResNets, TensorFlow's float ops beside the binary
ones with packed kernels; in a batch also with float kernels, as in training."""
# What has a meaning only with a packed model, and only without.
_OF_A_MODEL = ("size", "seconds", "repeats")
_OF_LAYERS = ("layers",)
_SECONDS = 3.0


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser(
        "bench",
        help="time a packed model, or binary layers beside TensorFlow's float ones, on this machine",
        description=_DESCRIPTION,
    )
    parser.add_argument("model", metavar="NET.bnn", nargs="?", help="what `bnn-tf pack` wrote; by default layers")
    parser.add_argument("--batch", type=positive, default=1, help="images; by default 1")
    parser.add_argument("--threads", type=positive, default=1, help="for all alike; by default 1")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    group = parser.add_argument_group("of a packed model")
    group.add_argument("--size", nargs="+", type=positive, metavar="N", help="height and width; by default the model's")
    length = group.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=_seconds, metavar="S", help=f"time runs for so long; by default {_SECONDS:g}")
    length.add_argument("--repeats", type=positive, metavar="N", help="time so many runs instead")
    parser.add_argument_group("of layers").add_argument(
        "--layers", nargs="+", metavar="PART", help="only layers with such a part in their names, 14x14 say"
    )
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    unfit = [name for name in (_OF_LAYERS if options.model else _OF_A_MODEL) if getattr(options, name) is not None]
    if unfit:
        fits = "layers, without a model" if options.model else "a packed model: name one"
        raise ArgumentError(f"--{unfit[0]} is for {fits}. Leave it out.")
    return _model(options) if options.model else _layers(options, quiet)


def _model(options: argparse.Namespace) -> int:
    size = height_and_width(options.size)
    if options.model.endswith(".keras"):
        raise ArgumentError(f"{options.model} isn't packed. Pack it: bnn-tf pack {options.model} -o net.bnn")
    from bnn_tf import latency

    measured = latency.measure(
        options.model,
        batch=options.batch,
        threads=options.threads,
        size=size,
        seconds=options.seconds or _SECONDS,
        repeats=options.repeats,
    )
    print(measured)
    if options.json:
        Path(options.json).write_text(measured.to_json() + "\n", encoding="utf-8")
    return 0


def _layers(options: argparse.Namespace, quiet: Quiet) -> int:
    from bnn_tf import bench

    layers = bench.select((*bench.RESNET18, *bench.CIFAR_RESNET), options.layers)
    bench.limit_threads(options.threads)
    with quiet():
        from bnn_tf.training.environment import environment

    where = environment()
    rows = {}
    by_name = {layer.name: layer for layer in layers}
    for name in announced(by_name):
        rows[name] = bench.compare(by_name[name], options.batch, bench.ops_for(options.batch), threads=options.threads)
    print(bench.table(rows), end="\n\n")
    print(f"x: times as fast as TensorFlow's float op, and below 1 slower. Batch {options.batch}.")
    print(measured_on(where))
    if options.json:
        bench.save(options.json, rows, options.batch, where)
    return 0


def _seconds(text: str) -> float:
    """The type of --seconds: above 0, and short enough to be meant."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 and up to 3600 is expected, not {text!r}")
    return seconds
