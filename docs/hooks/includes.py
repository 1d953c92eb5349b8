"""What pages take from elsewhere, so that nothing is written twice.

<!-- include: README.md -->                     a file without its title
<!-- include: README.md, How fast it is -->     a section of it without its heading
<!-- include: the command line -->              what `command_line` reads from the parsers
<!-- include: the data sets -->                 the list that `bnn-tf data` prints
<!-- include: the functions of bnn_tf -->       for mkdocstrings: all in `bnn_tf.__all__` that is no module
<!-- include: the front ends -->                for mkdocstrings: the modules of `bnn_tf.frontends`
<!-- include: namesakes in MODULE -->          for mkdocstrings: functions with the name of the file that they come from
"""

import re
from collections.abc import Callable
from functools import partial

import checks
import command_line
import links

_DIRECTIVE = re.compile(r"^<!-- include: (.+?) -->$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~)")


def expand(markdown: str, page: str) -> str:
    """Markdown with its directives replaced.

    Args:
        markdown: of the page.
        page: its file, "docs/index.md" say.

    Raises:
        ValueError: for a file or a section that doesn't exist.
    """
    return _DIRECTIVE.sub(lambda match: _included(match[1], page), markdown)


def _included(what: str, page: str) -> str:
    if what in _GENERATORS:
        return _GENERATORS[what]()
    name, _, heading = what.partition(", ")
    file = links.ROOT / name
    if not file.is_file():
        raise ValueError(f"{page}: there is no {name} to include.")
    text = section(file.read_text(encoding="utf-8"), heading)
    if text is None:
        raise ValueError(f"{page}: {name} has no section {heading!r} to include.")
    return links.rewrite(text, name, page)


def section(markdown: str, heading: str = "") -> str | None:
    """The text below a heading, to the next of its level or above; without a heading, what is below the title."""
    level, lines, fenced = 0, [], False
    for line in markdown.splitlines():
        fenced ^= bool(_FENCE.match(line))
        found = None if fenced else re.match(r"(#+) (.*)", line)
        if not level and found and (found[2] == heading or not heading):
            level = len(found[1])
        elif level and found and len(found[1]) <= level:
            break
        elif level:
            lines.append(line)
    return "\n".join(lines).strip() if level else None


def data_sets() -> str:
    """A table of the data sets and the files that each one reads."""
    from bnn_tf import data

    rows = ["| name | what it is | its files, below the data folder |", "|---|---|---|"]
    for name in data.list_datasets():
        source = data.source(name)
        files = ", ".join(f"`{file}`" for file in source.files) or "none: it comes with scikit-learn"
        rows.append(f"| `{name}` | {source.description} | {files}{'' if source.downloaded else ' (not downloaded)'} |")
    return "\n".join(rows)


def functions() -> str:
    """The package's own functions, for mkdocstrings."""
    import bnn_tf

    modules = {path.stem for path in links.PACKAGE.iterdir()}
    return "\n".join(f"::: bnn_tf.{name}" for name in bnn_tf.__all__ if name not in modules and name[0] != "_")


def front_ends() -> str:
    """The modules for other libraries, for mkdocstrings: they are read, not imported."""
    found = sorted(path.stem for path in (links.PACKAGE / "frontends").glob("[!_]*.py"))
    return "\n".join(f"::: bnn_tf.frontends.{name}" for name in found)


def namesakes(module: str) -> str:
    """What a package exports under the name of the file that it stands in, which mkdocstrings takes for the file."""
    names = [name for name in checks.public_names(module) if (links.PACKAGE / module / f"{name}.py").exists()]
    option = "    options:\n      heading: {path}\n      toc_label: {name}"
    return "\n".join(
        f"::: bnn_tf.{module}.{name}.{name}\n{option.format(path=f'bnn_tf.{module}.{name}', name=name)}"
        for name in names
    )


_GENERATORS: dict[str, Callable[[], str]] = {
    "the command line": command_line.markdown,
    "the data sets": data_sets,
    "the functions of bnn_tf": functions,
    "the front ends": front_ends,
    **{f"namesakes in {module}": partial(namesakes, module) for module in checks.public_modules()},
}
