"""Trained networks beside each other: how good they are, and what that costs."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bnn_tf.errors import ArgumentError
from bnn_tf.plots.style import (
    beside,
    legend_below,
    line,
    new_figure,
    percent_axis,
    plain,
    require,
    series,
    soft_grid,
)

# Inches. On a page wider pictures shrink until their labels can't be read.
_WIDEST = 16

# For each panel and each series the mean and deviation at each place of the axis; a deviation of None isn't drawn.
Panels = dict[str, dict[str, dict[str, tuple[float, float | None]]]]


def accuracies(panels: Panels, title: str = "", *, joined: bool = False) -> Figure:
    """Accuracies of several trainings, with their deviations over seeds as error bars.

    Args:
        panels: for each panel (a data set, say), each series (a scheme) and each place of the axis (a network or a
            width) the mean and the standard deviation, None where there is none.
        title: of the picture.
        joined: whether lines join the places: where these are steps of one quantity.

    Returns:
        A `matplotlib.figure.Figure` with the panels side by side, or one below the other where that were too wide.

    Raises:
        ArgumentError: a ValueError, where there is nothing to draw.

    Example:

    >>> accuracies({"digits": {"bwn": {"×1": (0.98, 0.002), "×2": (0.99, 0.001)}}}, joined=True).savefig("accuracy.png")
    """
    require("accuracies", "panels", panels)
    places = {name: list(dict.fromkeys(p for one in lines.values() for p in one)) for name, lines in panels.items()}
    widths = [max(4.0, 0.9 * len(names) + 1.5) for names in places.values()]
    if sum(widths) > _WIDEST:
        figure = new_figure(max(widths), 3.5 * len(panels), title)
        grid = figure.subplots(len(panels), 1)
    else:
        figure = new_figure(max(6.0, sum(widths)), 5, title)
        grid = figure.subplots(1, len(panels), width_ratios=widths)
    grid = np.atleast_1d(grid)
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for axes, (panel, lines) in zip(grid, panels.items(), strict=True):
        axes.set_ylabel("test accuracy, %" if axes.get_subplotspec().is_first_col() else "")
        for name, values in lines.items():
            index = names.index(name)
            offset = beside(index, len(names), 0.2 if joined else 0.5)
            axes.errorbar(
                [places[panel].index(place) + offset for place in values],
                [100 * mean for mean, _ in values.values()],
                [np.nan if deviation is None else 100 * deviation for _, deviation in values.values()],
                capsize=3,
                label=plain(name),
                **series(index, 6, line(index) if joined else "none"),
            )
        axes.set_xticks(
            range(len(places[panel])), [plain(place) for place in places[panel]], rotation=0 if joined else 20
        )
        axes.set_xlim(-0.5, len(places[panel]) - 0.5)
        axes.set_title(plain(panel), fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    if len(names) > 1:
        legend_below(figure)
    return figure


# More labels beside points than these write over each other; the legend names the others.
_MOST_LABELS = 12

# What accuracy is set against: the figure, its axis, and what makes the axis' unit of it.
_COSTS = {
    "packed_bytes": ("packed size, bytes", 1.0),
    "latency": ("time an image, ms", 1e3),
}


def trade_off(networks: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """Accuracy against packed size, and against the time an image takes; both axes of cost are logarithmic.

    A line joins the Pareto front: the networks to which no other one is at least as good in both, and better in one.
    Where there are more than twelve networks, those of the front alone have their labels beside them; of "LeNet, ×2,
    bwn", one of several in the group "LeNet, bwn", only "×2", as the legend tells the rest. Points that all but cover
    each other share a label that both would have. Networks of different panels, which were tested on different images,
    say, are not set against each other.

    Args:
        networks: for each label "accuracy" (0..1) and "packed_bytes", "latency" (seconds an image) or both, None where
            it isn't known; with "group" (a scheme, say), networks of one group share colour and marker; with "panel"
            (a data set, say), those of one panel share axes. `training.Comparison.networks` makes it.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure`: a row for each panel, a column for each cost that any network has.

    Raises:
        ArgumentError: a ValueError, for no network, an accuracy outside 0..1, or costs that aren't positive.

    Example:

    >>> networks = {"float": {"accuracy": 0.989, "packed_bytes": 1_302_056}}
    >>> networks["bwn"] = {"accuracy": 0.988, "packed_bytes": 105_256}
    >>> trade_off(networks).savefig("trade_off.png")
    """
    require("trade_off", "networks", networks)
    for label, network in networks.items():
        _check_network(label, network)
    costs = [cost for cost in _COSTS if any(network.get(cost) is not None for network in networks.values())]
    if not costs:
        raise ArgumentError(f"trade_off: no network has a cost. Give them {' or '.join(map(repr, _COSTS))}.")
    groups = list(dict.fromkeys(network.get("group", label) for label, network in networks.items()))
    names = list(dict.fromkeys(network.get("panel", "") for network in networks.values()))
    figure = new_figure(6 * len(costs), (4.6 if len(names) == 1 else 3.4) * len(names) + (0.4 if title else 0), title)
    grid = figure.subplots(len(names), len(costs), squeeze=False)
    for (panel, cost), axes in zip(product(names, costs), grid.flat, strict=True):
        own = {label: network for label, network in networks.items() if network.get("panel", "") == panel}
        known = {label: network for label, network in own.items() if network.get(cost) is not None}
        if known:
            _draw_trade_off(axes, known, cost, groups)
            axes.set_title(plain(panel), fontsize="medium")
        else:
            axes.remove()
    legend_below(figure)
    return figure


def _check_network(label: str, network: Mapping[str, Any]) -> None:
    accuracy = network.get("accuracy")
    if not isinstance(accuracy, Real) or not 0 <= float(accuracy) <= 1:
        raise ArgumentError(f'trade_off: "accuracy" of {label!r} must lie in 0..1. Got {accuracy!r}.')
    for cost in _COSTS:
        value = network.get(cost)
        if value is not None and not (isinstance(value, Real) and 0 < float(value) < float("inf")):
            raise ArgumentError(f'trade_off: "{cost}" of {label!r} must be positive, or None. Got {value!r}.')


def _draw_trade_off(axes: Axes, networks: Mapping[str, Mapping[str, Any]], cost: str, groups: list[str]) -> None:
    label, factor = _COSTS[cost]
    points = {name: (factor * float(of[cost]), float(of["accuracy"])) for name, of in networks.items()}
    front = pareto_front(list(points.values()))
    axes.plot(*zip(*front, strict=True), color="0.5", linestyle="--", drawstyle="steps-post", label="Pareto front")
    for index, group in enumerate(groups):
        own = [points[name] for name, of in networks.items() if of.get("group", name) == group]
        if own:
            axes.plot(*zip(*own, strict=True), label=plain(group), **series(index, 8, "none"))
    sizes = Counter(str(of.get("group", name)) for name, of in networks.items())
    places = list(points.values())
    written: dict[str, list[tuple[float, float]]] = {}
    for name, place in points.items():
        if len(points) > _MOST_LABELS and place not in front:
            continue
        group, panel = str(networks[name].get("group", name)), str(networks[name].get("panel", ""))
        told = panel.split(", ") + (group.split(", ") if sizes[group] > 1 else [])
        text = plain(_beside(name, told))
        same = written.setdefault(text, [])
        if not _is_covered(place, same, places):
            height = -11 if _is_below(place, places) else 5
            axes.annotate(text, place, xytext=(6, height), textcoords="offset points", fontsize="small")
        same.append(place)
    axes.set_xscale("log")
    # Labels stand to the right of their points.
    axes.margins(x=0.18, y=0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _bytes(value) if factor == 1 else f"{value:g}"))
    axes.xaxis.set_major_locator(LogLocator(subs=_ticks([cost for cost, _ in points.values()])))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy")
    percent_axis(axes.yaxis)
    soft_grid(axes)


def _beside(name: str, told: list[str]) -> str:
    """What stands beside a point: of "LeNet, ×2, bwn", where legend and title tell "LeNet" and "bwn", "×2"."""
    return ", ".join(part for part in name.split(", ") if part not in told) or name


def _ticks(costs: list[float]) -> tuple[float, ...]:
    """Where ticks are in a decade: less than one needs more to show where one is, and in many there is no room."""
    width = max(costs) / min(costs)
    return (1, 1.5, 2, 3, 4, 6, 8) if width < 8 else (1, 2, 5) if width < 200 else (1,)


def _way(
    place: tuple[float, float], others: list[tuple[float, float]], places: list[tuple[float, float]]
) -> np.ndarray:
    """How far to the right of a point others stand, and how far above, in parts of what all places span."""
    drawn = np.array([(np.log(cost), value) for cost, value in (place, *others)])
    span = np.ptp([(np.log(cost), value) for cost, value in places], axis=0)
    return ((drawn[1:] - drawn[0]) / np.where(span > 0, span, 1)).T


def _is_below(place: tuple[float, float], places: list[tuple[float, float]]) -> bool:
    """Whether a neighbour stands higher: where it does, labels above both would write over each other."""
    across, up = _way(place, places, places)
    higher = (up > 0) | (up == 0) & (across < 0)  # of equal ones, the left one is
    return bool(np.any((np.abs(across) <= 0.2) & higher & (up <= 0.1)))


def _is_covered(
    place: tuple[float, float], others: list[tuple[float, float]], places: list[tuple[float, float]]
) -> bool:
    """Whether one of the others lies so near that a label both share serves both."""
    across, up = np.abs(_way(place, others, places))
    return bool(np.any((across <= 0.03) & (up <= 0.05)))


def pareto_front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, value) pairs to which no other is at least as good in both and better in one, by rising cost.

    Example:

    >>> pareto_front([(1, 0.5), (2, 0.4), (3, 0.9)])
    [(1, 0.5), (3, 0.9)]
    """
    front: list[tuple[float, float]] = []
    for cost, value in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or value > front[-1][1]:
            front.append((cost, value))
    return front


def _bytes(value: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
