"""Exports: what they compute where bnn_tf isn't there, and what is refused."""

import sys

import keras
import numpy as np
import pytest
from conftest import SEED
from export_cases import BLOCKS, DOCUMENT, LAYERS, assert_twins, layer_of, small_network
from packed_cases import IMAGE, functional, images, sequential, trained

import bnn_tf
from bnn_tf import cli, exporting, layers, models
from bnn_tf.commands.export import _FORMATS
from bnn_tf.errors import MissingPartError

# Run in a folder of exports where bnn_tf isn't; first without its ops, then as the document loads them.
CHECK = """
import os, sys
import numpy as np, tensorflow as tf
os.chdir(sys.argv[1])
images, expected = np.load("x.npy"), np.load("y.npy")
def close(y, tolerance):
    error = np.abs(y - expected).max() / np.abs(expected).max()
    assert y.shape == expected.shape and error <= tolerance, error
floats = tf.saved_model.load("floats")
close(floats.serve(images).numpy(), 1e-5)
lite = tf.lite.Interpreter("net.tflite").get_signature_runner("serving_default")
(name,) = lite.get_input_details()
(y,) = lite(**{name: images}).values()
close(y, 1e-4)
DOCUMENT
close(scores.numpy(), 1e-6)
served = model.signatures["serving_default"]
(name,) = served.structured_input_signature[1]
(y,) = served(**{name: tf.constant(images)}).values()
close(y.numpy(), 1e-6)
assert not [name for name in sys.modules if name.startswith("bnn_tf")]
print("checked")
"""


@pytest.mark.parametrize("name", LAYERS)
def test_a_float_twin_of_each_layer(name):
    layer = layer_of(name)
    model = sequential(layer, shape=(20,) if "dense" in name else IMAGE)
    x = images(model)
    expected = np.asarray(model(x, training=False))
    twin = exporting.float_twin(model)
    assert_twins(twin(x), expected)
    assert_twins(exporting.float_twin(bnn_tf.freeze(model))(x), expected)
    assert not exporting.floats.has_binary_layers(twin) and not twin.trainable_weights


@pytest.mark.parametrize("scheme", ["bwn", "xnor"])
@pytest.mark.parametrize(("name", "options"), [("bireal_cifar", {"n": 1}), ("nin", {"width": 0.25})])
def test_float_twins_of_networks(name, options, scheme):
    model = trained(models.build(name, scheme, input_shape=(32, 32, 3), classes=4, **options))
    x = images(model)
    assert_twins(exporting.float_twin(model)(x), np.asarray(model(x, training=False)), 1e-4)


def test_shared_nested_and_time_distributed_layers():
    dense = layers.BinaryDense(6, activation="relu")
    inner = keras.Sequential([keras.Input((6,)), layers.BinaryDenseInput(6)])

    def call(x):
        return inner(dense(keras.layers.TimeDistributed(inner)(dense(x))[:, 0]))

    x = keras.Input((4, 6))
    model = trained(keras.Model(x, call(x)))
    values = np.random.default_rng(SEED).normal(size=(3, 4, 6)).astype("float32")
    assert_twins(exporting.float_twin(model)(values), np.asarray(model(values, training=False)))


def test_where_bnn_tf_is_not(run_python, tmp_path):
    """SavedModels and LiteRT in a process that never imports bnn_tf."""
    model = small_network()
    x = images(model, 2)
    exported = bnn_tf.export(model, tmp_path / "net")
    assert exported.format == "saved_model" and "one bit a binary weight" in str(exported)
    assert bnn_tf.export(bnn_tf.freeze(model), tmp_path / "floats", "float_saved_model").bytes > 0
    assert bnn_tf.export(model, tmp_path / "net.tflite").format == "litert"
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.asarray(model(x, training=False)))
    assert "checked" in run_python(CHECK.replace("DOCUMENT", BLOCKS["saved_model"]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["floats", "net", "net.tflite", "x.npy", "y.npy"]


@pytest.mark.parametrize("name", ["packed", "onnx"])
def test_the_documents_examples(name, tmp_path, monkeypatch):
    if name == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    model = small_network()
    bnn_tf.pack(model, tmp_path / "net.bnn")
    if name == "onnx":
        bnn_tf.export(model, tmp_path / "net.onnx")
    monkeypatch.chdir(tmp_path)
    values = {"images": images(model)}
    exec(BLOCKS[name], values)
    assert_twins(values["scores"], np.asarray(model(values["images"], training=False)))


def test_a_saved_model_with_the_ops_is_small(tmp_path):
    model = models.build("lenet", "bwn")
    exported = bnn_tf.export(model, tmp_path / "ops")
    library = (tmp_path / "ops" / "assets.extra" / "libbnn_tf.so").stat().st_size
    assert exported.bytes - library < 1_000_000 < 4 * model.count_params()


# What is refused.


class TestMistakes:
    @pytest.fixture
    def model(self):
        return sequential(layers.BinaryDense(3), shape=(8,))

    def test_models(self, model, tmp_path):
        out = tmp_path / "net"
        with pytest.raises(ValueError, match=r"export: `model` must be a Keras model. Got 3"):
            bnn_tf.export(3, out)
        with pytest.raises(ValueError, match=r"export: model 'unbuilt' has no weights yet"):
            bnn_tf.export(keras.Sequential([layers.BinaryDense(3)], name="unbuilt"), out)
        floats = sequential(keras.layers.Dense(3), shape=(8,))
        with pytest.raises(ValueError, match=r'has no binary layer, .* Export "float_saved_model"'):
            bnn_tf.export(floats, out)
        wrapped = keras.layers.SpectralNormalization(layers.BinaryDense(3), name="wrapper")
        with pytest.raises(ValueError, match=r"export: can't freeze .* in the wrapper 'wrapper' .* Expected TimeDist"):
            bnn_tf.export(sequential(wrapped, shape=(8,)), out, "float_saved_model")
        assert not list(tmp_path.iterdir())

    def test_paths(self, model, tmp_path):
        (tmp_path / "there").mkdir()
        (tmp_path / "file").write_text("kept")
        for path in ("there", "file"):
            with pytest.raises(ValueError, match=f"{path} is there already. Remove it, or name a folder that isn't"):
                bnn_tf.export(model, tmp_path / path)
        with pytest.raises(ValueError, match=r"there is a folder\. Name a file in it"):
            bnn_tf.export(model, tmp_path / "there", "litert")
        for path in ("none/net.tflite", "none/net", "none/net.onnx"):
            with pytest.raises(ValueError, match=r"there is no folder .*none to write net"):
                bnn_tf.export(model, tmp_path / path)
        with pytest.raises(ValueError, match=r"Unknown format 'onxx'. Did you mean onnx\?"):
            bnn_tf.export(model, tmp_path / "net", "onxx")
        assert (tmp_path / "file").read_text() == "kept"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]

    def test_a_failed_export_leaves_the_file_that_was_there(self, tmp_path):
        def call(x):
            return keras.ops.linalg.svd(x, compute_uv=False)

        model = functional(lambda x: keras.layers.Lambda(call)(keras.layers.Dense(4)(x))[:, 0], (4, 4))
        (tmp_path / "net.tflite").write_text("kept")
        with pytest.raises(ValueError, match=r"LiteRT can't express model .*Svd.* Export"):
            bnn_tf.export(model, tmp_path / "net.tflite")
        assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]

    def test_without_onnx(self, model, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)  # importing it fails
        with pytest.raises(MissingPartError, match="pip install onnx"):
            bnn_tf.export(model, tmp_path / "net.onnx")

    def test_without_the_ops(self, run_python, tmp_path):
        code = """
import sys, keras, bnn_tf
model = keras.Sequential([keras.Input((8,)), bnn_tf.layers.BinaryDense(3)])
try:
    bnn_tf.export(model, sys.argv[1])
except ValueError as error:
    print(error)
"""
        printed = run_python(code, tmp_path / "net", BNN_TF_DISABLE_OPS="1")
        assert "needs them here, too" in printed and 'Export "float_saved_model" instead' in printed


# The command line.


class TestCommand:
    def test_it_writes_what_the_path_says(self, tmp_path, capsys):
        sequential(layers.BinaryDense(3), shape=(8,)).save(tmp_path / "model.keras")
        arguments = ["export", str(tmp_path / "model.keras"), "-o"]
        assert cli.main([*arguments, str(tmp_path / "net.tflite")]) == 0
        assert capsys.readouterr().out.endswith("a LiteRT (TensorFlow Lite) model of plain float ops\n")
        assert cli.main([*arguments, str(tmp_path / "net"), "--format", "float_saved_model"]) == 0
        assert (tmp_path / "net" / "saved_model.pb").exists() and (tmp_path / "net.tflite").stat().st_size > 100
        assert cli.main([*arguments, str(tmp_path / "net")]) == 2
        assert "is there already" in capsys.readouterr().err

    def test_it_knows_every_format(self):
        assert tuple(exporting.FORMATS) == _FORMATS


def test_the_document_names_every_format():
    assert [name for name in exporting.FORMATS if f'"{name}"' not in DOCUMENT] == []
