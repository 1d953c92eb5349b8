"""Figures that stand inside the page."""

import base64
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_tf import plots
from bnn_tf.errors import UserError
from bnn_tf.reporting.damage import UNREADABLE

_LOG = logging.getLogger(__name__)
_DPI = 110
# Two panels side by side: on half the page, one couldn't read them.
_WIDE = 1.8


@dataclass(frozen=True)
class Picture:
    """A picture, or why there is none.

    Attributes:
        caption: what it shows.
        source: a `data:` address; empty where there is none.
        missing: why there is none.
        large: whether it needs more than half the page.
    """

    caption: str
    source: str = ""
    missing: str = ""
    large: bool = False


def picture(caption: str, draw: Callable[[], Any]) -> Picture:
    """What `draw` draws, as a PNG in the page's text; a UserError becomes the reason why there is none."""
    try:
        figure = draw()
    except UserError as error:
        return Picture(caption, missing=str(error))
    width, height = figure.get_size_inches()
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format="png", metadata={"Software": None})
    return Picture(
        caption, f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}", large=width > _WIDE * height
    )


def kernel_pictures(path: Path) -> list[Picture]:
    """The kernels of the first convolution of a saved model, and those of the first binary layer, where it is another.

    Args:
        path: of a `.keras` file.
    """
    from bnn_tf import training
    from bnn_tf.plots.weights import chosen_kernels

    if not path.exists():
        return [Picture("kernels", missing=f"there is no {path.name}")]
    try:
        model = training.load_model(path)
        found = chosen_kernels("kernels", model, None)
    except (UserError, *UNREADABLE) as error:
        _LOG.warning("%s: no kernels are shown: %s", path, error)
        return [Picture("kernels", missing=f"{path.name}: {error}")]
    convolutions = [kernel for kernel in found if not kernel.dense] or found
    binary = [kernel for kernel in convolutions if kernel.signs is not None]
    names = dict.fromkeys(kernel.layer for kernel in (*convolutions[:1], *binary[:1]))
    return [
        picture(f"kernels of {name}", lambda name=name: plots.kernels(model, name))  # type: ignore[misc]
        for name in names
    ]
