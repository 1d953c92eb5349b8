"""The project's docstrings for mkdocstrings: Google's sections, and those that are the project's own.

Source: ...            the paper, as a note at the end
Formula: ...           a paragraph that begins with a bold word; Pseudo-gradient likewise
Input shape:           an indented block below, the same; Output shape likewise
Example:               lines that begin with >>>, not indented, as a block of code
"""

import inspect
import re
from typing import Any

import griffe

_PARAGRAPH = re.compile(
    r"^(Source|Sources|Formula|Pseudo-gradient|Input shape|Output shape): *(\n?(?:.+\n?)+)", re.MULTILINE
)
# `filters, kernel_size,` and more names on the next line.
_BROKEN_NAMES = re.compile(r"^(    \S[^:\n]*,)\n {8}(?=\S)", re.MULTILINE)
_EXAMPLE = re.compile(r"^(?:Example:\n+)?((?:>>>.*\n?)(?:.+\n?)*)", re.MULTILINE)


def to_markdown(text: str) -> str:
    """A docstring whose own sections are Markdown."""
    text = _BROKEN_NAMES.sub(r"\1 ", f"{inspect.cleandoc(text)}\n")
    text = _PARAGRAPH.sub(_paragraph, text)
    return _EXAMPLE.sub(lambda match: f"**Example**\n\n```pycon\n{match[1].rstrip()}\n```\n", text)


def _paragraph(match: re.Match[str]) -> str:
    words = " ".join(match[2].split())
    if match[1].startswith("Source"):
        return f"**{match[1]}:** {words}\n{{ .source }}\n"
    return f"**{match[1]}:** {words}\n"


class ProjectDocstrings(griffe.Extension):
    """Rewrites each docstring once, before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of any object that has one."""
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)
