"""The tests of the TFLearn front end, each file in a process of its own: TFLearn switches it to TensorFlow 1."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT, TFLEARN

FILES = sorted(path.name for path in TFLEARN.glob("test_*.py"))


def tflearn_installed():
    spec = importlib.util.find_spec("tflearn")
    return spec is not None and spec.origin is not None


needs_tflearn = pytest.mark.skipif(not tflearn_installed(), reason="TFLearn isn't installed: pip install '.[tflearn]'")


def test_there_are_tests():
    assert len(FILES) > 4


@needs_tflearn
@pytest.mark.parametrize("name", FILES)
def test_in_a_process_of_its_own(name):
    # PYTEST_*: an outer pytest-xdist would make this one a worker of its own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", str(TFLEARN / name), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


@needs_tflearn
def test_the_tests_stay_out_of_a_process_that_does_not_name_them():
    others = [f"--ignore={path}" for path in (ROOT / "tests").glob("test_*.py") if path.name != "test_readme.py"]
    found = []
    for folder in ("tests", "tests/tflearn"):
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", *others, folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout
        found.append({line.split("::")[0] for line in done.stdout.splitlines() if "::" in line})
    assert found == [{"tests/test_readme.py"}, {f"tests/tflearn/{name}" for name in FILES}]


def test_the_package_alone_touches_nothing(run_python):
    run_python(
        """
import sys
import bnn_tf
import bnn_tf.frontends
import bnn_tf.frontends.checkpoints
import bnn_tf.training
import tensorflow as tf
from tensorflow.python.util import nest
from PIL import Image
assert "tflearn" not in sys.modules
assert not hasattr(nest, "is_sequence") and not hasattr(Image, "ANTIALIAS")
assert tf.executing_eagerly()
"""
    )


MISSING = """
import importlib.util
import tensorflow as tf
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "tflearn" else found(name, package)
try:
    import bnn_tf.frontends.tflearn
except ImportError as error:
    assert "pip install 'bnn_tf[tflearn]'" in str(error), error
else:
    raise AssertionError
assert tf.executing_eagerly()
"""


def test_without_tflearn_the_error_says_how_to_install_it(run_python):
    run_python(MISSING)


@needs_tflearn
def test_keras_models_built_before_are_warned_about_once(run_python):
    run_python(
        """
import warnings
import keras
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import bnn_tf.frontends.tflearn
    import bnn_tf.frontends.tflearn_layers
said = [str(each.message) for each in caught if "Keras models were already built" in str(each.message)]
assert len(said) == 1, said
"""
    )


@needs_tflearn
def test_keras_that_built_nothing_is_no_warning(run_python):
    run_python(
        """
import warnings
import keras
warnings.filterwarnings("error", message=".*Keras models.*")
import bnn_tf.frontends.tflearn
"""
    )


def examples():
    return sorted(path.stem for path in (ROOT / "examples" / "tflearn").glob("*.py"))


def run_example(name, *arguments):
    command = [sys.executable, str(ROOT / "examples" / "tflearn" / f"{name}.py"), "--data", "digits", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr}"
    return done.stdout


SHORT = {
    "lenet": ["--scheme", "bwn", "--width", "0.25", "--epochs", "3"],
    "alexnet": ["--scheme", "dorefa", "--width", "0.03", "--images", "300", "--epochs", "1"],
    "resnet": ["--scheme", "xnor", "--blocks", "1", "--width", "0.5", "--images", "300", "--epochs", "1"],
}


@needs_tflearn
@pytest.mark.parametrize("name", SHORT)
def test_examples_run(name, tmp_path):
    assert {"common", "pack", *SHORT} == set(examples())
    printed = run_example(name, *SHORT[name], "--out", str(tmp_path))
    accuracy = float(re.search(r"test accuracy ([\d.]+)% after", printed)[1])
    assert 0 <= accuracy <= 100 and (tmp_path / "logits.npy").exists() and (tmp_path / "model.index").exists()
    if name == "lenet":
        assert accuracy > 90
        printed = run_example("pack", str(tmp_path), "--scheme", "bwn", "--width", "0.25")
        assert "14 weights match" in printed
        found = json.loads(printed.splitlines()[-1])
        assert found["images"] == 599 and found["packed_differs"] == found["keras_differs"] == 0


@needs_tflearn
def test_another_keras_backend_is_refused(run_python):
    run_python(
        """
try:
    import bnn_tf.frontends.tflearn
except ValueError as error:
    assert "needs Keras' TensorFlow backend. Got jax" in str(error), error
else:
    raise AssertionError
""",
        KERAS_BACKEND="jax",
    )
