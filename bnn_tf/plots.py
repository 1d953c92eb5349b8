"""Pictures of trainings and of benchmarks.

Each function returns a matplotlib `Figure` and needs no display; `figure.savefig(path)` saves it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Learning curves that colours tell apart.
MOST_CURVES = len(_COLOURS)
# Beyond so many classes, counts don't fit in the cells of a confusion matrix.
_MOST_COUNTS = 25

# For each panel and each series the mean and deviation at each place of the axis; a deviation of None isn't drawn.
Panels = dict[str, dict[str, dict[str, tuple[float, float | None]]]]


def learning_curves(histories: Mapping[str, Mapping[str, Sequence[float]]], title: str = "") -> Figure:
    """Loss and accuracy of several trainings over their epochs: the test set's as lines, the training set's dashed.

    Args:
        histories: for each label a history as `training.train` returns it, with "loss", "accuracy", "val_loss" and
            "val_accuracy".
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with two panels.

    Example:

    >>> learning_curves({"float": training.train(model, dataset).history}).savefig("curves.png")
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, metric in zip(panels, ("loss", "accuracy"), strict=True):
        for index, (label, history) in enumerate(histories.items()):
            colour = _COLOURS[index % len(_COLOURS)]
            epochs = range(1, len(history[f"val_{metric}"]) + 1)
            axes.plot(epochs, history[f"val_{metric}"], color=colour, label=label)
            axes.plot(epochs, history[metric], color=colour, linewidth=0.8, linestyle="--")
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    if histories:
        panels[1].legend(title="test (dashed: training)")
    figure.suptitle(title)
    return figure


def throughput(
    layers: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    ceilings: Mapping[str, float],
    title: str = "",
) -> Figure:
    """How many operations a second each engine does in each layer, as bars, below what the machine can do at most.

    Args:
        layers: names along the axis.
        series: for each label 10^9 operations a second in each layer, None where there is no figure.
        ceilings: for each label 10^9 operations a second, drawn as a line.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure`; its axis is logarithmic.

    Example:

    >>> throughput(["14x14x256"], {"float": [120.0], "xnor": [2000.0]}, {"popcount": 2500.0}).savefig("bars.png")
    """
    figure = Figure(figsize=(max(6.0, 0.8 * len(layers) + 2), 6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(series))
    for index, (label, rates) in enumerate(series.items()):
        places = [place + (index - (len(series) - 1) / 2) * width for place in range(len(layers))]
        known = [(place, rate) for place, rate in zip(places, rates, strict=True) if rate]
        axes.bar(
            [p for p, _ in known], [r for _, r in known], width, label=label, color=_COLOURS[index % len(_COLOURS)]
        )
    for index, (label, rate) in enumerate(ceilings.items()):
        axes.axhline(rate, color="0.3", linestyle=("--", ":")[index % 2], label=label)
    axes.set_yscale("log")
    lowest = min((rate for rates in series.values() for rate in rates if rate), default=1.0)
    axes.set_ylim(bottom=lowest / 2)
    axes.set_ylabel("10⁹ operations a second")
    axes.set_xticks(range(len(layers)), layers, rotation=35, ha="right", fontsize="small")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize="small", ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.14))
    figure.suptitle(title)
    return figure


def growth(panels: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]], title: str = "") -> Figure:
    """How the time of an op grows with its sizes, both axes logarithmic.

    Args:
        panels: for each label of what grows its values, and for each op its seconds at each of them.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each, two in a row.

    Example:

    >>> growth({"channels": ([64, 128], {"float": [1e-4, 4e-4], "xnor": [1e-5, 2e-5]})}).savefig("growth.png")
    """
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 4.2 * max(1, rows)), layout="constrained")
    grid = figure.subplots(max(1, rows), 2, squeeze=False).ravel()
    for axes, (label, (values, ops)) in zip(grid, panels.items(), strict=False):
        for index, (name, seconds) in enumerate(ops.items()):
            colour = _COLOURS[index % len(_COLOURS)]
            axes.plot(values, [1e6 * s for s in seconds], marker="o", markersize=4, color=colour, label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xlabel(label)
        axes.set_ylabel("µs")
        axes.grid(alpha=0.3)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if panels:
        grid[0].legend()
    figure.suptitle(title)
    return figure


def accuracies(panels: Panels, title: str = "", *, joined: bool = False) -> Figure:
    """Accuracies of several trainings, with their deviations over seeds as error bars.

    Args:
        panels: for each panel (a data set, say), each series (a scheme) and each place of the axis (a network or a
            width) the mean and the standard deviation, None where there is none.
        title: of the picture.
        joined: whether lines join the places: where these are steps of one quantity.

    Returns:
        A `matplotlib.figure.Figure` with the panels side by side.

    Example:

    >>> accuracies({"digits": {"bwn": {"×1": (0.98, 0.002), "×2": (0.99, 0.001)}}}, joined=True).savefig("accuracy.png")
    """
    places = {name: list(dict.fromkeys(p for one in series.values() for p in one)) for name, series in panels.items()}
    widths = [max(4.0, 0.9 * len(names) + 1.5) for names in places.values()]
    figure = Figure(figsize=(max(6.0, sum(widths)), 5), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    for axes, (panel, series) in zip(grid, panels.items(), strict=True):
        for name, values in series.items():
            index = names.index(name)
            # Beside each other, so that no error bar hides another.
            offset = (0.2 if joined else 0.5) * ((index + 0.5) / len(names) - 0.5)
            axes.errorbar(
                [places[panel].index(place) + offset for place in values],
                [100 * mean for mean, _ in values.values()],
                [100 * (deviation or 0.0) for _, deviation in values.values()],
                color=_COLOURS[index % len(_COLOURS)],
                marker=_MARKERS[index // len(_COLOURS) % len(_MARKERS)],
                linestyle="-" if joined else "none",
                capsize=3,
                label=name,
            )
        axes.set_xticks(range(len(places[panel])), places[panel], rotation=0 if joined else 20)
        axes.set_xlim(-0.5, len(places[panel]) - 0.5)
        axes.set_title(panel, fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    grid[0].set_ylabel("test accuracy, %")
    entries = {name: handle for axes in grid for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=min(4, len(entries)))
    figure.suptitle(title)
    return figure


def confusion_matrix(matrix: npt.ArrayLike, class_names: Sequence[str], title: str = "") -> Figure:
    """Which class is taken for which: shades show shares of the images of a class, of 1 % too; numbers, up to 25
    classes, show counts.

    Args:
        matrix: int `[classes, classes]`: the class in the rows, the prediction in the columns.
        class_names: in their order.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` that grows with the number of classes; every class has its name.

    Example:

    >>> confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"]).savefig("confusion.png")
    """
    counts = np.asarray(matrix, np.int64)
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(16.0, max(4.5, 0.55 * classes))
    figure = Figure(figsize=(side + 1.8, side + 0.4), layout="constrained")
    axes = figure.subplots()
    # The root makes single mistakes visible beside the diagonal.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    # A line of text takes no more than its row: a point is 1/72 inch.
    size = min(9.0, 0.75 * 72 * side / classes)
    for set_ticks, rotation in ((axes.set_xticks, 90), (axes.set_yticks, 0)):
        set_ticks(range(classes), list(class_names), rotation=rotation, fontsize=size)
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
    figure.suptitle(title)
    return figure


def _write_counts(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], size: float) -> None:
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.4 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=size)
