"""Shapes and tables as text."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


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
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < left else "right", no_wrap=True)
    for row in [*rows, *([total] if total else [])]:
        table.add_row(*row)
    text = io.StringIO()
    # As wide as the table: a terminal may wrap lines, a file must not.
    Console(file=text, width=10_000, markup=False, highlight=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
