"""`bnn-tf evaluate`: how a trained model does on the test set, class by class; or two, side by side."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_tf.commands import subject
from bnn_tf.commands.common import Quiet, add_data_options, positive
from bnn_tf.errors import ArgumentError

if TYPE_CHECKING:
    from bnn_tf.data import Dataset
    from bnn_tf.training import Report

_DESCRIPTION = """Accuracy, top-5, loss, the figures of each class, the best and worst classes and the most frequent
confusions on the test set. Of two models, the same side by side with the differences and a count of the images that
only one gets right. A run of `bnn-tf train` knows its data set; for a file, --data names it."""

_LOG = logging.getLogger("bnn_tf.commands.evaluate")


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        quiet: makes a context in which the backend is loaded without its chatter.
    """
    parser = commands.add_parser(
        "evaluate", help="measure a trained model class by class, or two side by side", description=_DESCRIPTION
    )
    subject.add_model(parser)
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a second model, to be compared with the first")
    parser.add_argument("--data", help="a name that `bnn-tf data` lists, or a folder; by default the run's")
    add_data_options(parser)
    subject.add_checkpoint(parser)
    parser.add_argument("--batch-size", type=positive, default=512, help="images at a time; by default 512")
    parser.add_argument("--out", metavar="DIR", help="write results.json, tables as CSV and pictures there")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation in --out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=lambda options: run(options, quiet))


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    sources = [options.model, *([options.other] if options.other else [])]
    subjects = [subject.read(source, options.checkpoint, quiet) for source in sources]
    name, data_options = _data(subjects, options.data, dict(options.data_option))
    for each in subjects:
        if options.out and each.file.parent.resolve() == Path(options.out).resolve():
            raise ArgumentError(f"{options.out} is the folder of {each.file} itself. Choose another one for --out.")
    with quiet():
        from bnn_tf import data, training
        from bnn_tf.training.report_folder import ReportFolder

    dataset = data.load(name, options.data_dir, **data_options)
    models = [training.load_model(each.file) for each in subjects]
    folder = ReportFolder(options.out, options.overwrite) if options.out else None
    reports: list[Report] = []
    for each, model in zip(subjects, models, strict=True):
        _warn_of_other_data(each, dataset)
        augment = each.trained_on.augment if each.trained_on else ()
        reports.append(training.report(model, dataset, name=each.name, batch_size=options.batch_size, augment=augment))
    result = reports[0] if len(reports) == 1 else training.Pair(*reports)
    print(result.to_json() if options.json else result)
    if folder is not None:
        files = folder.write(result)
        if not options.json:
            print(f"In {folder.path}: {', '.join(files)}.")
    return 0


def _data(subjects: list[subject.Subject], name: str | None, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The data set to evaluate on, and its options."""
    if name is not None:
        return name, options
    known = [(each.data, {**each.data_options, **options}) for each in subjects if each.data is not None]
    if not known:
        raise ArgumentError("--data must say what to evaluate on: a file doesn't know what it was trained on.")
    (found, found_options), (other, other_options) = known[0], known[-1]
    if found != other:
        names = " and ".join(f"{each.name} on {each.data}" for each in subjects)
        raise ArgumentError(f"The models were trained on different data: {names}. Say with --data which to take.")
    differing = [
        f"{name} ({found_options.get(name, 'default')} and {other_options.get(name, 'default')})"
        for name in sorted({*found_options, *other_options})
        if found_options.get(name) != other_options.get(name)
    ]
    if differing:
        raise ArgumentError(
            f"{' and '.join(each.name for each in subjects)} were trained on {found} with other options: "
            f"{', '.join(differing)}. Say with --data-option which to take."
        )
    return found, found_options


def _warn_of_other_data(model: subject.Subject, dataset: "Dataset") -> None:
    """The images are normalised by the training set: a model expects its own."""
    here = {"name": dataset.name, "train_images": len(dataset.y_train), "classes": dataset.classes}
    for name, value in here.items():
        trained = model.trained_on.facts.get(name, value) if model.trained_on else value
        if trained != value:
            _LOG.warning(
                "%s was trained on data with %s %s, here it is %s: figures aren't those of its own test set",
                model.name,
                name.replace("_", " "),
                trained,
                value,
            )
            return
