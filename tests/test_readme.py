"""The README as a promise: its example runs, its commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from bnn_tf import cli, models

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_example_runs(run_python, tmp_path):
    example = "\n".join(["import os, sys", "os.chdir(sys.argv[1])", *blocks("python")])
    printed = run_python(example, tmp_path)
    accuracy, packed_bytes = re.search(r"^([01]\.\d+) (\d+)$", printed, re.MULTILINE).groups()
    assert (tmp_path / "digits.keras").stat().st_size < 120_000
    assert float(accuracy) > 0.9
    assert int(packed_bytes) < 60_000  # a tenth of the 32-bit form
    assert re.search(r"^mobilenetv2\S* as bwn: \d+ of \d+ layers", printed, re.MULTILINE)
    assert re.search(r"^weights: [\d,]+ bytes as trained, [\d,]+ packed", printed, re.MULTILINE)


def test_the_two_commands_exist():
    script = (ROOT / "build_ops.sh").read_text(encoding="utf-8")
    named = re.findall(r"^\./build_ops\.sh (\w+)", "\n".join(blocks("")), re.MULTILINE)
    assert named == ["demo", "test"]
    for name in named:
        assert re.search(rf"^ +{name}\) ", script, re.MULTILINE), f"build_ops.sh has no command {name}"


def test_the_commands_parse():
    lines = [line.partition("#")[0] for line in re.findall(r"^bnn-tf (.*)$", README, re.MULTILINE)]
    shown = {
        "models",
        "summary",
        "data",
        "train",
        "evaluate",
        "compare",
        "report",
        "pack",
        "export",
        "predict",
        "bench",
    }
    assert {line.split()[0] for line in lines} == shown
    for line in lines:
        cli.make_parser().parse_args(shlex.split(line))


def test_the_tables_name_every_scheme():
    for scheme in models.SCHEMES:
        assert re.search(rf"^\| `{scheme}` ", README, re.MULTILINE), scheme


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
