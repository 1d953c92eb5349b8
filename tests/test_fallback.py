"""Where the C++ ops can't be loaded, the composed path takes over: with one warning, or none where it was asked for."""

import shutil

import pytest
from conftest import PACKAGE

USE = """
import sys
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from bnn_tf import layers, ops
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 6, 5, 4)).astype("float32"), rng.normal(size=(3, 3, 2, 6)).astype("float32")
    options = {"groups": 2, "strides": 2}
    packed = ops.pack_kernel(kernel, groups=2)
    for op in (ops.binary_conv2d, ops.binary_conv_input2d):
        y = op(x, kernel, **options)
        np.testing.assert_allclose(op(x, packed, **options), y, 1e-6)
    np.testing.assert_allclose(ops.binary_dense(x, ops.pack_kernel(kernel[0, 0][:, :1].repeat(2, 0))),
                               ops.binary_dense(x, kernel[0, 0][:, :1].repeat(2, 0)), 1e-6)
    layers.BinaryConv2D(3, 3)(x)
    assert op(np.zeros((2, 0, 5, 4)), kernel, **options).shape == (2, 0, 3, 6)
    try:
        op(x, kernel)
    except ValueError as error:
        print("error:", error)
print("sum:", float(np.sum(y)))
print("info:", ops.backend_info())
for warning in caught:
    if "bnn_tf" in str(warning.message):
        print("warning:", warning.category.__name__, warning.message)
print("file:", ops.__file__)
"""


def lines(printed, label):
    return [line.removeprefix(f"{label}: ") for line in printed.splitlines() if line.startswith(f"{label}: ")]


@pytest.fixture(scope="module")
def source_only(tmp_path_factory):
    """The package without a single shared object."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(PACKAGE, folder / "bnn_tf", ignore=shutil.ignore_patterns("*.so", "_build_info.py", "__pycache__"))
    return folder


@pytest.fixture(scope="module")
def reference(run_python):
    printed = run_python(USE)
    assert "'custom_ops': True" in lines(printed, "info")[0]
    assert not lines(printed, "warning")
    return printed


def assert_composed(printed, reference, reason):
    (info,) = lines(printed, "info")
    assert "'custom_ops': False" in info
    assert reason in info
    assert lines(printed, "error") == lines(reference, "error")
    assert float(lines(printed, "sum")[0]) == pytest.approx(float(lines(reference, "sum")[0]), rel=1e-5)


def test_disabled_on_request(run_python, reference):
    printed = run_python(USE, BNN_TF_DISABLE_OPS="1")
    assert_composed(printed, reference, "BNN_TF_DISABLE_OPS=1 is set")
    assert not lines(printed, "warning")


def test_no_shared_object_at_all(run_python, reference, source_only):
    printed = run_python(USE, PYTHONPATH=str(source_only))
    assert str(source_only) in lines(printed, "file")[0]
    assert_composed(printed, reference, "cannot open shared object file")
    (warning,) = lines(printed, "warning")
    assert warning.startswith(
        "RuntimeWarning bnn_tf: the C++ ops can't be loaded, so the slower composed path takes over. The reason: "
    )
    assert "Rebuild them for TensorFlow 2." in warning
    assert "./build_ops.sh build" in warning


def test_objects_built_for_another_tensorflow(run_python, reference, source_only, tmp_path):
    shutil.copytree(source_only / "bnn_tf", tmp_path / "bnn_tf")
    (tmp_path / "bnn_tf" / "_tf_ops.so").write_bytes(b"not to be opened")
    (tmp_path / "bnn_tf" / "_build_info.py").write_text('TENSORFLOW_VERSION = "2.9.1"\n')
    printed = run_python(USE, PYTHONPATH=str(tmp_path))
    assert_composed(printed, reference, "built for TensorFlow 2.9.1, and this is 2.")
    assert len(lines(printed, "warning")) == 1


def test_another_keras_backend_loads_no_tensorflow(run_python, reference):
    printed = run_python(USE + "\nprint('tensorflow:', 'tensorflow' in sys.modules)", KERAS_BACKEND="jax")
    assert_composed(printed, reference, "the Keras backend is jax")
    assert not lines(printed, "warning")
