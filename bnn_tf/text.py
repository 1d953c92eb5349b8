"""Shapes and tables as text."""

from collections.abc import Sequence
from typing import Any
from unicodedata import combining, east_asian_width


def is_shape(value: Any) -> bool:
    """Whether this is a shape, and not a structure of shapes."""
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def shape_text(shape: Any) -> str:
    """28×28×1; of several, one after the other; "-" for None.

    Example:

    >>> shape_text((28, 28, 1))
    '28×28×1'
    """
    if shape is None:
        return "-"
    if is_shape(shape):
        return "×".join("any" if size is None else str(size) for size in shape) or "scalar"
    return ", ".join(map(shape_text, shape))


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None, *, left: int = 1
) -> str:
    """Cells as aligned text.

    Args:
        header: the columns' names.
        rows: cells.
        total: the last line's cells.
        left: how many columns are aligned to the left; the others hold figures.
    """
    lines = [header, *rows, *([total] if total else [])]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths, left).rstrip() for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    parts = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _width(cell))
        parts.append(cell + space if index < left else space + cell)
    return "  ".join(parts)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: two a Chinese sign, none an accent of its own."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(sign) in "WF" else not combining(sign) for sign in text)
