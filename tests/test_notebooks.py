"""The notebooks run, and what is stored in them is what their code gives; one that doesn't run clean is found out."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys

import nbformat
import pytest
from conftest import CHOICES, ROOT

from bnn_tf import cli

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def load_execute():
    """execute.py as a module: notebooks/ is a folder, not a package."""
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = load_execute()


def command(*arguments):
    """Runs execute.py in a process of its own, in the notebooks' fast form."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in {*CHOICES, "BNN_TF_THOROUGH", "TF_CPP_MIN_LOG_LEVEL"} - {"OMP_NUM_THREADS"}:
        environment.pop(name, None)
    program = [sys.executable, str(FOLDER / "execute.py"), *map(str, arguments)]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600)


def write(folder, *cells, name="01_made.ipynb"):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, folder / name)
    return folder / name


class TestTheNotebooks:
    def test_there_are_nine(self):
        assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, 10)]

    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_runs_in_its_fast_form(self, path):
        before = path.read_bytes()
        done = command(path.stem)
        assert done.returncode == 0, done.stdout + done.stderr
        assert path.read_bytes() == before

    def test_their_outputs_are_those_of_their_code(self):
        assert execute.main(["--check"]) == 0

    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_tells_a_story(self, path):
        cells = nbformat.read(path, as_version=4).cells
        assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
        assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))
        assert "## To try" in cells[-1].source
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        assert re.search(r"^from start import .*\bTHOROUGH\b", code, re.MULTILINE)
        assert len(re.findall(r"\bTHOROUGH\b", code)) > 1

    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_its_commands_parse_and_its_links_lead_somewhere(self, path):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(" ".join(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
        for line in re.findall(r"`bnn-tf ([^`]+)`", text):
            cli.make_parser().parse_args(shlex.split(line))
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (FOLDER / link).exists(), link

    def test_the_readme_lists_them(self):
        text = (FOLDER / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"\]\((\w+\.ipynb)\)", text) == [path.name for path in NOTEBOOKS]


class TestLoad:
    """`load` of start.py, which needs no kernel."""

    def test_digits_stand_in_for_what_is_not_there_and_draws_repeat(self, run_python, tmp_path):
        printed = run_python(
            """
import sys
sys.path.insert(0, sys.argv[1])
from start import load
sets = [load(name, train=50, test=20) for name in ("mnist", "flowers17", "digits")]
assert all(found.x_train.shape == (50, 8, 8, 1) and found.count("test") == 20 for found in sets)
assert all((found.x_train == sets[0].x_train).all() and (found.y_test == sets[0].y_test).all() for found in sets)
assert load("mnist").count("train") > 1000
            """,
            FOLDER,
            BNN_TF_DATA_DIR=str(tmp_path),
            BNN_TF_THOROUGH="",
        )
        missing = re.findall(
            r"^The data set (\w+) isn't on this machine, so the digits stand in", printed, re.MULTILINE
        )
        assert missing == ["mnist", "flowers17", "mnist"]


class TestExecute:
    def test_keeps_outputs_with_a_stamp_of_the_code(self, tmp_path):
        path = write(tmp_path, "print('a')\nprint('b')", "1 + 1")
        assert command("01", "--store", "--folder", tmp_path).returncode == 0
        stored = nbformat.read(path, as_version=4)
        assert [cell.execution_count for cell in stored.cells] == [1, 2]
        assert stored.cells[0].outputs[0].text == "a\nb\n"
        assert stored.cells[1].outputs[0].data["text/plain"] == "2"
        assert execute.problems(path) == []
        assert {file.name for file in tmp_path.iterdir()} == {path.name}

    def test_changed_code_is_found_and_changed_text_is_not(self, tmp_path):
        path = write(tmp_path, "1 + 1")
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].execution_count = 1
        execute.store(notebook, path)
        assert execute.problems(path) == []
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell("More text."))
        nbformat.write(notebook, path)
        assert execute.problems(path) == []
        notebook.cells[1].source = "1 + 2"
        nbformat.write(notebook, path)
        (problem,) = execute.problems(path)
        assert "its code has changed" in problem
        assert execute.main(["--check", "--folder", str(tmp_path)]) == 1

    @pytest.mark.parametrize(
        ("output", "problem"),
        [
            (nbformat.v4.new_output("stream", name="stderr", text="UserWarning"), "an error or a warning"),
            (nbformat.v4.new_output("error", ename="E", evalue="", traceback=[]), "an error or a warning"),
            (nbformat.v4.new_output("stream", name="stdout", text="in /home/ada/data"), "'/home/', of the machine"),
            (nbformat.v4.new_output("execute_result", {"text/plain": "<Net at 0x7f3a>"}), "' at 0x7f3a'"),
        ],
    )
    def test_what_must_not_be_stored(self, tmp_path, output, problem):
        path = write(tmp_path, "1 + 1")
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].update(execution_count=1, outputs=[output])
        execute.store(notebook, path)
        (found,) = execute.problems(path)
        assert problem in found

    def test_cells_that_were_run_out_of_order(self, tmp_path):
        path = write(tmp_path, "1 + 1", "2 + 2")
        notebook = nbformat.read(path, as_version=4)
        for cell, count in zip(notebook.cells, (2, 1), strict=True):
            cell.execution_count = count
        execute.store(notebook, path)
        (problem,) = execute.problems(path)
        assert "from the first to the last" in problem

    def test_too_many_bytes(self, tmp_path, capsys):
        path = write(tmp_path, "1 + 1")
        notebook = nbformat.read(path, as_version=4)
        picture = nbformat.v4.new_output("display_data", {"image/png": "A" * execute.MOST_BYTES})
        notebook.cells[0].update(execution_count=1, outputs=[picture])
        execute.store(notebook, path)
        assert execute.main(["--check", "--folder", str(tmp_path)]) == 1
        assert "At most 4,000,000 are wanted" in capsys.readouterr().err

    def test_errors_and_warnings_fail_and_the_file_stays(self, tmp_path):
        write(tmp_path, "1 / 0", name="01_error.ipynb")
        write(tmp_path, "import warnings", "warnings.warn('careful')", name="02_warning.ipynb")
        write(tmp_path, "import logging", "logging.getLogger('bnn_tf').warning('careful')", name="03_log.ipynb")
        ours = "warnings.warn_explicit('old', DeprecationWarning, 'ops.py', 1, module='bnn_tf.ops')"
        write(tmp_path, "import warnings", ours, name="04_ours.ipynb")
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        done = command("--store", "--folder", tmp_path)
        assert done.returncode == 1
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert re.findall(r"^(\w+): failed$", done.stdout, re.MULTILINE) == [name[:-6] for name in sorted(before)]
        for said in ("01_error.ipynb", "ZeroDivisionError", "02_warning.ipynb, code cell 2", "DeprecationWarning: old"):
            assert said in done.stderr

    def test_unknown_name(self, capsys):
        with pytest.raises(SystemExit):
            execute.main(["10"])
        assert "no notebook 10. There are: 01_" in capsys.readouterr().err
