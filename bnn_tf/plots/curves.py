"""How trainings went, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError
from bnn_tf.plots.style import (
    COLOURS,
    colour,
    legend_below,
    line,
    numbers,
    panels,
    percent_axis,
    plain,
    require,
    series,
    soft_grid,
    whole_numbers,
)

# Learning curves that colours tell apart.
MOST_CURVES = len(COLOURS)
_LINES = "test (dashed: training)"
_LABELS = {"loss": "loss (cross-entropy, nats)", "accuracy": "accuracy"}
# Up to so many markers a line.
_MOST_MARKERS = 12


def learning_curves(histories: Mapping[str, Any], title: str = "") -> Figure:
    """Loss and accuracy of several trainings over their epochs: the test set's as lines, the training set's dashed.

    Args:
        histories: for each label what `training.train` returned, or its history: "loss", "accuracy", "val_loss" and
            "val_accuracy", a value an epoch.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with two panels.

    Raises:
        ArgumentError: a ValueError, for no history, or one that lacks a figure.

    Example:

    >>> learning_curves({"float": training.train(model, dataset)}).savefig("curves.png")
    """
    require("learning_curves", "histories", histories)
    figure, (loss, accuracy) = panels(2, 2, (5, 4), title)
    _draw(loss, accuracy, histories, list(histories))
    accuracy.legend(title=_LINES)
    return figure


def learning_curves_by_row(rows: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """`learning_curves` of several groups, one below the other; what has the same label has the same colour.

    Args:
        rows: for each group (a network, say) its histories, by their labels (its schemes): see `learning_curves`.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with two panels a row, and one legend under them.

    Raises:
        ArgumentError: a ValueError, for no group, one without a history, or a history that lacks a figure.

    Example:

    >>> rows = {"digits": {"float": training.train(model, dataset), "bwn": training.train(twin, dataset)}}
    >>> learning_curves_by_row(rows).savefig("curves.png")
    """
    require("learning_curves_by_row", "rows", rows)
    labels = list(dict.fromkeys(label for histories in rows.values() for label in histories))
    figure, grid = panels(2 * len(rows), 2, (5, 3.4), title)
    for (name, histories), loss, accuracy in zip(rows.items(), grid[::2], grid[1::2], strict=True):
        require("learning_curves_by_row", f"rows[{name!r}]", histories)
        _draw(loss, accuracy, histories, labels)
        for axes in (loss, accuracy):
            axes.set_title(plain(name), fontsize="medium")
    legend_below(figure, title=_LINES)
    return figure


def _draw(loss: Axes, accuracy: Axes, histories: Mapping[str, Any], labels: Sequence[str]) -> None:
    """A curve for each history, with the colour of its place in `labels`."""
    for label, training in histories.items():
        index = labels.index(label)
        history = _history(label, training)
        epochs = np.arange(1, len(history["loss"]) + 1)
        every = max(1, len(epochs) // _MOST_MARKERS)
        for axes, metric in ((loss, "loss"), (accuracy, "accuracy")):
            axes.plot(epochs, history[f"val_{metric}"], markevery=every, label=plain(label), **series(index))
            axes.plot(epochs, history[metric], color=colour(index), linewidth=0.8, linestyle="--")
    for axes, metric in ((loss, "loss"), (accuracy, "accuracy")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(_LABELS[metric])
        whole_numbers(axes.xaxis)
        soft_grid(axes)
    percent_axis(accuracy.yaxis)


def _history(label: str, training: Any) -> dict[str, npt.NDArray[np.float64]]:
    history = getattr(training, "history", training)
    found = {}
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        if not isinstance(history, Mapping) or name not in history:
            given = ", ".join(map(str, history)) if isinstance(history, Mapping) else repr(history)[:80]
            raise ArgumentError(
                f'learning_curves: the history {label!r} must have "loss", "accuracy", "val_loss" and "val_accuracy", '
                f"as training.train makes it. It lacks {name!r} and has {given or 'nothing'}."
            )
        found[name] = numbers("learning_curves", f"{name!r} of {label!r}", history[name])
    if len({len(values) for values in found.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in found.items())
        raise ArgumentError(f"learning_curves: the history {label!r} has figures of different lengths: {lengths}.")
    return found


def sign_flips(flips: Mapping[str, Mapping[int, float] | Sequence[float]], *, title: str = "") -> Figure:
    """The share of binary weights whose sign each epoch changed.

    Args:
        flips: for each layer (or network) the share, 0..1, of each epoch: `training.LatentWeights.flips`; or a list of
            them from epoch 1 on, such as "flipped" in a history.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure`; the axis is logarithmic as far as shares above 0 go.

    Raises:
        ArgumentError: a ValueError, where there is nothing to draw.

    Example:

    >>> weights = training.LatentWeights()
    >>> training.train(model, dataset, callbacks=[weights])
    >>> sign_flips(weights.flips).savefig("flips.png")
    """
    require("sign_flips", "flips", flips)
    figure, (axes,) = panels(1, 1, (7, 4), title)
    lowest = 1.0
    for index, (label, of) in enumerate(flips.items()):
        require("sign_flips", f"flips[{label!r}]", of)
        by_epoch = of if isinstance(of, Mapping) else dict(enumerate(of, 1))
        shares = numbers("sign_flips", f"what belongs to {label!r}", by_epoch.values())
        lowest = min([lowest, *shares[shares > 0]])
        axes.plot(list(by_epoch), shares, label=plain(label), **series(index, linestyle=line(index)))
    # Rates of change lie decades apart, and an epoch that flips nothing has a place as well.
    axes.set_yscale("symlog", linthresh=lowest)
    axes.set_ylim(bottom=0)
    percent_axis(axes.yaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel("signs changed in the epoch")
    whole_numbers(axes.xaxis)
    soft_grid(axes)
    axes.legend()
    return figure
