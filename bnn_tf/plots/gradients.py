"""What quantizers do forward and backward."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bnn_tf.plots.style import colour, legend_below, line, panels, plain, require, soft_grid
from bnn_tf.plots.weights import values

_RANGE, _POINTS = 2.0, 401
# Moments of the training at which the annealed quantizers are drawn.
_PROGRESS = (0.0, 0.5, 1.0)


def pseudo_gradients(quantizers: Sequence[Any] | None = None, *, title: str = "") -> Figure:
    """The sign, and what stands for its derivative, of each quantizer over [-2, 2].

    Args:
        quantizers: names or instances, see `bnn_tf.quantizers.get`; by default all that have a name.
        title: of the picture.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each; those that sharpen while a network trains are drawn at its
        beginning, in its middle and at its end.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> pseudo_gradients(["ste_sign", "approx_sign", "ede"]).savefig("gradients.png")
    """
    import keras

    from bnn_tf import quantizers as known

    given = known.names() if quantizers is None else [quantizers] if isinstance(quantizers, str) else list(quantizers)
    require("pseudo_gradients", "quantizers", given)
    found = [known.get(each) for each in given]
    figure, grid = panels(len(found), 4, (3.4, 2.9), title)
    u = np.linspace(-_RANGE, _RANGE, _POINTS, dtype=np.float32)
    tensor = keras.ops.convert_to_tensor(u)
    for axes, quantizer in zip(grid, found, strict=True):
        axes.plot(u, values(quantizer.sign(tensor)), color="0.55", linewidth=1, label="forward: sign(u)")
        for index, (name, gradient) in enumerate(_gradients(known, quantizer, tensor)):
            axes.plot(u, gradient, color=colour((1, 5, 3)[index]), linestyle=line(index), label=f"backward{name}")
        axes.set_title(plain(quantizer.name), fontsize="medium")
        axes.set_xlabel("u")
        axes.set_ylabel("sign, pseudo-gradient")
        soft_grid(axes)
    legend_below(figure, 5)
    return figure


def _gradients(known: Any, quantizer: Any, u: Any) -> list[tuple[str, Any]]:
    """Names and values of a quantizer's pseudo-gradients; the quantizer itself stays as it is."""
    if not isinstance(quantizer, known.Annealed):
        return [("", values(quantizer.pseudo_gradient(u)))]
    found = []
    for progress in _PROGRESS:
        moment = type(quantizer).from_config({**quantizer.get_config(), "progress": progress})
        found.append((f" at {progress:.0%}", values(moment.pseudo_gradient(u))))
    return found
