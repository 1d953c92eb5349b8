"""What the kernels of layers look like, and how large their scales are."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError
from bnn_tf.plots.mosaics import colours, grid
from bnn_tf.plots.style import SCALE, colour, new_figure, panels, plain, soft_grid, without_ticks
from bnn_tf.plots.weights import Floats, Kernel, chosen_kernels

# Of a model, where no layers are named.
_MOST_LAYERS = 4


def kernels(source: Any, layers: str | Sequence[str] | None = None, *, most: int = 64, title: str = "") -> Figure:
    """The kernels of a layer, or of several layers of a model: the latent weights, and beside them their signs.

    Kernels of three input channels are shown in colour, where grey is zero; of one, as a grid of filters; of more, the
    filters stand below each other and the input channels side by side. A dense layer's weights are single pixels.

    Args:
        source: a built model, or one layer: binary, float or frozen (which has no latent weights).
        layers: names of the model's layers; by default its first four convolutions or, without any, dense layers.
        most: at most so many kernels (pairs of filter and input channel, unless in colour) of each layer.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a row for each layer.

    Raises:
        ArgumentError: a ValueError, for an unknown layer, one without kernel, or a model that isn't built.

    Example:

    >>> kernels(bnn_tf.models.lenet("bwn"), ["conv1", "conv2"], most=36).savefig("kernels.png")
    """
    if most < 1:
        raise ArgumentError(f"kernels: `most` must be at least 1. Got most={most}.")
    found = chosen_kernels("kernels", source, layers)
    if layers is None:
        found = ([kernel for kernel in found if not kernel.dense] or found)[:_MOST_LAYERS]
    columns = max(len(_panels(kernel)) for kernel in found)
    figure = new_figure(4.6 * columns, 4.0 * len(found) + (0.4 if title else 0), title)
    places = figure.add_gridspec(len(found), columns)
    for row, kernel in enumerate(found):
        for column, (name, values, binary) in enumerate(_panels(kernel)):
            axes = figure.add_subplot(places[row, column])
            axes.set_title(f"{plain(kernel.layer)}: {name}", fontsize="medium")
            _draw(figure, axes, values, most, binary=binary, dense=kernel.dense)
    return figure


def _panels(kernel: Kernel) -> list[tuple[str, Floats, bool]]:
    """Title, values and whether they are signs, of each picture of a kernel."""
    found = []
    if kernel.weights is not None:
        found.append(("weights" if kernel.signs is None else "latent weights", kernel.weights, False))
    if kernel.signs is not None:
        found.append(("binary weights", kernel.signs, True))
    return found


def _draw(figure: Figure, axes: Axes, values: Floats, most: int, *, binary: bool, dense: bool) -> None:
    shown, across, down = _mosaic(values, most, "unit" if dense else "filter", "input" if dense else "input channel")
    without_ticks(axes)
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    if shown.ndim == 3:
        axes.imshow(shown, interpolation="nearest")
        return
    limit = float(np.abs(values).max()) or 1.0
    scale = matplotlib.colormaps[SCALE]
    # A sign has one of the scale's two ends.
    colormap = ListedColormap([scale(0.0), scale(1.0)]) if binary else scale
    picture = axes.imshow(shown, cmap=colormap, vmin=-limit, vmax=limit, interpolation="nearest")
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, ticks=[-0.5, 0.5] if binary else None)
    if binary:
        bar.ax.set_yticklabels(["−1", "+1"])
    bar.set_label("sign" if binary else "weight")


def _mosaic(values: Floats, most: int, filters: str, inputs: str) -> tuple[Floats, str, str]:
    """The picture of a kernel, and what its axes say."""
    _, _, depth, count = values.shape
    if depth in (1, 3):
        tiles = np.moveaxis(values, 3, 0)[:most]
        picture = colours(tiles, float(np.abs(values).max())) if depth == 3 else tiles[..., 0]
        return grid(picture), f"{_some(filters, len(tiles), count)}, row by row", ""
    columns = min(depth, max(1, round(most**0.5)))
    rows = min(count, max(1, most // columns))
    columns = min(depth, max(1, most // rows))
    tiles = values[:, :, :columns, :rows].transpose(3, 2, 0, 1).reshape(rows * columns, *values.shape[:2])
    return grid(tiles, columns), _some(inputs, columns, depth), _some(filters, rows, count)


def _some(what: str, shown: int, count: int) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if shown == count else f"{what}s 1 to {shown} of {count}"


def scales(source: Any, layers: str | Sequence[str] | None = None, *, title: str = "") -> Figure:
    """The scale alpha of each filter of binary layers.

    Args:
        source: a built model, or one binary layer, trained or frozen.
        layers: names of binary layers of the model; by default all.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each layer.

    Raises:
        ArgumentError: a ValueError, where there is no binary layer, or a layer that isn't one is named.

    Example:

    >>> scales(bnn_tf.models.lenet("bwn")).savefig("alpha.png")
    """
    found = chosen_kernels("scales", source, layers, "no binary weights, so no scale", lambda k: k.alpha is not None)
    figure, places = panels(len(found), 3, (4, 3.2), title)
    for axes, kernel in zip(places, found, strict=True):
        alpha = kernel.alpha
        assert alpha is not None
        axes.plot(np.arange(1, len(alpha) + 1), alpha, color=colour(1), marker="o", markersize=3, linestyle="none")
        axes.axhline(alpha.mean(), color=colour(5), linestyle="--", label=f"mean {alpha.mean():.3g}")
        axes.set_ylim(0, 1.15 * float(alpha.max()) or 1.0)
        axes.set_title(plain(kernel.layer), fontsize="medium")
        axes.set_xlabel("unit" if kernel.dense else "filter")
        axes.set_ylabel("scale α")
        axes.legend(fontsize="small", loc="lower right")
        soft_grid(axes)
    return figure
