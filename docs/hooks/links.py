"""Links of the repository's Markdown, made to lead to the site's pages.

A page of the site may come from anywhere in the repository: `docs/x.md` is itself, README.md and CONTRIBUTING.md are
included in pages, a notebook is converted to one. What a link leads to in the repository is a page of the site, a
picture that is carried along, or a source file, of which the site shows the name alone.
"""

import posixpath
import re
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bnn_tf"

# Where the site shows what lies elsewhere in the repository.
PAGES = {
    "README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "CHANGELOG.md": "docs/changelog.md",
    "notebooks/README.md": "docs/notebooks/index.md",
}

# Code, in which nothing is a link, or a link, whose label may have code in it.
_LINK = re.compile(
    r"^```.*?^```|``.+?``|`[^`\n]+`|(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)", re.DOTALL | re.MULTILINE
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def rewrite(markdown: str, source: str, page: str, kept: Collection[str] = ()) -> str:
    """Markdown with links as they must be on a page.

    Args:
        markdown: the text.
        source: the file that it stands in, from the root of the repository.
        page: the file of the site that shows it, "docs/index.md" say.
        kept: what stays as it is: files that come with the page.
    """

    def replace(match: re.Match[str]) -> str:
        picture, label, target = match.groups()
        if target is None or target in kept or _ELSEWHERE.match(target):
            return match[0]
        path, _, anchor = target.partition("#")
        place = _place(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if place is None:
            return match[0] if picture else label
        if label == target:
            label = _title(place) or label
        relative = posixpath.relpath(place, posixpath.dirname(page))
        return f"{picture}[{label}]({relative}{f'#{anchor}' if anchor else ''})"

    return _LINK.sub(replace, markdown)


def _title(place: str) -> str | None:
    """What a page calls itself."""
    text = (ROOT / place).read_text(encoding="utf-8") if (ROOT / place).is_file() else ""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else None


def _place(path: str) -> str | None:
    """Where the site has a file of the repository; None for a source, which it hasn't. What doesn't exist stays, so
    that the build says so."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        return f"docs/{path.removesuffix('.ipynb')}.md"
    if path.startswith("results/") and path.endswith((".png", ".svg")):
        return f"docs/{path}"
    if path.startswith("docs/") or not (ROOT / path).exists():
        return path
    return None
