"""What every picture must have, whatever it shows."""

import io

import numpy as np
from PIL import Image


def is_sound(figure, panels=None):
    """The picture can be saved and opened, isn't blank, and has no axes without content or without names.

    Args:
        figure: a matplotlib figure.
        panels: how many axes it must have, colour bars aside; None for any number.

    Returns:
        Its axes, colour bars aside.
    """
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    pixels = np.asarray(Image.open(file).convert("L"), np.float32)
    assert pixels.std() > 5, "the picture is blank"
    axes = [each for each in figure.axes if each.get_label() != "<colorbar>"]
    assert panels is None or len(axes) == panels
    for each in axes:
        artists = [*each.lines, *each.patches, *each.images, *each.collections]
        assert artists, f"empty axes: {each.get_title()!r}"
        assert each.get_xlabel() and (each.images or each.get_ylabel()), f"no name on an axis of {each.get_title()!r}"
    for bar in set(figure.axes) - set(axes):
        assert bar.get_ylabel(), "a colour bar says what it shows"
    return axes


def legend(axes):
    """The texts of a legend."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def below(axes):
    """The texts of the legend under all axes of a figure."""
    return [text.get_text() for text in axes.figure.legends[0].get_texts()]
