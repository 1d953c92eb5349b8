"""How fast layers are, beside other engines and below what the machine can do."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.plots.style import beside, colour, hatch, line, new_figure, plain, require, series, soft_grid
from bnn_tf.plots.style import panels as new_panels


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

    Raises:
        ArgumentError: a ValueError, where there is nothing to draw, or a series isn't as long as `layers`.

    Example:

    >>> throughput(["14x14x256"], {"float": [120.0], "xnor": [2000.0]}, {"popcount": 2500.0}).savefig("bars.png")
    """
    require("throughput", "layers", layers)
    require("throughput", "series", series)
    for label, rates in series.items():
        if len(rates) != len(layers):
            raise ArgumentError(f"throughput: {label!r} has {len(rates)} figures for {len(layers)} layers.")
    figure = new_figure(max(6.0, 0.8 * len(layers) + 2), 6, title)
    axes = figure.subplots()
    width = 0.8 / len(series)
    for index, (label, rates) in enumerate(series.items()):
        places = [place + beside(index, len(series)) for place in range(len(layers))]
        known = [(place, rate) for place, rate in zip(places, rates, strict=True) if rate]
        style: dict[str, Any] = {"color": colour(index), "hatch": hatch(index), "edgecolor": "white", "linewidth": 0.3}
        axes.bar([p for p, _ in known], [r for _, r in known], width, label=plain(label), **style)
    for index, (label, rate) in enumerate(ceilings.items()):
        axes.axhline(rate, color="0.3", linestyle=line(index + 1), label=plain(label))
    axes.set_yscale("log")
    lowest = min((rate for rates in series.values() for rate in rates if rate), default=1.0)
    axes.set_ylim(bottom=lowest / 2)
    axes.set_ylabel("10⁹ operations a second")
    axes.set_xlabel("layer")
    axes.set_xticks(range(len(layers)), [plain(layer) for layer in layers], rotation=35, ha="right", fontsize="small")
    soft_grid(axes, "y")
    figure.legend(fontsize="small", ncols=4, loc="outside upper center")
    return figure


def benchmark_bars(
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, str] | None = None,
    ceilings: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """The rows of a benchmark as bars of operations a second; the ceilings of the machine are lines above them.

    Args:
        rows: as `python -m benchmarks` writes them: "name", "operations" and "figures", which has a `bench.Figure`, or
            a mapping with "seconds", for each engine that could do the layer.
        names: for each engine to be drawn what it is called; by default all, by their own names.
        ceilings: for each label 10^9 operations a second that the machine can do at most.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure`; its axis is logarithmic.

    Raises:
        ArgumentError: a ValueError, for no row, or an engine that no row has.

    Example:

    >>> row = {"name": "14x14x256", "operations": 231e6, "figures": {"xnor": {"seconds": 1.1e-4}}}
    >>> benchmark_bars([row], ceilings={"popcount": 2522.0}).savefig("bars.png")
    """
    require("benchmark_bars", "rows", rows)
    engines = list(dict.fromkeys(engine for row in rows for engine in row["figures"]))
    names = {engine: engine for engine in engines} if names is None else names
    for engine in names:
        if engine not in engines:
            raise unknown_name("engine", engine, engines)
    series = {label: [_rate(row, engine) for row in rows] for engine, label in names.items()}
    return throughput([row["name"] for row in rows], series, ceilings or {}, title)


def _rate(row: Mapping[str, Any], engine: str) -> float | None:
    figure = row["figures"].get(engine)
    if figure is None:
        return None
    seconds = figure["seconds"] if isinstance(figure, Mapping) else figure.seconds
    return 1e-9 * row["operations"] / seconds if seconds > 0 else None


def growth(panels: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]], title: str = "") -> Figure:
    """How the time of an op grows with its sizes, both axes logarithmic.

    Args:
        panels: for each label of what grows its values, and for each op its seconds at each of them.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each, two in a row.

    Raises:
        ArgumentError: a ValueError, where there is nothing to draw.

    Example:

    >>> growth({"channels": ([64, 128], {"float": [1e-4, 4e-4], "xnor": [1e-5, 2e-5]})}).savefig("growth.png")
    """
    require("growth", "panels", panels)
    figure, grid = new_panels(len(panels), 2, (5.5, 4.2), title)
    for axes, (label, (values, ops)) in zip(grid, panels.items(), strict=True):
        for index, (name, seconds) in enumerate(ops.items()):
            style = series(index, linestyle=line(index))
            axes.plot(values, [1e6 * s for s in seconds], label=plain(name), **style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xlabel(plain(label))
        axes.set_ylabel("time, µs")
        soft_grid(axes)
    grid[0].legend()
    return figure
