"""Notebooks as pages: text, code and the outputs that are stored in them. Nothing is executed."""

import re
from pathlib import Path

import links

FOLDER = links.ROOT / "notebooks"


def found() -> list[Path]:
    """The notebooks there are, in their order."""
    return sorted(FOLDER.glob("*.ipynb"))


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
    source = notebook.relative_to(links.ROOT).as_posix()
    kept = {name: f"\0{index}\0" for index, name in enumerate(pictures)}  # these aren't files of the repository
    for name, mark in kept.items():
        markdown = markdown.replace(f"({name})", f"({mark})")
    markdown = links.rewrite(markdown, source, f"docs/notebooks/{notebook.stem}.md")
    for name, mark in kept.items():
        markdown = markdown.replace(mark, name)
    return re.sub(r"\n{3,}", "\n\n", markdown), pictures
