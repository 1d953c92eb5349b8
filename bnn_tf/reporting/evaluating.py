"""Evaluates a training that was found, on the test set of its own data."""

import os

from bnn_tf import data, training
from bnn_tf.errors import ArgumentError
from bnn_tf.reporting.runs import Evaluated, TrainingRun
from bnn_tf.training.run_config import trained_on
from bnn_tf.training.training_folder import LAST


def evaluate(run: TrainingRun, data_dir: str | os.PathLike[str] | None = None) -> Evaluated:
    """The figures of a training's last checkpoint, as `bnn-tf evaluate` has them.

    Args:
        run: what was found.
        data_dir: see `data.load`.

    Raises:
        UserError: where the model or its data can't be loaded, or don't fit together.
    """
    known = trained_on(run.config)
    if known.source is None:
        raise ArgumentError("The configuration doesn't say what it was trained on.")
    dataset = data.load(known.source, data_dir, **known.options)
    found = training.report(training.load_model(run.path / LAST), dataset, name=run.name, augment=known.augment)
    return Evaluated(found.model, found.data, found.class_names, found.figures(), found.metrics)
