"""Comparisons whose process is killed, and how they go on."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import PACKAGE
from test_compare import tenth

from bnn_tf import training

KILLED = """
import os, signal, sys
from test_compare import tenth
digits = tenth()
import bnn_tf.training.speed as speed
from bnn_tf import data, training
data.load = lambda name, data_dir=None: digits
speed._SECONDS = 0.01
real, left = os.replace, [int(sys.argv[2])]

def replace(*paths):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)

os.replace = replace
training.compare("lenet", schemes="float", widths=0.125, epochs=1, out=sys.argv[1], progress=False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
class TestKilled:
    @pytest.mark.parametrize(
        ("file", "rows"), [(1, None), (4, [])], ids=["before the first word", "between a model and its row"]
    )
    def test_while_a_file_is_written(self, tmp_path, monkeypatch, file, rows):
        out = tmp_path / "run"
        paths = os.pathsep.join([str(PACKAGE.parent), os.path.dirname(__file__)])
        process = subprocess.run(
            [sys.executable, "-c", KILLED, out, str(file)],
            env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            timeout=120,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        found = json.loads((out / "results.json").read_text())["rows"] if rows is not None else None
        assert found == rows and (out / "lenet_float.keras").exists() == (rows is not None)
        digits = tenth()
        monkeypatch.setattr("bnn_tf.data.load", lambda name, data_dir=None: digits)
        comparison = training.compare(
            "lenet", schemes="float", widths=0.125, epochs=1, out=out, resume=True, progress=False
        )
        assert comparison.complete
        assert {path.name for path in out.iterdir()} == {"results.json", "curves.png", "lenet_float.keras"}

    def test_in_the_middle_of_a_training(self, tmp_path):
        out = tmp_path / "run"
        command = [sys.executable, "-m", "bnn_tf.cli", "compare", "--schemes", "float", "bwn", "--widths", "0.125"]
        command += ["--epochs", "4", "--batch-size", "100", "--out", str(out)]
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        environment["PYTHONPATH"] = str(PACKAGE.parent)
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:
                if line.startswith("lenet bwn epoch 1/"):
                    process.kill()
        (float_row,) = json.loads((out / "results.json").read_text())["rows"]
        done = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        resumed, *lines = done.stderr.splitlines()
        assert resumed == f"bnn-tf: {out}: resumed after 1 finished trainings"
        assert [line.split(":")[0] for line in lines] == [f"lenet bwn epoch {epoch}/4" for epoch in range(1, 5)]
        results = json.loads((out / "results.json").read_text())
        assert results["complete"] is True and results["rows"][0] == float_row
