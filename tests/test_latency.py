"""`bnn-tf bench net.bnn`: what it says about a packed model. No test asks for a speed."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from test_cli import environment

import bnn_tf
from bnn_tf import cli, latency, layers, machine
from bnn_tf.errors import ArgumentError
from bnn_tf.runtime import PackedModel
from bnn_tf.text import text_table


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A small packed network for images of any size."""
    parts = [
        keras.layers.Conv2D(8, 3, padding="same", name="first"),
        keras.layers.BatchNormalization(),
        layers.BinaryConvInput2D(16, 3, name="second"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(4, name="last"),
    ]
    model = keras.Sequential([keras.Input((None, None, 3)), *parts], name="small")
    return bnn_tf.pack(model, tmp_path_factory.mktemp("latency") / "net.bnn").path


def error(capsys, *arguments):
    """The one line that a mistake leads to."""
    assert cli.main(["bench", *map(str, arguments)]) == 2
    text = capsys.readouterr().err
    assert text.startswith("bnn-tf: error: ") and text.count("\n") == 1, text
    return text


def test_the_command_prints_and_writes(net, tmp_path, capsys):
    path = tmp_path / "bench.json"
    choices = ("--size", "12", "10", "--batch", "2", "--threads", "1", "--repeats", "25", "--json", str(path))
    assert cli.main(["bench", str(net), *choices]) == 0
    lines = capsys.readouterr().out.splitlines()
    saved = json.loads(path.read_text())
    assert lines[0] == f"small: {net.stat().st_size:,} bytes; input 12×10×3, batch 2"
    assert lines[1].startswith("latency: min ") and "25 runs after" in lines[1]
    assert lines[2] == f"throughput: {saved['images_per_second']:,.1f} images/s"
    assert lines[3].startswith("peak memory: ")
    assert lines[5].split() == ["node", "op", "output", "us", "share"]
    assert [line.split()[0] for line in lines[6:-2]] == [layer["name"] for layer in saved["layers"]] + ["total"]
    assert machine.cpu_name() in lines[-1] and f"{saved['isa']}, 1 thread." in lines[-1]

    times = saved["milliseconds"]
    assert 0 < times["min"] <= times["p50"] <= times["p90"] <= times["p99"]
    assert saved["runs"] == 25 and saved["warm_up"] >= 3 and saved["input_shape"] == [2, 12, 10, 3]
    assert saved["bytes"] == net.stat().st_size and saved["environment"]["cpu"]
    assert sum(layer["share"] for layer in saved["layers"]) == pytest.approx(1)
    assert [layer["op"] for layer in saved["layers"]] == [
        "conv2d",
        "binary_conv_input2d",
        "global_average_pool",
        "dense",
    ]
    assert saved["layers"][0]["output_shape"] == [2, 12, 10, 8]


def test_images_per_second_and_percentiles():
    runs = latency.Latency("", "", 0, "", 1, (4, 8, 8, 3), (1.0, 2.0, 3.0, 10.0), 3, None, ())
    assert runs.images_per_second == 4 * 4 / 16e-3
    assert runs.percentiles == {"min": 1.0, "p50": 2.5, "p90": pytest.approx(7.9), "p99": pytest.approx(9.79)}
    assert "peak memory: unknown on this system" in str(runs)


def test_seconds_bound_the_time(net):
    measured = latency.measure(net, size=(8, 8), seconds=0.05)
    assert len(measured.milliseconds) >= 10
    assert sum(measured.milliseconds[:-1]) <= 50 or len(measured.milliseconds) == 10


@pytest.mark.skipif(not machine.forget_peak_memory(), reason="the system doesn't say what a part of a process takes")
def test_peak_memory_is_what_came_on_top(tmp_path):
    """A model of 16 MB, all of it touched; in a process of its own, since memory is kept and used again."""
    kernel = 2048
    model = keras.Sequential([keras.Input((kernel,)), keras.layers.Dense(kernel, use_bias=False)])
    path = bnn_tf.pack(model, tmp_path / "net.bnn").path
    code = (
        "import sys; from bnn_tf import latency\n"
        f"print(latency.measure({str(path)!r}, repeats=3).peak_memory_bytes)\n"
        "assert not {'tensorflow', 'keras', 'rich'} & set(sys.modules), 'imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True)
    assert 4 * kernel**2 <= int(done.stdout) <= 4 * 4 * kernel**2


def test_a_peak_that_cannot_be_forgotten_is_not_told(net, tmp_path, monkeypatch):
    """What the whole process took before is no figure of the model."""
    monkeypatch.setattr(machine, "_CLEAR_REFS", tmp_path)  # a folder: writing fails, as in some containers
    assert not machine.forget_peak_memory()
    measured = latency.measure(net, size=(8, 8), repeats=1)
    assert measured.peak_memory_bytes is None and "peak memory: unknown on this system" in str(measured)


@pytest.mark.parametrize("repeats", [0, -1])
def test_no_repeats(net, repeats):
    with pytest.raises(ArgumentError, match=f"`repeats` must be at least 1. Got {repeats}"):
        latency.measure(net, size=(8, 8), repeats=repeats)


def test_the_command_needs_no_tensorflow(net):
    code = (
        "import sys; from bnn_tf import cli\n"
        f"assert cli.main(['bench', {str(net)!r}, '--size', '8', '--repeats', '3']) == 0\n"
        "assert not {'tensorflow', 'keras', 'rich'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True)


def test_mistakes(net, tmp_path, capsys):
    assert "can't be opened: No such file" in error(capsys, tmp_path / "none.bnn")
    (tmp_path / "other.bnn").write_bytes(b"something else")
    assert "other.bnn: is no packed model" in error(capsys, tmp_path / "other.bnn")
    assert "isn't packed. Pack it: bnn-tf pack" in error(capsys, "net.keras")
    assert "takes images of any size. Say with `size` which one" in error(capsys, net)
    assert "the kernel is larger than the image" in error(capsys, net, "--size", 2)
    assert "--size takes height and width" in error(capsys, net, "--size", 1, 2, 3)
    assert "--layers is for layers, without a model" in error(capsys, net, "--layers", "8x8")
    assert "--repeats is for a packed model" in error(capsys, "--repeats", 3)
    assert "Use a smaller batch" in error(capsys, net, "--size", 200, "--batch", 10**9)
    for wrong in (("--batch", "0"), ("--seconds", "-1"), ("--seconds", "x"), ("--seconds", "1", "--repeats", "1")):
        with pytest.raises(SystemExit) as done:
            cli.main(["bench", str(net), *wrong])
        assert done.value.code == 2


def test_a_model_says_what_it_runs_with(net):
    model = PackedModel(net, threads=1)
    assert model.threads == 1 and model.file_bytes == net.stat().st_size
    assert model.isa in bnn_tf.ops.backend_info()["available_isas"]


def test_tables_align_signs_of_any_width():
    table = text_table(("name", "x"), [("é", "1"), ("猫", "22"), ("e\u0301", "3")], ("all", "26"))
    assert table.splitlines() == ["name   x", "é      1", "猫    22", "e\u0301      3", "all   26"]
    assert text_table(("a", "b", "c"), [("1", "2", "")], left=2) == "a  b  c\n1  2"


def test_memory_of_this_process():
    before = machine.memory_bytes()
    if before is None:
        assert machine.peak_memory_bytes() is None
    if not machine.forget_peak_memory():
        return
    block = np.ones(4_000_000)
    assert machine.peak_memory_bytes() >= before + block.nbytes // 2
