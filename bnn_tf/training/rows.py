"""The finished networks of a comparison, one by one and as means over their seeds."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bnn_tf.text import text_table
from bnn_tf.training.grid import Cell, Grid


@dataclass(frozen=True)
class Row:
    """One trained network of a comparison.

    Attributes:
        model, data, scheme, width, seed: which one; see `Cell`.
        accuracy: on the test set, 0..1.
        top_5: the share of test images whose class is among the five largest logits.
        loss: on the test set.
        binary_weights: those of one bit.
        float_weights: those of 32 bits, the scales of binary layers excluded.
        packed_bytes: with one bit for each binary weight.
        float_bytes: with 32 bits for every weight.
        train_seconds: of wall clock.
        images_per_second: inference, through the C++ op where the scheme has one; None where that doesn't serve.
        images_per_second_composed: the same through the composed path; None for the float network.
        history: the learning curves, see `Training`; empty for a training that diverged.
        diverged: why the training stopped before its end, and the figures are those of its last good state; else None.
        model_file: the trained model's file in the run's folder; None without a folder.
    """

    model: str
    data: str
    scheme: str
    width: float
    seed: int
    accuracy: float
    top_5: float
    loss: float
    binary_weights: int
    float_weights: int
    packed_bytes: int
    float_bytes: int
    train_seconds: float
    images_per_second: float | None
    images_per_second_composed: float | None
    history: dict[str, list[float]]
    diverged: str | None
    model_file: str | None

    @property
    def cell(self) -> Cell:
        """Which one it is."""
        return Cell(self.model, self.data, self.scheme, self.width, self.seed)


def row_from_json(content: dict[str, Any]) -> Row:
    """The row that `asdict` made this of; null, which stands for what wasn't finite, becomes NaN again."""
    history = {name: [_number(value) for value in values] for name, values in content["history"].items()}
    return Row(**{**content, "history": history, "loss": _number(content["loss"])})


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


@dataclass(frozen=True)
class Group:
    """Rows that differ in their seeds alone.

    Attributes:
        rows: at least one.
    """

    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        """The one of the first seed: its sizes are those of all."""
        return self.rows[0]

    def mean(self, figure: str) -> float | None:
        """Over the seeds that have the figure; None where none has."""
        values = self._values(figure)
        return statistics.fmean(values) if values else None

    def deviation(self, figure: str) -> float | None:
        """The sample's standard deviation over the seeds; None for fewer than two."""
        values = self._values(figure)
        return statistics.stdev(values) if len(values) > 1 else None

    def history(self) -> dict[str, list[float]]:
        """The learning curves' mean, as far as all seeds have come."""
        histories = [row.history for row in self.rows if row.history]
        if not histories:
            return {}
        return {
            name: [statistics.fmean(values) for values in zip(*(history[name] for history in histories), strict=False)]
            for name in histories[0]
        }

    def to_dict(self) -> dict[str, Any]:
        """Means and deviations, as JSON takes them."""
        which = {name: value for name, value in asdict(self.first.cell).items() if name != "seed"}
        figures = ("accuracy", "top_5", "loss", "train_seconds", "images_per_second", "images_per_second_composed")
        means = {name: {"mean": self.mean(name), "deviation": self.deviation(name)} for name in figures}
        return {**which, "seeds": [row.seed for row in self.rows], **means}

    def network(self) -> dict[str, Any]:
        """What `plots.trade_off` takes: means over the seeds, and the scheme as the group."""
        speed = self.mean("images_per_second")
        return {
            "accuracy": self.mean("accuracy"),
            "packed_bytes": self.first.packed_bytes,
            "latency": 1 / speed if speed else None,
            "group": self.first.scheme,
        }

    def _values(self, figure: str) -> list[float]:
        return [value for row in self.rows if (value := getattr(row, figure)) is not None]


def groups(rows: Iterable[Row]) -> list[Group]:
    """The rows by all but their seeds, in the order of the first of each."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault((row.model, row.data, row.width, row.scheme), []).append(row)
    return [Group(tuple(same)) for same in found.values()]


def table(grid: Grid, rows: Sequence[Row]) -> str:
    """The rows as text: means and deviations over the seeds, and what went wrong."""
    which: list[tuple[str, Callable[[Row], str]]] = [
        *([("model", lambda row: row.model)] if grid.varies("models") else []),
        *([("data", lambda row: row.data)] if grid.varies("data") else []),
        *([("width", lambda row: f"×{row.width:g}")] if grid.varies("widths") else []),
        ("scheme", lambda row: row.scheme),
    ]
    seeds = ["seeds"] if grid.varies("seeds") else []
    lines = [
        [
            *(cell(group.first) for _, cell in which),
            *([str(len(group.rows))] if seeds else []),
            *_cells(group),
        ]
        for group in groups(rows)
    ]
    text = text_table((*(name for name, _ in which), *seeds, *_HEADER), lines, left=len(which))
    notes = [f"{grid.label(row.cell)}: {row.diverged}" for row in rows if row.diverged]
    return "\n".join([text, *([""] if notes else []), *notes])


_HEADER = (
    "test accuracy",
    "1-bit weights",
    "32-bit weights",
    "bytes",
    "bytes at 32 bits",
    "train s",
    "images/s",
    "composed images/s",
)


def _cells(group: Group) -> tuple[str, ...]:
    first, deviation = group.first, group.deviation("accuracy")
    return (
        f"{group.mean('accuracy'):.2%}{'' if deviation is None else f' ± {deviation:.2%}'}",
        f"{first.binary_weights:,}",
        f"{first.float_weights:,}",
        f"{first.packed_bytes:,}",
        f"{first.float_bytes:,}",
        f"{group.mean('train_seconds'):.1f}",
        _rate(group.mean("images_per_second")),
        _rate(group.mean("images_per_second_composed")),
    )


def _rate(images: float | None) -> str:
    return "-" if images is None else f"{images:,.0f}"
