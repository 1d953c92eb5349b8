"""Draws the pictures of docs/pictures.md by running the code on that page: `python docs/pictures.py`.

The blocks run one after the other in one namespace; where a picture stands behind a block, it is what that block called
`figure`.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_suffix(".md")
_BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\s*!\[[^\]]*\]\((\S+)\))?", re.DOTALL | re.MULTILINE)
_DPI = 72


def blocks(page: Path = PAGE) -> list[tuple[str, str | None]]:
    """Each block of Python on a page, and the path of the picture that it makes."""
    return [(code, picture or None) for code, picture in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def draw(folder: Path, page: Path = PAGE, **replaced: Any) -> list[Path]:
    """Runs a page's code from the root of the project and saves its pictures below `folder`.

    Args:
        folder: what the paths of the pictures start from.
        page: whose code it is.
        **replaced: values that stand in place of those that the page gives these names.
    """
    namespace: dict[str, Any] = {}
    drawn = []
    for code, picture in blocks(page):
        for name, value in replaced.items():
            code = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", code, flags=re.MULTILINE)
        exec(compile(code, str(page), "exec"), namespace)
        if picture is not None:
            path = folder / picture
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without matplotlib's version in it, the same picture is the same file.
            namespace.pop("figure").savefig(path, dpi=_DPI, metadata={"Software": None})
            drawn.append(path)
    return drawn


if __name__ == "__main__":
    os.chdir(PAGE.parents[1])
    for path in draw(PAGE.parent):
        print(f"{path}: {path.stat().st_size:,} bytes", file=sys.stderr)
