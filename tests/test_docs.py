"""The documentation as a promise: its code runs, its commands exist, and nothing public is without a place."""

import importlib
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from conftest import ROOT

import bnn_tf
from bnn_tf import cli

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in ("hooks", "theme"))
GUIDES = [path for path in PAGES if path.parent == DOCS]
FENCE = re.compile(r"^(<!-- not run: .+ -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def hook(monkeypatch):
    """A module of docs/hooks, by its name."""
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    return importlib.import_module


def blocks(page, language):
    """(first line, code) of each block of a page that isn't marked; a mark in a page's first line holds for all."""
    text = page.read_text(encoding="utf-8")
    if text.startswith("<!-- not run: ") and language == "python":
        return []
    return [
        (text.count("\n", 0, match.start(3)), match[3])
        for match in FENCE.finditer(text)
        if match[2] == language and not match[1]
    ]


def program(page):
    """The code of a page with each line where it stands there, so that a traceback's numbers are the page's."""
    lines = []
    for first, code in blocks(page, "python"):
        lines += [""] * (first - len(lines)) + code.splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("page", [page for page in GUIDES if program(page)], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, run_python, tmp_path):
    code = compile(program(page), str(page), "exec")  # a mistake in the syntax is told at once
    assert code.co_names
    start = "import os, sys; os.chdir(sys.argv[1]); from pathlib import Path; page = sys.argv[2]\n"
    start += "exec(compile(Path(sys.argv[3]).read_text(encoding='utf-8'), page, 'exec'))"
    (tmp_path / "code").write_text(program(page), encoding="utf-8")
    run_python(start, tmp_path, page, tmp_path / "code", PYTHONWARNINGS="error:bnn_tf")


def test_pages_have_code():
    assert {page.stem for page in GUIDES if program(page)} >= {"concepts", "data", "index", "quick-start"}


COMMANDS = [
    (page, line)
    for page in GUIDES
    for language in ("bash", "")
    for _, code in blocks(page, language)
    for line in re.findall(r"^bnn-tf (.*)$", code, re.MULTILINE)
]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page.stem}:{line[:50]}" for page, line in COMMANDS])
def test_the_commands_parse(page, line):
    cli.make_parser().parse_args(shlex.split(line.partition(" #")[0]))


def test_the_scripts_commands_exist():
    script = (ROOT / "build_ops.sh").read_text(encoding="utf-8")
    named = {name for page in GUIDES for name in re.findall(r"\./build_ops\.sh (\w+)", page.read_text("utf-8"))}
    assert named
    for name in named:
        assert re.search(rf"^ +{name}\) ", script, re.MULTILINE), f"build_ops.sh has no command {name}"


# Navigation and reference.


def navigation(entry):
    """The pages that the navigation names."""
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from navigation(inner)


def test_every_page_is_in_the_navigation():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = list(navigation(config["nav"]))
    assert len(named) == len(set(named))
    missing = {path.relative_to(DOCS).as_posix() for path in PAGES} - set(named)
    assert not missing, f"say in mkdocs.yml where they stand: {missing}"


def test_everything_public_has_a_place_in_the_reference(hook):
    """The build itself compares the pages with each module's names."""
    includes, checks = hook("includes"), hook("checks")
    pages = "\n".join(
        includes.expand(path.read_text(encoding="utf-8"), path.name) for path in (DOCS / "reference").glob("*.md")
    )
    named = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    assert len(named) == len(set(named))
    public = {name for name in bnn_tf.__all__ if not name.startswith("_")} | {"errors", "plots"}
    front_ends = Path(bnn_tf.__file__).parent / "frontends"
    public |= {f"frontends.{path.stem}" for path in front_ends.glob("[!_]*.py")}
    namesakes = {name.rpartition(".")[0] for name in named if name.rsplit(".", 2)[-1] == name.rsplit(".", 2)[-2]}
    assert {f"bnn_tf.{name}" for name in public} == {name for name in named if name.rpartition(".")[0] not in namesakes}
    for module in checks.public_modules():
        imported = importlib.import_module(f"bnn_tf.{module}")
        assert set(checks.public_names(module)) <= set(dir(imported))
        assert set(getattr(imported, "__all__", ())) <= set(checks.public_names(module))


def test_the_command_line_is_told_in_full(hook):
    page = hook("command_line").markdown()
    sections = dict(re.findall(r"^## `bnn-tf (\w+)`$(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    commands = hook("command_line").commands()
    assert list(sections) == list(commands)
    for name, parser in commands.items():
        options = set(re.findall(r"^  +(?:-\w[^,]*, )?(--[\w-]+)", parser.format_help(), re.MULTILINE)) - {"--help"}
        for option in options:
            assert re.search(rf"<code>(?:[^<]*, )?{option}\b", sections[name]), f"{name} {option}"
        assert options or name == "models" or not parser._option_string_actions
    assert "<code>--data-dir DIR</code> | holds mnist/, ..." in sections["train"]


# What pages take from elsewhere.


class TestIncludes:
    TEXT = "# Title\n\nfirst\n\n## A\n\n```\n## no heading\n```\n\n### B\n\nb\n\n## C\n\nc\n"

    def test_a_section(self, hook):
        section = hook("includes").section
        assert section(self.TEXT, "A") == "```\n## no heading\n```\n\n### B\n\nb"
        assert section(self.TEXT, "C") == "c"
        assert section(self.TEXT).startswith("first\n\n## A") and section(self.TEXT).endswith("c")
        assert section(self.TEXT, "no heading") is None

    def test_what_does_not_exist(self, hook):
        expand = hook("includes").expand
        with pytest.raises(ValueError, match=r"docs/index\.md: README\.md has no section 'Nothing' to include"):
            expand("<!-- include: README.md, Nothing -->", "docs/index.md")
        with pytest.raises(ValueError, match=r"there is no NOTHING\.md to include"):
            expand("<!-- include: NOTHING.md -->", "docs/index.md")

    def test_the_data_sets(self, hook):
        table = hook("includes").data_sets()
        for name in bnn_tf.data.list_datasets():
            assert f"\n| `{name}` | " in table


@pytest.mark.parametrize(
    ("source", "page", "link", "expected"),
    [
        ("README.md", "docs/index.md", "[a](docs/models.md#x)", "[a](models.md#x)"),
        ("CONTRIBUTING.md", "docs/contributing.md", "[a](README.md)", "[a](index.md)"),
        ("docs/benchmarks.md", "docs/benchmarks.md", "![a](../results/b.png)", "![a](results/b.png)"),
        ("docs/reference/ops.md", "docs/reference/ops.md", "[a](../concepts.md)", "[a](../concepts.md)"),
        (
            "notebooks/01.ipynb",
            "docs/notebooks/01.md",
            "[a](02.ipynb) [b](../docs/faq.md)",
            "[a](02.md) [b](../faq.md)",
        ),
        ("README.md", "docs/index.md", "[the `tests`](tests/oracle.py)", "the `tests`"),
        ("README.md", "docs/index.md", "[docs/models.md](docs/models.md)", "[The networks](models.md)"),
        ("README.md", "docs/index.md", "[a](docs/nothing.md)", "[a](nothing.md)"),
        ("README.md", "docs/index.md", "[a](nothing.txt)", "[a](../nothing.txt)"),
        ("README.md", "docs/index.md", "[a](https://x.org/y) `[a](b)`", "[a](https://x.org/y) `[a](b)`"),
        ("README.md", "docs/index.md", "```\n[a](b)\n```\n", "```\n[a](b)\n```\n"),
    ],
)
def test_links_lead_to_pages(source, page, link, expected, hook):
    """What does not exist is left for the build to warn of."""
    assert hook("links").rewrite(link, source, page) == expected


def test_addresses_are_well_formed():
    """Whether they still answer is nothing that a test without a network could say."""
    pages = [*PAGES, *ROOT.glob("*.md")]
    found = {address for page in pages for address in re.findall(r"https?:[^\s)>`\"]*", page.read_text("utf-8"))}
    assert found
    for address in found:
        parts = urlsplit(address)
        assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or ""), address
        assert parts.scheme == "https" and not parts.username, address


def test_what_is_fetched_is_found(hook, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "page.html").write_text(
        '<script defer src="https://x.org/y.js"></script><img src="z.png"><link rel="icon" href="//x.org/z.css">'
        '<a href="https://x.org/">a link may</a>'
    )
    found = [("a/page.html", "https://x.org/y.js"), ("a/page.html", "//x.org/z.css")]
    assert list(hook("checks").fetched(tmp_path)) == found
