"""The runtime installed alone: what works beside NumPy, and what the rest says."""

import contextlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import PACKAGE, ROOT
from PIL import Image

import bnn_tf
from bnn_tf import layers, loading, machine, missing


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The Python of an environment with NumPy and what `BNN_TF_RUNTIME_ONLY=1 pip install` leaves in it."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    here = Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (here / name).exists():
            (site / name).symlink_to(here / name)
    ignored = shutil.ignore_patterns("_tf_ops.so", "__pycache__", "_build_info.py")
    shutil.copytree(PACKAGE, site / "bnn_tf", ignore=ignored)
    template = (ROOT / "cmake" / "build_info.py.in").read_text(encoding="utf-8")
    text = template.replace("@TensorFlow_VERSION@", "").replace("@CMAKE_CXX_COMPILER_ID@", "of tests")
    (site / "bnn_tf" / "_build_info.py").write_text(text, encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), layers.BinaryDense(2)], name="flat")
    return bnn_tf.pack(model, tmp_path_factory.mktemp("net") / "net.bnn").path


def run(python, *arguments, code=0):
    """What a process printed on both streams."""
    command = [str(python), "-I", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_runtime_and_its_commands_run(alone, net, tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    code = f"""
import sys
import numpy as np
from bnn_tf.runtime import PackedModel
y = PackedModel({str(net)!r}).predict(np.load({str(tmp_path / "x.npy")!r}))
np.save({str(tmp_path / "y.npy")!r}, y)
known = {{"numpy", "bnn_tf", "__main__", *sys.stdlib_module_names}}
foreign = {{name.split(".")[0] for name in sys.modules}} - known
print("foreign:", *(name for name in foreign if not name.startswith("_")))
"""
    assert "foreign:\n" in run(alone, "-c", code)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), bnn_tf.runtime.PackedModel(net).predict(x))
    command = (alone, "-m", "bnn_tf.cli")
    assert run(*command, "summary", net).startswith("flat: ")
    assert run(*command, "predict", net, tmp_path / "x.npy").count("x.npy[") == 2
    assert "throughput: " in run(*command, "bench", net, "--repeats", 3)
    assert "predict" in run(*command, "--help")


@pytest.mark.skipif(not machine.forget_peak_memory(), reason="the system doesn't say what a part of a process takes")
def test_resnet18_takes_little_memory(alone, tmp_path):
    """Bi-Real's, at 224×224: less than 60 MB above the interpreter with NumPy, and a file of 4.2 MB at most."""
    model = bnn_tf.models.build("bireal_resnet18", "xnor")
    packed = bnn_tf.pack(model, tmp_path / "net.bnn")
    assert packed.bytes <= 4_200_000
    code = f"""
import numpy as np
from bnn_tf import machine
x = np.zeros((1, 224, 224, 3), np.float32)
before = machine.memory_bytes()
machine.forget_peak_memory()
from bnn_tf.runtime import PackedModel
assert PackedModel({str(packed.path)!r}).predict(x).shape == (1, 1000)
print(machine.peak_memory_bytes() - before)
"""
    assert int(run(alone, "-c", code)) < 60_000_000


def test_the_rest_says_what_is_missing(alone, net, tmp_path):
    whole = "Install all of bnn_tf: pip install . in its sources, without BNN_TF_RUNTIME_ONLY."
    for statement in ("import bnn_tf.layers", "from bnn_tf import pack", "import bnn_tf; bnn_tf.training"):
        printed = run(alone, "-c", statement, code=1)
        assert "needs keras and tensorflow" in printed and whole in printed
    command = (alone, "-m", "bnn_tf.cli")
    (tmp_path / "model.keras").touch()
    for arguments in (
        ("models",),
        ("bench",),
        ("summary", "lenet"),
        ("train",),
        ("compare",),
        ("pack", tmp_path / "model.keras", "-o", tmp_path / "other.bnn"),
        ("export", tmp_path / "model.keras", "-o", tmp_path / "other.onnx"),
    ):
        printed = run(*command, *arguments, code=2)
        assert printed.startswith("bnn-tf: error: ") and whole in printed and printed.count("\n") == 1, printed
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    assert "needs pillow" in run(*command, "predict", net, tmp_path / "picture.png", code=2)


def test_this_installation_is_whole():
    assert not loading.runtime_only()
    missing.check("bnn_tf.layers")


# The build.


def metadata(folder, **environment):
    """The lines of the METADATA that the wheel would have, and what is to be there to build it."""
    folder.mkdir()
    code = (
        "import sys; sys.path.insert(0, 'cmake'); import build_backend as backend\n"
        f"print(backend.prepare_metadata_for_build_wheel({str(folder)!r}))\n"
        "print(backend.get_requires_for_build_wheel(), file=sys.stderr)"
    )
    env = {"PATH": sysconfig.get_path("scripts"), "PYTHONPATH": "", **environment}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name = done.stdout.splitlines()[-1]
    return (folder / name / "METADATA").read_text(encoding="utf-8").splitlines(), done.stderr.splitlines()[-1]


def setuptools_version():
    with contextlib.suppress(PackageNotFoundError):
        return int(version("setuptools").split(".")[0])
    return 0


@pytest.mark.skipif(setuptools_version() < 77, reason="there is no setuptools to build with")
def test_the_wheel_asks_for_numpy_alone(tmp_path):
    lines, to_build = metadata(tmp_path / "alone", BNN_TF_RUNTIME_ONLY="1")
    assert [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line] == [
        "Requires-Dist: numpy"
    ]
    assert f"Version: {bnn_tf.__version__}+runtime" in lines
    assert to_build == "[]"
    lines, to_build = metadata(tmp_path / "whole")
    assert f"Version: {bnn_tf.__version__}" in lines and "tensorflow" in to_build
    assert any(line.startswith("Requires-Dist: tensorflow") for line in lines)
