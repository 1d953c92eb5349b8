"""How a trained network does on the test set, class by class."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from bnn_tf.data import Dataset, augmentation
from bnn_tf.errors import ArgumentError
from bnn_tf.text import shape_text, text_table
from bnn_tf.training.batches import EVALUATION_BATCH
from bnn_tf.training.metrics import FIGURES, ClassMetrics, confusion_matrix, top_k_right

TOP = 5


@dataclass(frozen=True, eq=False)
class Report:
    """What `report` finds; `print` shows it.

    Attributes:
        model: what the model is called.
        data: the data set's name.
        class_names: of the classes, in their order.
        labels: int64 `[images]`, the classes of the test images.
        predictions: int64 `[images]`, what the model takes them for.
        loss: the mean cross-entropy.
        top_5: the share of images whose class is among the five largest logits.
    """

    model: str
    data: str
    class_names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    loss: float
    top_5: float

    @cached_property
    def metrics(self) -> ClassMetrics:
        """The figures of each class."""
        return ClassMetrics(confusion_matrix(self.labels, self.predictions, len(self.class_names)))

    @property
    def accuracy(self) -> float:
        """The share of images whose largest logit is that of their class."""
        return self.metrics.overall_accuracy

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which images are classified rightly, bool `[images]`."""
        return self.labels == self.predictions

    def figures(self) -> dict[str, float]:
        """What holds for the whole test set: "accuracy", "top-5", "loss", and the averages over the classes."""
        averages = {f"average {name}": value for name, value in self.metrics.averages.items()}
        return {"accuracy": self.accuracy, "top-5": self.top_5, "loss": self.loss, **averages}

    def rows(self) -> list[dict[str, Any]]:
        """A record for each class; None for a figure that a class without images doesn't have."""
        metrics = self.metrics
        counts = zip(self.class_names, metrics.images.tolist(), metrics.matrix.sum(axis=0).tolist(), strict=True)
        return [
            {
                "class": name,
                "images": images,
                "predicted": predicted,
                **{figure: _or_none(getattr(metrics, figure)[index]) for figure in FIGURES},
            }
            for index, (name, images, predicted) in enumerate(counts)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single images, as JSON takes it."""
        names = self.class_names
        return {
            "model": self.model,
            "data": self.data,
            "images": len(self.labels),
            "figures": self.figures(),
            "classes": self.rows(),
            "best": [names[index] for index in self.metrics.best()],
            "worst": [names[index] for index in self.metrics.worst()],
            "confusions": [
                {
                    "class": names[pair.label],
                    "prediction": names[pair.prediction],
                    "count": pair.count,
                    "share": pair.share,
                }
                for pair in self.metrics.confusions()
            ],
            "confusion_matrix": self.metrics.matrix.tolist(),
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def classes_csv(self) -> str:
        """A line for each class."""
        rows = self.rows()
        return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])

    def confusion_csv(self) -> str:
        """The confusion matrix: a line for each class, a column for each prediction."""
        lines = zip(self.class_names, self.metrics.matrix.tolist(), strict=True)
        return csv_text([["class", *self.class_names], *([name, *counts] for name, counts in lines)])

    def __str__(self) -> str:
        metrics, names = self.metrics, self.class_names
        rows = [[row["class"], str(row["images"]), *(percent(row[name]) for name in FIGURES)] for row in self.rows()]
        average = ["average", "", *(percent(value) for value in metrics.averages.values())]
        confusions = [
            f"{names[c.label]} → {names[c.prediction]} {c.count} ({c.share:.1%})" for c in metrics.confusions()
        ]
        return "\n".join(
            [
                f"{self.model} on {self.data}, {len(self.labels):,} test images",
                f"accuracy {percent(self.accuracy)}, top-5 {percent(self.top_5)}, loss {self.loss:.4f}",
                "",
                text_table(("class", "images", "accuracy", "precision", "recall", "BCR", "score"), rows, average),
                "",
                f"best:     {', '.join(names[index] for index in metrics.best())}",
                f"worst:    {', '.join(names[index] for index in metrics.worst())}",
                f"confused: {', '.join(confusions) or 'none'}",
            ]
        )


def report(
    model: keras.Model,
    dataset: Dataset,
    *,
    name: str | None = None,
    batch_size: int = EVALUATION_BATCH,
    augment: Sequence[Any] = (),
) -> Report:
    """Accuracy, top-5, loss and the figures of each class on the test set.

    Args:
        model: trained or frozen, from normalised images to logits; it need not be compiled.
        dataset: its test images are predicted, and normalised by its training images.
        name: what the report calls the model; by default the model's own name.
        batch_size: int from 1, images at a time; it doesn't change the figures beyond float rounding.
        augment: what the model was trained with: where that cuts images to a size, the test images' centre is cut out.

    Returns:
        A `Report`.

    Raises:
        ArgumentError: a ValueError, for a model that doesn't fit the data, a test set without images and logits that
            aren't numbers.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> print(report(bnn_tf.models.lenet(input_shape=digits.input_shape), digits))
    """
    name = name or model.name
    _check(model, name, dataset, augment)
    batches = dataset.batches("test", batch_size, augment=tuple(augment) or None)
    logits = np.concatenate([np.asarray(model.predict_on_batch(x), np.float64) for x, _ in batches])
    lost = int(np.isnan(logits).any(axis=1).sum())
    if lost:
        raise ArgumentError(
            f"{name}: the logits of {lost} of {len(logits)} test images aren't numbers (NaN). Take a checkpoint from "
            "before the training diverged."
        )
    labels = dataset.y_test
    loss = -np.take_along_axis(log_softmax(logits, axis=1), labels[:, np.newaxis], axis=1).mean()
    top = float(top_k_right(labels, logits, TOP).mean())
    return Report(name, dataset.name, dataset.class_names, labels, logits.argmax(axis=1), float(loss), top)


def _check(model: keras.Model, name: str, dataset: Dataset, augment: Sequence[Any]) -> None:
    """Raises an ArgumentError where the model can't be evaluated on the data."""
    if not len(dataset.y_test):
        raise ArgumentError(f"{dataset.name} has no test images. Choose a data set that has some.")
    outputs, inputs = model.output_shape, model.input_shape
    if not isinstance(outputs, tuple) or outputs[1:] != (dataset.classes,):
        raise ArgumentError(
            f"{name} must give {dataset.classes} logits an image, one for each class of {dataset.name}. Its output is "
            f"{shape_text(outputs[1:]) if isinstance(outputs, tuple) else outputs}. Choose the data set that it was "
            "trained on."
        )
    image = augmentation(tuple(augment) or None).output_shape(dataset.input_shape)
    expected = inputs[1:] if isinstance(inputs, tuple) else ()
    if len(expected) != 3 or any(size not in (None, own) for size, own in zip(expected, image, strict=True)):
        raise ArgumentError(
            f"{name} takes images of {shape_text(expected) if expected else inputs}. Those of {dataset.name} are "
            f"{shape_text(image)}. Choose the data set that it was trained on."
        )


def csv_text(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as comma-separated values; None becomes empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def percent(share: float | None) -> str:
    """97.35 %, or "-" for None or NaN."""
    return "-" if share is None or math.isnan(share) else f"{share:.2%}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
