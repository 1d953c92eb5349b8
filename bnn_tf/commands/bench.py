"""`bnn-tf bench`: binary layers beside TensorFlow's float ones, on this machine."""

import argparse
from typing import Any

from bnn_tf.commands.common import Quiet, announced, machine, positive


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`; for the arguments see `train.add`."""
    parser = commands.add_parser(
        "bench",
        help="time binary layers beside TensorFlow's float ones on this machine",
        description="Times layers of ResNet-18 and of the CIFAR ResNets: TensorFlow's float ops, and the binary ones "
        "with packed kernels; in a batch also with float kernels, as in training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--batch", type=positive, default=1, help="images")
    parser.add_argument("--threads", type=positive, default=1, help="for all ops alike")
    parser.add_argument(
        "--layers", nargs="+", metavar="PART", help="only layers with such a part in their names, 14x14 say"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
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
    print(machine(where))
    if options.json:
        bench.save(options.json, rows, options.batch, where)
    return 0
