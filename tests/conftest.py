"""Seeds, warnings and helpers that every test shares.

`BNN_TF_TEST_SEED=n pytest` draws other random numbers; a failing test prints the seed that it ran with.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bnn_tf

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(bnn_tf.__file__).parent
TFLEARN = ROOT / "tests" / "tflearn"
SEED = int(os.environ.get("BNN_TF_TEST_SEED", "0"))
# What a fresh interpreter must not inherit: a test that wants one of these sets it.
CHOICES = (
    "BNN_TF_DISABLE_OPS",
    "BNN_TF_ISA",
    "BNN_TF_THREADING",
    "KERAS_BACKEND",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("filterwarnings", "error")
    # From inside other packages, where we can do nothing about them.
    config.addinivalue_line(
        "filterwarnings", "ignore::DeprecationWarning:(tensorflow|keras|google|flatbuffers|jax|numpy).*"
    )
    config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnraisableExceptionWarning")
    config.addinivalue_line("markers", "data: needs the public data sets (BNN_TF_DATA_DIR)")


def pytest_ignore_collect(collection_path, config):
    """TFLearn switches its process to TensorFlow 1: its tests run only where they are named, or by test_tflearn.py."""
    named = any(TFLEARN in (path := Path(arg.split("::")[0]).resolve(), *path.parents) for arg in config.args)
    return True if collection_path.resolve() == TFLEARN and not named else None


def pytest_report_header(config):
    return f"BNN_TF_TEST_SEED={SEED}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        report.sections.append(("seed", f"BNN_TF_TEST_SEED={SEED}"))


@pytest.fixture
def rng():
    """Random numbers from the seed, the same whichever tests run."""
    return np.random.default_rng(SEED)


@pytest.fixture(autouse=True)
def seeded():
    """Seeds Keras and TensorFlow too, where they are in use."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(SEED)


@pytest.fixture(scope="session")
def data_dir():
    """Where the public data sets lie; the test is skipped without."""
    path = os.environ.get("BNN_TF_DATA_DIR")
    if not path or not Path(path).is_dir():
        pytest.skip("BNN_TF_DATA_DIR doesn't name a folder")
    return Path(path)


@pytest.fixture(scope="session")
def run_python():
    """Runs code in a fresh interpreter and returns what it printed; fails with its traceback."""

    def run(code, *arguments, **environment):
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(ROOT / "tests")]),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        for name in CHOICES:
            env.pop(name, None)
        command = [
            sys.executable,
            "-P",
            "-c",
            code,
            *map(str, arguments),
        ]  # -P: a checkout in the current folder doesn't count
        done = subprocess.run(command, env=env | environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
