"""What MkDocs calls while it builds the site: pages from the repository, links, formulas, navigation."""

import logging
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import checks
import formulas
import includes
import links
import notebook_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LOG = logging.getLogger("mkdocs.hooks")

NOTEBOOKS = "Notebooks"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the notebooks to the navigation."""
    config.nav = navigation(config.nav or [], notebook_pages.pages())
    return config


def navigation(entries: list[Any], pages: list[str]) -> list[Any]:
    """The navigation with the notebooks' pages."""
    kept: list[Any] = []
    for entry in entries:
        if entry == {NOTEBOOKS: []}:
            kept += [{NOTEBOOKS: pages}] if pages else []
        elif isinstance(entry, dict) and isinstance(inner := next(iter(entry.values())), list):
            kept.append({name: navigation(inner, pages) for name in entry})
        else:
            kept.append(entry)
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the notebooks as pages, and the pictures of the results."""
    if text := notebook_pages.introduction():
        files.append(File.generated(config, notebook_pages.INDEX, content=text))
    for path in notebook_pages.found():
        markdown, pictures = notebook_pages.convert(path)
        files.append(File.generated(config, notebook_pages.page_of(path), content=markdown))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for path in sorted((links.ROOT / "results").rglob("*.png")):
        files.append(File.generated(config, path.relative_to(links.ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Includes what a page takes from elsewhere, and leads its links to pages."""
    name = f"docs/{page.file.src_uri}"
    if not name.startswith("docs/notebooks/"):
        markdown = links.rewrite(markdown, name, name)
    try:
        return includes.expand(markdown, name)
    except ValueError as error:
        raise PluginError(str(error)) from None


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draws the formulas."""
    return formulas.draw(html)


def on_post_build(config: MkDocsConfig) -> None:
    """Warns, and so ends a strict build, where the reference lacks a public name or a page needs the network."""
    site = Path(config.site_dir)
    for name in checks.missing_names(site / "objects.inv"):
        _LOG.warning("the reference has no place for %s", name)
    for page, address in checks.fetched(site):
        _LOG.warning("%s fetches %s: the site must read without a network", page, address)
