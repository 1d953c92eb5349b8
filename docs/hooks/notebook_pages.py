"""Notebooks as pages: text, code and the outputs that are stored in them. Nothing is executed."""

import re
from pathlib import Path

import links

FOLDER = links.ROOT / "notebooks"
INDEX = "notebooks/index.md"


def found() -> list[Path]:
    """The notebooks there are, in their order."""
    return sorted(FOLDER.glob("*.ipynb"))


def introduction() -> str | None:
    """What notebooks/README.md says, as a page; None where there is none."""
    readme = FOLDER / "README.md"
    if not readme.is_file():
        return None
    return links.rewrite(readme.read_text(encoding="utf-8"), source_of(readme), f"docs/{INDEX}")


def source_of(path: Path) -> str:
    """The place of a file in the repository."""
    return path.relative_to(links.ROOT).as_posix()


def page_of(notebook: Path) -> str:
    """The page of a notebook, from the site's root."""
    return f"notebooks/{notebook.stem}.md"


def pages() -> list[str]:
    """All pages, in their order."""
    return [*([INDEX] if introduction() else []), *map(page_of, found())]


def convert(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as a page of the site.

    Returns:
        Its Markdown, and its pictures by their places beside the page.
    """
    from nbconvert import MarkdownExporter

    resources = {"output_files_dir": notebook.stem, "unique_key": notebook.stem}
    markdown, resources = MarkdownExporter().from_filename(str(notebook), resources=resources)
    pictures = dict(resources["outputs"])
    for name in pictures:
        markdown = markdown.replace(f"![png]({name})", f"![what the code above shows]({name})")
    markdown = links.rewrite(markdown, source_of(notebook), f"docs/{page_of(notebook)}", kept=pictures)
    return re.sub(r"\n{3,}", "\n\n", markdown), pictures
