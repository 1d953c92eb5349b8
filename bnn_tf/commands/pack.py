"""`bnn-tf pack`: a trained model as one small file that runs without TensorFlow."""

import argparse
from typing import Any

from bnn_tf.commands import subject
from bnn_tf.commands.common import Quiet, add_data_options
from bnn_tf.errors import ArgumentError

_DESCRIPTION = """Writes a model with one bit a binary weight. A run of `bnn-tf train` knows its data set, from which
the class names and the mean and deviation of the pixels are taken; for a file, --data names it, or --classes, --mean
and --deviation say the same. Without any, the packed model takes what the model took."""


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        quiet: makes a context in which the backend is loaded without its chatter.
    """
    parser = commands.add_parser(
        "pack", help="write a trained model as a small file that runs without TensorFlow", description=_DESCRIPTION
    )
    subject.add_model(parser)
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="where to, net.bnn say")
    subject.add_checkpoint(parser)
    parser.add_argument("--float16", action="store_true", help="keep the kernels of float layers in half precision")
    group = parser.add_argument_group("what the model was trained on")
    group.add_argument("--data", help="a name that `bnn-tf data` lists, or a folder; by default the run's")
    add_data_options(group)
    group.add_argument("--no-data", action="store_true", help="leave the run's data set alone")
    group.add_argument("--classes", nargs="+", metavar="NAME", help="of the outputs, in their order")
    group.add_argument("--mean", nargs="+", type=float, metavar="M", help="of the pixels 0..255, one or one a channel")
    group.add_argument("--deviation", nargs="+", type=float, metavar="D", help="the same for their deviation")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    if (options.mean is None) != (options.deviation is None):
        raise ArgumentError("--mean and --deviation belong together: inputs are (pixel - mean) / deviation.")
    if options.no_data and options.data:
        raise ArgumentError("--data and --no-data contradict each other. Give one of them.")
    source = subject.read(options.model, options.checkpoint, quiet)
    with quiet():
        from bnn_tf import packing, training

    model = training.load_model(source.file)
    classes, preprocessing = _of_data(options, source)
    if options.mean is not None:
        channels = model.inputs[0].shape[-1] if len(model.inputs) == 1 else None
        figures = {"mean": _each(options.mean, channels), "deviation": _each(options.deviation, channels)}
        preprocessing = {**(preprocessing or {}), **figures}  # how pictures are scaled stays that of the data set
    packed = packing.pack(
        model,
        options.out,
        classes=options.classes or classes,
        preprocessing=preprocessing,
        float16=options.float16,
    )
    print(packed)
    return 0


def _of_data(options: argparse.Namespace, source: subject.Subject) -> tuple[tuple[str, ...], dict[str, Any] | None]:
    """Class names and preprocessing of the data set, where one is known."""
    name = None if options.no_data else options.data or source.data
    if name is None:
        return (), None
    from bnn_tf import data

    given = dict(options.data_option)
    dataset = data.load(name, options.data_dir, **(given if options.data else {**source.data_options, **given}))
    images = dataset.x_train
    short_side = images.short_side if isinstance(images, data.ImageFiles) else None
    figures = {"mean": dataset.mean, "deviation": dataset.deviation, "short_side": short_side}
    return dataset.class_names, figures


def _each(values: list[float], channels: int | None) -> list[float]:
    """One number stands for all channels."""
    return values * channels if channels and len(values) == 1 else values
