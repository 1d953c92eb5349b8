"""The command line as a user meets it: in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
from conftest import ROOT

import bnn_tf
from bnn_tf import cli, models
from bnn_tf.commands import quiet
from bnn_tf.commands.compare import new_folder
from bnn_tf.models import table


def command(*arguments):
    return [sys.executable, "-m", "bnn_tf.cli", *map(str, arguments)]


@pytest.fixture
def bnn_tf_command(tmp_path):
    """Runs a command in an empty folder, without the environment's say about data and logging."""

    def run(*arguments, **variables):
        return subprocess.run(
            command(*arguments), cwd=tmp_path, env=environment(**variables), capture_output=True, text=True, timeout=300
        )

    return run


def environment(**variables):
    hidden = ("BNN_TF_DATA_DIR", "TF_CPP_MIN_LOG_LEVEL", "BNN_TF_ISA")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    root = os.path.dirname(os.path.dirname(os.path.abspath(cli.__file__)))
    return {**kept, "PYTHONPATH": root, **variables}


def one_line(result):
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("bnn-tf: error: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


class TestParser:
    def test_only_what_exists_is_shown(self, capsys):
        with pytest.raises(SystemExit) as done:
            cli.main(["--help"])
        assert done.value.code == 0
        assert re.findall(r"^    (\w+)  ", capsys.readouterr().out, re.MULTILINE) == [
            "compare",
            "train",
            "evaluate",
            "report",
            "pack",
            "export",
            "bench",
            "summary",
            "models",
            "predict",
            "data",
        ]

    def test_defaults_are_the_digits_comparison(self):
        options = cli.make_parser().parse_args(["compare"])
        assert (options.model, options.data, options.seed) == (["lenet"], ["digits"], [0])
        assert options.schemes == ["float", "bwn", "dorefa", "xnor"]

    def test_without_a_command(self, capsys):
        with pytest.raises(SystemExit) as done:
            cli.main([])
        assert done.value.code == 2
        assert "required: COMMAND" in capsys.readouterr().err

    def test_help_imports_no_tensorflow(self):
        code = (
            "import sys; from bnn_tf import cli\n"
            "try: cli.main(['compare', '--help'])\n"
            "except SystemExit: assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules), 'imported'"
        )
        subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True)


class TestCompare:
    def test_finishes(self, bnn_tf_command, tmp_path):
        result = bnn_tf_command("compare", "--schemes", "float", "xnor", "--epochs", 1)
        assert result.returncode == 0, result.stderr
        lines = result.stderr.splitlines()
        assert [line.split(":")[0] for line in lines] == [
            "lenet float epoch 1/1",
            "lenet xnor epoch 1/1",
        ]  # no chatter of TensorFlow's
        assert [line.split(" ")[0] for line in result.stdout.splitlines()[:3]] == ["scheme", "float", "xnor"]
        run = tmp_path / "runs" / "lenet-digits"
        assert json.loads((run / "results.json").read_text())["complete"] is True

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    def test_control_c_leaves_what_is_finished(self, tmp_path):
        out = tmp_path / "run"
        arguments = ("compare", "--schemes", "float", "bwn", "--epochs", 30, "--batch-size", 1200, "--out", out)
        process = subprocess.Popen(
            command(*arguments),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        try:
            for line in process.stderr:  # the float network is finished where the second one's first line comes
                if line.startswith("lenet bwn epoch"):
                    break
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130
        assert "Traceback" not in stderr and stderr.endswith("bnn-tf: interrupted\n")
        assert [line.split(" ")[0] for line in stdout.splitlines()[:2]] == ["scheme", "float"]
        assert "Not finished: bwn." in stdout
        results = json.loads((out / "results.json").read_text())
        assert results["complete"] is False and [row["scheme"] for row in results["rows"]] == ["float"]
        assert {path.name for path in out.iterdir()} == {"results.json", "curves.png", "lenet_float.keras"}

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
    def test_control_c_at_once(self, tmp_path):
        process = subprocess.Popen(
            command("compare"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        maps = Path(f"/proc/{process.pid}/maps")
        while "tensorflow" not in maps.read_text():  # until it is loading
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert (process.returncode, stderr) == (130, "bnn-tf: interrupted\n")
        assert list(tmp_path.iterdir()) == []

    def test_an_earlier_run_stays(self, bnn_tf_command, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "results.json").write_text('{"files": []}')
        assert "holds an earlier run" in one_line(bnn_tf_command("compare", "--out", "run"))

    def test_offline_says_which_files_to_put_where(self, bnn_tf_command, tmp_path):
        nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
        result = bnn_tf_command("compare", "--data", "mnist", KERAS_HOME=str(tmp_path), no_proxy="", **nowhere)
        announcement, error = result.stderr.splitlines()
        assert result.returncode == 2 and announcement.startswith("bnn-tf: downloading https://")
        assert f"bnn-tf: error: Missing in {tmp_path / 'datasets' / 'mnist'}: train-images-idx3-ubyte.gz, " in error

    def test_unknown_backend(self, bnn_tf_command):
        assert 'BNN_TF_ISA: unknown instruction set "mmx"' in one_line(bnn_tf_command("compare", BNN_TF_ISA="mmx"))


def test_mistakes_in_names(bnn_tf_command):
    assert "Unknown model 'lennet'. Did you mean lenet or " in one_line(bnn_tf_command("compare", "--model", "lennet"))


def test_a_folder_that_cannot_be_made(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert cli.main(["compare", "--out", str(tmp_path / "file" / "run"), "--epochs", "1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("bnn-tf: error: Not a directory: ")


def test_default_folders_never_collide(tmp_path):
    for expected in ("a", "a-2", "a-3"):
        path = new_folder(tmp_path, "a")
        assert path == tmp_path / expected
        path.mkdir()


class TestSummary:
    SMALL = ("lenet", "--scheme", "xnor", "--input-shape", "8", "8", "1", "--classes", "3", "--width", "0.5")

    def expected(self):
        return bnn_tf.summary(models.lenet("xnor", input_shape=(8, 8, 1), classes=3, width=0.5))

    def test_of_a_network(self, capsys):
        assert cli.main(["summary", *self.SMALL]) == 0
        assert capsys.readouterr().out == f"{self.expected()}\n"

    def test_in_a_process_of_its_own(self, bnn_tf_command):
        result = bnn_tf_command("summary", *self.SMALL)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{self.expected()}\n", "")

    def test_json_in_place_of_the_table(self, capsys):
        assert cli.main(["summary", *self.SMALL, "--json"]) == 0
        assert capsys.readouterr().out == self.expected().to_json() + "\n"

    def test_json_beside_the_table(self, capsys, tmp_path):
        assert cli.main(["summary", *self.SMALL, "--json", str(tmp_path / "lenet.json")]) == 0
        assert capsys.readouterr().out.startswith("lenet_xnor, input 8×8×1\nlayer ")
        assert (tmp_path / "lenet.json").read_text(encoding="utf-8") == self.expected().to_json() + "\n"

    def test_of_a_file(self, capsys, tmp_path):
        model = models.lenet("bwn", input_shape=(8, 8, 1))
        for name, saved in (("trained", model), ("frozen", bnn_tf.freeze(model))):
            saved.save(tmp_path / f"{name}.keras")
            assert cli.main(["summary", str(tmp_path / f"{name}.keras")]) == 0
            assert capsys.readouterr().out == f"{bnn_tf.summary(model)}\n"

    def test_of_a_file_with_an_open_size(self, capsys, tmp_path):
        path = str(tmp_path / "open.keras")
        keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)]).save(path)
        assert cli.main(["summary", path]) == 2
        assert "has no definite size: any×any×3. Say for which one" in capsys.readouterr().err
        assert cli.main(["summary", path, "--input-shape", "5", "6", "3"]) == 0
        assert "5×6×3" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["lenett"], "Unknown model 'lenett'. Did you mean lenet"),
            (["lenet", "--scheme", "xnorr"], "Unknown scheme 'xnorr'. Did you mean xnor?"),
            (["lenet", "--input-shape", "2", "2", "1"], "lenet: an image must be at least 4×4. Got 2×2."),
            (["nowhere.keras"], "No such file or directory: nowhere.keras"),
            (["broken.keras"], "broken.keras can't be loaded as a Keras model: "),
            (["broken.keras", "--width", "2"], "--width is for networks by name. Got the file broken.keras."),
        ],
    )
    def test_mistakes(self, arguments, message, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "broken.keras").write_text("no model")
        assert cli.main(["summary", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"bnn-tf: error: {message}") and error.count("\n") == 1


class TestModels:
    def test_names(self, capsys):
        assert cli.main(["models", "--quick"]) == 0
        *names, empty, schemes = capsys.readouterr().out.splitlines()
        assert names == models.list_models() and empty == ""
        assert schemes == "each in the schemes float, bwn, dorefa, xnor"

    def test_table(self, capsys, monkeypatch):
        monkeypatch.setattr(models, "list_models", lambda: ["binarynet", "lenet"])
        assert cli.main(["models"]) == 0
        header, binarynet, lenet, *_ = capsys.readouterr().out.splitlines()
        assert re.split("  +", header)[:5] == ["network", "born", "input", "parameters", "MACs"]
        assert re.split("  +", lenet) == [
            *("lenet", "float", "28×28×1", "3,274,634", "13,883,904", "13,098,536", "507,176", "25.8×", "95.4%")
        ]
        assert re.split("  +", binarynet)[:3] == ["binarynet", "xnor", "32×32×3"]

    def test_docs_say_the_same(self):
        """Where this fails: python -m bnn_tf.models.table > docs/models.md"""
        page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
        assert page.splitlines() == list(table.markdown(map(table.row, models.list_models())))


def test_data(capsys, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte").touch()
    assert cli.main(["data", "--data-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"    {tmp_path}/mnist/train-images-idx3-ubyte.gz" in lines
    assert f"    {tmp_path}/mnist/t10k-images-idx3-ubyte" in lines
    assert f"    {tmp_path}/mnist/train-labels-idx1-ubyte.gz  (missing; downloaded when needed)" in lines


def test_data_in_a_missing_folder(capsys, tmp_path):
    assert cli.main(["data", "--data-dir", str(tmp_path / "nowhere")]) == 2
    assert "which is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        ("I0000 00:00:1795175530.919322    6930 port.cc:153] oneDNN custom operations are on.", True),
        ("E0000 00:00:1795175649.049082    9270 cuda_platform.cc:52] failed call to cuInit", True),
        ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", True),
        ("2026-11-20 11:45:17.907378: I tensorflow/core/platform/cpu_feature_guard.cc:210] optimized", True),
        ("RuntimeWarning: bnn_tf: the C++ ops can't be loaded", False),
        ("Error: something", False),
    ],
)
def test_noise(line, dropped):
    assert bool(quiet._NOISE.match(line)) == dropped
