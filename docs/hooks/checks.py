"""What a built site must hold to, beyond what MkDocs checks itself."""

import ast
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import links

_FETCHED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="((?:https?:)?//[^"]+)"')


def public_modules() -> list[str]:
    """Those that have a page of the reference, "layers" for one."""
    return sorted(path.stem for path in (links.ROOT / "docs" / "reference").glob("*.md") if path.stem != "index")


def public_names(module: str) -> list[str]:
    """What a module says is public: its `__all__`, or else what it defines without an underscore."""
    path = links.PACKAGE / module / "__init__.py"
    tree = ast.parse((path if path.exists() else links.PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    defined = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, defined) and not node.name.startswith("_")]


def missing_names(inventory: Path) -> list[str]:
    """Public names that the built reference doesn't have; `inventory` is the objects.inv that it writes."""
    *_, packed = inventory.read_bytes().split(b"\n", 4)  # four lines say what it is
    there = {line.split(" ", 1)[0] for line in zlib.decompress(packed).decode().splitlines()}
    wanted = [(f"bnn_tf.{module}.{name}", name) for module in public_modules() for name in public_names(module)]
    return [path for path, name in wanted if path not in there and f"{path}.{name}" not in there]


def fetched(site: Path) -> Iterator[tuple[str, str]]:
    """(page, address) of what the pages of a site would load from elsewhere."""
    for page in sorted(site.rglob("*.html")):
        for address in _FETCHED.findall(page.read_text(encoding="utf-8")):
            yield page.relative_to(site).as_posix(), address
