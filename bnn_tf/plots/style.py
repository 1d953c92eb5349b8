"""How the pictures look: told apart by colour-blind readers and in print, by shapes as well as by colours."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bnn_tf.errors import ArgumentError

# Okabe and Ito's colours, save the yellow, which paper swallows.
COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)))
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
# Its lightness rises all along, so that it stays a scale in print; dark is negative, light is positive.
SCALE = "cividis"


def colour(index: int) -> str:
    """The colour of the series with this index."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Its marker; with the colour it makes seventy different pairs."""
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> Any:
    """Its line style."""
    return LINES[index % len(LINES)]


def hatch(index: int) -> str:
    """What fills its bars."""
    return HATCHES[index % len(HATCHES)]


def series(index: int, size: float = 4, linestyle: Any = "-") -> dict[str, Any]:
    """How the points of the series with this index are drawn: their markers, of that size, and what joins them."""
    return {"color": colour(index), "marker": marker(index), "markersize": size, "linestyle": linestyle}


def beside(index: int, count: int, width: float = 0.8) -> float:
    """How far from its place the one of `count` series stands, so that none hides another; all take `width`."""
    return width * ((index + 0.5) / count - 0.5)


def plain(text: object) -> str:
    """Text that matplotlib shows unchanged: dollars begin no formula, an underscore keeps its place in the legend."""
    escaped = str(text).replace("$", r"\$")
    # Legends leave out what begins with an underscore.
    return f"\u2009{escaped}" if escaped.startswith("_") else escaped


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(plain(title))
    return figure


def panels(count: int, columns: int, size: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes, `columns` in a row, each of `size` inches; none is left empty."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(size[0] * columns, size[1] * rows + (0.4 if title else 0), title)
    grid = figure.add_gridspec(rows, columns)
    return figure, [figure.add_subplot(grid[divmod(index, columns)]) for index in range(count)]


def percent_axis(axis: Any) -> None:
    """Shows shares of 1 as percent, with as many digits as it takes."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g} %"))


def whole_numbers(axis: Any) -> None:
    """Puts ticks at integers only."""
    axis.set_major_locator(MaxNLocator(integer=True))


def soft_grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Grid lines behind what is drawn."""
    axes.grid(axis=axis, alpha=0.3)
    axes.set_axisbelow(True)


def without_ticks(axes: Axes) -> None:
    """For pictures, whose places mean nothing."""
    axes.set_xticks([])
    axes.set_yticks([])


def legend_below(figure: Figure, columns: int = 4, title: str = "") -> None:
    """One legend for all axes, under them, where it hides nothing; of equal names the first counts."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=min(columns, len(found)),
        fontsize="small",
        title=title or None,
    )


def require(function: str, argument: str, values: Mapping[Any, Any] | Sequence[Any]) -> None:
    """Raises an ArgumentError where there is nothing to draw."""
    if not len(values):
        raise ArgumentError(f"{function}: `{argument}` is empty, so there is nothing to draw. Give at least one entry.")


def numbers(function: str, name: str, values: Any) -> npt.NDArray[np.float64]:
    """One-dimensional figures as float64; None becomes NaN.

    Raises:
        ArgumentError: a ValueError, for anything else.
    """
    try:
        found = np.asarray([np.nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError):
        found = np.zeros((0, 0))
    if found.ndim != 1:
        raise ArgumentError(f"{function}: {name} must be a list of numbers. Got {values!r:.80}.")
    return found
