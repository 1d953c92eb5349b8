"""Two models on the same test images, side by side."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from bnn_tf.errors import ArgumentError
from bnn_tf.text import text_table
from bnn_tf.training.evaluation import Report, csv_text, percent
from bnn_tf.training.metrics import FIGURES

_SHOWN = ("precision", "recall", "score")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two reports on the same images; differences are those of the second to the first. `print` shows it.

    Attributes:
        first: of one model.
        second: of the other.

    Raises:
        ArgumentError: a ValueError, where they aren't about the same images.

    Example:

    >>> digits = bnn_tf.data.load("digits")
    >>> build = lambda scheme: bnn_tf.models.lenet(scheme, input_shape=digits.input_shape)
    >>> print(Pair(report(build("float"), digits), report(build("bwn"), digits)))
    """

    first: Report
    second: Report

    def __post_init__(self) -> None:
        if self.first.data != self.second.data or not np.array_equal(self.first.labels, self.second.labels):
            raise ArgumentError(
                f"Two models are compared on the same test images. Got {len(self.first.labels)} of {self.first.data} "
                f"and {len(self.second.labels)} of {self.second.data}."
            )

    @property
    def counts(self) -> dict[str, int]:
        """How many images "both", "first only", "second only" and "neither" get right."""
        first, second = self.first.right, self.second.right
        return {
            "both": int((first & second).sum()),
            "first only": int((first & ~second).sum()),
            "second only": int((~first & second).sum()),
            "neither": int((~first & ~second).sum()),
        }

    @property
    def p_value(self) -> float:
        """Were both equally good: how probable a split at least as uneven of the images that only one gets right is.

        Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
        1947; here the exact binomial test, two-sided.
        """
        counts = self.counts
        alone = counts["first only"] + counts["second only"]
        return float(binomtest(counts["first only"], alone).pvalue) if alone else 1.0

    def differences(self) -> dict[str, float]:
        """For each figure of the whole test set the second less the first."""
        first, second = self.first.figures(), self.second.figures()
        return {name: second[name] - first[name] for name in first}

    def rows(self) -> list[dict[str, Any]]:
        """A record for each class, with "FIGURE first", "FIGURE second" and "FIGURE difference"."""
        return [
            {"class": first["class"], "images": first["images"], **_three(first, second)}
            for first, second in zip(self.first.rows(), self.second.rows(), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single images, as JSON takes it."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "differences": self.differences(),
            "classes": self.rows(),
            "right": self.counts,
            "p_value": self.p_value,
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def classes_csv(self) -> str:
        """A line for each class."""
        rows = self.rows()
        return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])

    def __str__(self) -> str:
        counts = self.counts
        return "\n".join(
            [
                f"first:  {self.first.model}",
                f"second: {self.second.model}",
                f"on {self.first.data}, {len(self.first.labels):,} test images",
                "",
                self._figures_table(),
                "",
                self._classes_table(),
                "",
                f"right: both {counts['both']:,}, first only {counts['first only']:,}, "
                f"second only {counts['second only']:,}, neither {counts['neither']:,}",
                f"p = {self.p_value:.2g} for a split at least as uneven, were both equally good (McNemar, exact)",
            ]
        )

    def _figures_table(self) -> str:
        rows = []
        for (name, first), second in zip(self.first.figures().items(), self.second.figures().values(), strict=True):
            if name == "loss":
                rows.append([name, f"{first:.4f}", f"{second:.4f}", f"{second - first:+.4f}"])
            else:
                rows.append([name, percent(first), percent(second), _points(second - first)])
        return text_table(("", "first", "second", "difference"), rows)

    def _classes_table(self) -> str:
        header = [f"{figure}{part}" for figure in _SHOWN for part in ("", " (2nd)", " (diff.)")]
        rows = [
            [row["class"], str(row["images"]), *(cell for figure in _SHOWN for cell in _cells(row, figure))]
            for row in self.rows()
        ]
        return text_table(("class", "images", *header), rows)


def _three(first: dict[str, Any], second: dict[str, Any]) -> dict[str, float | None]:
    found = {}
    for name in FIGURES:
        found[f"{name} first"], found[f"{name} second"] = first[name], second[name]
        found[f"{name} difference"] = None if first[name] is None else second[name] - first[name]
    return found


def _cells(row: dict[str, Any], figure: str) -> tuple[str, str, str]:
    difference = row[f"{figure} difference"]
    return percent(row[f"{figure} first"]), percent(row[f"{figure} second"]), _points(difference)


def _points(difference: float | None) -> str:
    """In percentage points."""
    return "-" if difference is None else f"{100 * difference:+.2f}"
