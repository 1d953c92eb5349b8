"""Many small pictures as one: kernels and feature maps side by side."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def grid(tiles: Floats, columns: int | None = None) -> Floats:
    """Tiles row by row in one picture, with a gap between them unless they are single pixels.

    Args:
        tiles: `[tiles, height, width]`, or with a last axis of three colours in 0..1.
        columns: how many in a row; by default about as many as rows.

    Returns:
        float32 `[height, width]` with NaN in the gaps, or `[height, width, 3]` with white ones.

    Example:

    >>> grid(np.zeros((4, 3, 3), np.float32)).shape
    (7, 7)
    """
    count, height, width, *colours = tiles.shape
    columns = columns or int(np.ceil(count**0.5))
    rows = -(-count // columns)
    gap = 0 if height == width == 1 else 1
    empty = 1.0 if colours else np.nan
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *colours), empty, np.float32)
    for index, tile in enumerate(tiles):
        row, column = index // columns * (height + gap), index % columns * (width + gap)
        picture[row : row + height, column : column + width] = tile
    return picture


def colours(tiles: Floats, limit: float) -> Floats:
    """Values in -limit..limit as colours in 0..1: zero is the middle grey."""
    return np.clip(0.5 + 0.5 * tiles / max(limit, 1e-12), 0, 1)
