"""How latent weights are distributed while a network trains."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.plots.style import SCALE, line, panels, plain, require, soft_grid

# For each layer and epoch how many weights lie in each bin, and the bins' edges.
Histograms = Mapping[str, Mapping[int, tuple[Any, Any]]]
_EPOCHS = 5


def weight_histograms(
    histograms: Histograms,
    layers: str | Sequence[str] | None = None,
    *,
    epochs: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """How the latent weights of each binary layer are distributed, at several moments of a training.

    Args:
        histograms: for each layer and epoch (counts, edges): `training.LatentWeights.histograms`.
        layers: names of layers; by default all.
        epochs: which to draw, 0 for before the training; by default five from the first to the last.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each layer; the darker the line, the earlier.

    Raises:
        ArgumentError: a ValueError, where there is nothing to draw, or for an unknown layer or epoch.

    Example:

    >>> weights = training.LatentWeights()
    >>> training.train(model, dataset, callbacks=[weights])
    >>> weight_histograms(weights.histograms, "conv2").savefig("latent.png")
    """
    require("weight_histograms", "histograms", histograms)
    names = list(histograms) if layers is None else [layers] if isinstance(layers, str) else list(layers)
    require("weight_histograms", "layers", names)
    for name in names:
        if name not in histograms:
            raise unknown_name("layer with histograms", name, histograms)
        require("weight_histograms", f"histograms[{name!r}]", histograms[name])
    figure, grid = panels(len(names), 2, (5.5, 3.4), title)
    shades = matplotlib.colormaps[SCALE]
    for axes, name in zip(grid, names, strict=True):
        shown = _chosen(name, list(histograms[name]), epochs)
        for index, epoch in enumerate(shown):
            counts, edges = (np.asarray(part, np.float64) for part in histograms[name][epoch])
            # The lightest end of the scale would not be seen on paper.
            shade = shades(0.75 * index / max(1, len(shown) - 1))
            density = counts / np.maximum(counts.sum() * np.diff(edges), 1e-300)
            axes.stairs(density, edges, color=shade, linestyle=line(index), linewidth=1.4, label=f"{epoch}")
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set_title(plain(name), fontsize="medium")
        axes.set_xlabel("latent weight")
        axes.set_ylabel("density")
        axes.legend(title="after epoch", fontsize="small")
        soft_grid(axes)
    return figure


def _chosen(layer: str, known: list[int], epochs: Sequence[int] | None) -> list[int]:
    if epochs is None:
        places = np.linspace(0, len(known) - 1, min(_EPOCHS, len(known))).round().astype(int)
        return [known[place] for place in places]
    require("weight_histograms", "epochs", epochs)
    for epoch in epochs:
        if epoch not in known:
            raise ArgumentError(
                f"weight_histograms: {layer} has no histogram after epoch {epoch}. It has those after "
                f"{', '.join(map(str, known))}."
            )
    return list(epochs)
