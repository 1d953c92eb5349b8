"""How well each class is told from the others."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError
from bnn_tf.plots.style import (
    beside,
    legend_below,
    new_figure,
    numbers,
    panels,
    percent_axis,
    plain,
    require,
    series,
    soft_grid,
)

# Beyond so many classes, counts don't fit in the cells of a confusion matrix.
_MOST_COUNTS = 25


def confusion_matrix(matrix: npt.ArrayLike, class_names: Sequence[str], title: str = "") -> Figure:
    """Which class is taken for which: shades show shares of the images of a class, of 1 % too; numbers, up to 25
    classes, show counts.

    Args:
        matrix: int `[classes, classes]`: the class in the rows, the prediction in the columns.
        class_names: in their order.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` that grows with the number of classes; every class has its name.

    Raises:
        ArgumentError: a ValueError, for a matrix that isn't square, has negative entries or doesn't fit the names.

    Example:

    >>> confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"]).savefig("confusion.png")
    """
    counts = _checked_counts(matrix, class_names)
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(16.0, max(4.5, 0.55 * classes))
    figure = new_figure(side + 1.8, side + 0.4, title)
    axes = figure.subplots()
    # The root makes single mistakes visible beside the diagonal.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    # A line of text takes no more than its row: a point is 1/72 inch.
    size = min(9.0, 0.75 * 72 * side / classes)
    for set_ticks, rotation in ((axes.set_xticks, 90), (axes.set_yticks, 0)):
        set_ticks(range(classes), [plain(name) for name in class_names], rotation=rotation, fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("class")
    if classes <= _MOST_COUNTS:
        _write_counts(axes, counts, shares, size)
    else:  # lines to follow from a cell to its names
        axes.set_xticks(np.arange(4.5, classes, 5), minor=True)
        axes.set_yticks(np.arange(4.5, classes, 5), minor=True)
        axes.grid(which="minor", color="0.85", linewidth=0.5)
        axes.tick_params(which="minor", length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
    bar.set_label("share of the class")
    return figure


def _checked_counts(matrix: npt.ArrayLike, class_names: Sequence[str]) -> npt.NDArray[np.int64]:
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape != (len(class_names),) * 2 or not counts.size:
        raise ArgumentError(
            "confusion_matrix: expected a row and a column for each class. Got a matrix of the shape "
            f"{counts.shape} and {len(class_names)} class names."
        )
    if not np.issubdtype(counts.dtype, np.number) or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ArgumentError("confusion_matrix: counts of images must be whole numbers from 0. Got others.")
    return counts.astype(np.int64)


def _write_counts(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], size: float) -> None:
    for row, column in np.argwhere(counts):
        shade = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=size)


def class_scores(
    scores: Mapping[str, Sequence[float] | npt.NDArray[np.float64]],
    class_names: Sequence[str],
    *,
    what: str = "score",
    title: str = "",
) -> Figure:
    """A figure of each class, of one model or several side by side.

    Args:
        scores: for each label a share, 0..1, of each class, NaN or None where there is none: `metrics.score`,
            `metrics.recall` and so on of what `training.report` returns.
        class_names: in their order.
        what: which figure it is, for the axis.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a line for each class.

    Raises:
        ArgumentError: a ValueError, for shares outside 0..1, or more or fewer of them than there are classes.

    Example:

    >>> report = training.report(model, dataset)
    >>> class_scores({"bwn": report.metrics.recall}, report.class_names, what="recall").savefig("recall.png")
    """
    require("class_scores", "scores", scores)
    require("class_scores", "class_names", class_names)
    figure, (axes,) = panels(1, 1, (7, 1.4 + 0.26 * len(class_names)), title)
    places = np.arange(len(class_names))
    for index, (label, values) in enumerate(scores.items()):
        shares = numbers("class_scores", f"what belongs to {label!r}", values)
        if len(shares) != len(class_names):
            raise ArgumentError(
                f"class_scores: {label!r} has {len(shares)} figures for {len(class_names)} classes. Give one for each."
            )
        if ((shares < 0) | (shares > 1)).any():
            raise ArgumentError(f"class_scores: the figures of {label!r} must lie in 0..1. Got {shares.tolist()}.")
        offset = beside(index, len(scores), 0.6)
        axes.plot(shares, places + offset, alpha=0.85, label=plain(label), **series(index, 6, "none"))
    axes.set_yticks(places, [plain(name) for name in class_names], fontsize="small")
    axes.set_ylim(len(class_names) - 0.4, -0.6)
    axes.set_xlabel(plain(what))
    axes.set_ylabel("class")
    percent_axis(axes.xaxis)
    soft_grid(axes)
    legend_below(figure)
    return figure
