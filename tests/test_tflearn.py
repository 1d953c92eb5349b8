"""The tests of the TFLearn front end, each file in a process of its own: TFLearn switches it to TensorFlow 1."""

import importlib.util
import os
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
    assert len(FILES) > 3


@needs_tflearn
@pytest.mark.parametrize("name", FILES)
def test_in_a_process_of_its_own(name):
    # PYTEST_*: an outer pytest-xdist would make this one a worker of its own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", str(TFLEARN / name), "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


def test_the_tests_stay_out_of_a_process_that_does_not_name_them():
    others = [f"--ignore={path}" for path in (ROOT / "tests").glob("test_*.py")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", *others, "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout


def test_the_package_alone_touches_nothing_and_says_what_is_missing(run_python):
    run_python(
        """
import importlib.util
import sys
import bnn_tf
import bnn_tf.frontends.checkpoints
import bnn_tf.training
import tensorflow as tf
from tensorflow.python.util import nest
from PIL import Image

found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "tflearn" else found(name, package)
try:
    import bnn_tf.frontends.tflearn
except ImportError as error:
    assert "pip install 'bnn_tf[tflearn]'" in str(error), error
else:
    raise AssertionError
assert "tflearn" not in sys.modules and tf.executing_eagerly()
assert not hasattr(nest, "is_sequence") and not hasattr(Image, "ANTIALIAS")
"""
    )


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
