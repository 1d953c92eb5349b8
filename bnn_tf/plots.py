"""Pictures of trainings and of benchmarks.

Each function returns a matplotlib `Figure` and needs no display; `figure.savefig(path)` saves it.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")


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
