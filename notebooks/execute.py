"""Runs the notebooks, each from a clean kernel of this interpreter.

    python notebooks/execute.py                  all of them; their files stay as they are
    python notebooks/execute.py 01 05 --store    those whose names begin so, and keeps their outputs in the files
    python notebooks/execute.py --check          runs nothing: says whether the stored outputs are those of the code

A notebook fails by an error, and by whatever is written to standard error: that is where warnings go.
"""

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
# Of all notebooks together, with their pictures.
MOST_BYTES = 4_000_000
_STAMP = "code_sha256"
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
# Folders of the machine that ran it, and addresses of objects in its memory.
_OF_A_MACHINE = re.compile(r"/home/|/root/|/tmp/|/Users/| at 0x[0-9a-f]+")


class NotebookError(Exception):
    """A notebook that doesn't run clean; the message says which cell and why."""


class _Kernel(AsyncKernelManager):
    """Starts kernel.py in this interpreter, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # It would warn that who can read this machine's own traffic can read along.
        command = [sys.executable, str(FOLDER / "kernel.py"), "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def find(names: Sequence[str] = (), folder: Path = FOLDER) -> list[Path]:
    """The notebooks whose names begin with one of `names`; all of them where there is none.

    Raises:
        NotebookError: for a name that begins no notebook's.
    """
    paths = sorted(folder.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            raise NotebookError(f"no notebook {name}. There are: {', '.join(path.stem for path in paths)}.")
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def execute(path: Path) -> NotebookNode:
    """Runs a notebook in its folder.

    Returns:
        The notebook with its outputs.

    Raises:
        NotebookError: for an error in a cell, or output on standard error.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_manager_class=_Kernel,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=None,
        startup_timeout=300,
        record_timing=False,
        coalesce_streams=True,
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        raise NotebookError(f"{path.name}: {_COLOURS.sub('', str(error))}") from None
    for number, cell in enumerate(_code(notebook), 1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise NotebookError(f"{path.name}, code cell {number}, wrote to standard error:\n{output.text}")
    return notebook


def store(notebook: NotebookNode, path: Path) -> None:
    """Writes an executed notebook: its cells, their outputs, and which code they are the outputs of."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "bnn_tf": {_STAMP: stamp(notebook)},
        }
    )
    partial = path.with_suffix(".partial")
    nbformat.write(notebook, partial)
    partial.replace(path)


def stamp(notebook: NotebookNode) -> str:
    """What changes with the code of a notebook, and with nothing else."""
    return hashlib.sha256(json.dumps([cell.source for cell in _code(notebook)]).encode()).hexdigest()


def problems(path: Path) -> list[str]:
    """What is wrong with the outputs that are stored in a notebook; nothing where it was stored by this file."""
    notebook = nbformat.read(path, as_version=4)
    cells, found = _code(notebook), []
    if notebook.metadata.get("bnn_tf", {}).get(_STAMP) != stamp(notebook):
        found.append("its code has changed since its outputs were stored. Run execute.py --store.")
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("its cells weren't executed once each, from the first to the last.")
    outputs = [output for cell in cells for output in cell.outputs]
    if any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs):
        found.append("an error or a warning is stored in it.")
    found += [f"{text!r}, of the machine, is stored in it." for text in _OF_A_MACHINE.findall(_texts(outputs))]
    return found


def _texts(outputs: Sequence[NotebookNode]) -> str:
    """All that is text in the outputs."""
    parts: list[Any] = [output.get("text", "") for output in outputs]
    for output in outputs:
        parts += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="how the names of notebooks begin; by default all")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--store", action="store_true", help="keep the outputs in the files")
    kind.add_argument("--check", action="store_true", help="run nothing; check the stored outputs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the notebooks lie")
    options = parser.parse_args(arguments)
    try:
        paths = find(options.names, options.folder.resolve())
    except NotebookError as error:
        parser.error(str(error))
    failures = _check(paths) if options.check else _execute(paths, options.store)
    for failure in failures:
        print(f"execute.py: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _check(paths: Sequence[Path]) -> list[str]:
    failures = [f"{path.name}: {problem}" for path in paths for problem in problems(path)]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_BYTES:
        failures.append(f"the notebooks take {size:,} bytes. At most {MOST_BYTES:,} are wanted: draw fewer pictures.")
    return failures


def _execute(paths: Sequence[Path], keep: bool) -> list[str]:
    failures = []
    for path in paths:
        start = time.perf_counter()
        try:
            notebook = execute(path)
        except NotebookError as error:
            failures.append(str(error))
            print(f"{path.stem}: failed", flush=True)
            continue
        if keep:
            store(notebook, path)
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
