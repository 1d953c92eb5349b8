"""Tables as the page shows and sorts them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """What stands in a table.

    Attributes:
        text: as it is read.
        key: what it is sorted by; None sorts last, in both directions.
        link: the id of a section of the page; None for none.
    """

    text: str
    key: float | str | None
    link: str | None = None


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by each column.

    Attributes:
        caption: what it shows.
        columns: name, and whether it holds figures.
        rows: a cell for each column.
    """

    caption: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table; a column all of whose cells are numbers or missing holds figures."""
    lines = tuple(tuple(row) for row in rows)
    numeric = [all(not isinstance(line[index].key, str) for line in lines) for index in range(len(columns))]
    return Table(caption, tuple(zip(columns, numeric, strict=True)), lines)


# Settings are nested three deep; a damaged file may hold anything.
_DEEPEST = 8
# Means and axes of such numbers are finite.
_LARGEST = 1e300
MISSING = Cell("–", None)


def text(value: Any, link: str | None = None) -> Cell:
    """Anything as text; None is missing."""
    return MISSING if value is None else Cell(str(value), str(value), link)


def is_figure(value: Any) -> bool:
    """Whether it is a number that can be computed with and drawn: JSON's may be too long for a float."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def number(value: Any, form: str = ",.10g") -> Cell:
    """A number in a format; what isn't one is missing."""
    if isinstance(value, bool) or not is_figure(value):
        return MISSING
    return Cell(format(value, form), float(value))


def percent(value: Any) -> Cell:
    """A share of 1."""
    return number(value, ".2%")


def flat(content: Any, prefix: str = "") -> dict[str, str]:
    """Nested objects with dotted names and text for values; lists of plain values stay in one line.

    Example:

    >>> flat({"recipe": {"epochs": 5, "augment": ["flip", "crop:4"]}})
    {'recipe.epochs': '5', 'recipe.augment': 'flip, crop:4'}
    """
    if prefix.count(".") > _DEEPEST:
        return {prefix: "…"}
    if isinstance(content, dict) and content:
        found: dict[str, str] = {}
        for name, value in content.items():
            found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
        return found
    if isinstance(content, list):
        return {prefix: ", ".join(map(str, content)) or "none"}
    return {prefix: "none" if content in (None, {}, "") else str(content)}
