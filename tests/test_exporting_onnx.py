"""ONNX exports, run by ONNX Runtime where it is installed, else by the package's own evaluator."""

import importlib.util
import os

import keras
import numpy as np
import pytest
from conftest import SEED
from export_cases import LAYERS, assert_twins, conv, layer_of, small_network
from packed_cases import IMAGE, functional, images, sequential, trained

import bnn_tf
from bnn_tf import layers, models

pytest.importorskip("onnx")


def onnx_run(path, x):
    """The output, by ONNX Runtime where it is there."""
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(os.fspath(path)).run(None, {"input": x})[0]


def assert_onnx(model, tmp_path, tolerance=1e-5):
    assert bnn_tf.export(model, tmp_path / "net.onnx").format == "onnx"
    for count in (1, 3):
        x = images(model, count)
        assert_twins(onnx_run(tmp_path / "net.onnx", x), np.asarray(model(x, training=False)), tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_onnx_of_each_layer(name, tmp_path):
    assert_onnx(sequential(layer_of(name), shape=(20,) if "dense" in name else IMAGE), tmp_path)


PLAIN = {
    "prelu": lambda: [keras.layers.Conv2D(4, 3), keras.layers.PReLU(shared_axes=[1, 2])],
    "relu6": lambda: [keras.layers.ReLU(6.0), keras.layers.LeakyReLU(0.1)],
    "functions": lambda: [
        keras.layers.Activation(name)
        for name in ("gelu", "silu", "elu", "selu", "softplus", "hard_sigmoid", "hard_tanh")
    ],
    "pools": lambda: [keras.layers.MaxPooling2D(3, 2, "same"), keras.layers.AveragePooling2D(2, 1, "same")],
    "lrn": lambda: [layers.LocalResponseNormalization(1, alpha=0.3)],
    "depthwise": lambda: [keras.layers.DepthwiseConv2D(3, 2, "same", 2), keras.layers.SeparableConv2D(4, 3)],
    "shapes": lambda: [keras.layers.ZeroPadding2D(((1, 0), (2, 3))), layers.ZeroMaps(9), keras.layers.Softmax()],
    "reshape": lambda: [keras.layers.Reshape((6, 9, 8)), conv(4, 3), keras.layers.Flatten(), keras.layers.Softmax()],
    "windows": lambda: [layers.Windows((2, 3), (2, 1)), keras.layers.GlobalMaxPooling2D(keepdims=True)],
}


@pytest.mark.parametrize("name", PLAIN)
def test_onnx_of_plain_layers(name, tmp_path):
    assert_onnx(sequential(*PLAIN[name]()), tmp_path)


def test_onnx_of_whole_networks(tmp_path):
    assert_onnx(small_network(), tmp_path)
    for prelu in (False, True):
        assert_onnx(trained(models.build("bireal_cifar", "xnor", n=1, classes=4, prelu=prelu)), tmp_path, 1e-4)
    elementwise = functional(
        lambda x: keras.layers.Concatenate()(
            [
                layer()([x, keras.layers.ReLU()(x)])
                for layer in (
                    keras.layers.Add,
                    keras.layers.Subtract,
                    keras.layers.Multiply,
                    keras.layers.Maximum,
                    keras.layers.Average,
                )
            ]
        )
    )
    assert_onnx(elementwise, tmp_path)


def test_onnx_of_any_size(tmp_path):
    model = sequential(conv(4, 3, strides=2, padding="same"), layers.BinaryConvInput2D(4, 3), shape=(None, None, 3))
    bnn_tf.export(model, tmp_path / "net.onnx")
    for size in ((9, 8), (12, 15)):
        x = np.random.default_rng(SEED).normal(size=(2, *size, 3)).astype("float32")
        assert_twins(onnx_run(tmp_path / "net.onnx", x), np.asarray(model(x, training=False)))
    padded = sequential(layers.BinaryConvInput2D(4, 3, padding="same", pad_value=1), shape=(None, None, 3))
    with pytest.raises(ValueError, match=r"pads with 1 an image whose size is open. Build the model for one size"):
        bnn_tf.export(padded, tmp_path / "padded.onnx")


def test_a_layer_that_onnx_has_no_rule_for(tmp_path):
    model = sequential(keras.layers.UpSampling2D(name="up"))
    with pytest.raises(ValueError, match=r"export: can't convert 'up' \(UpSampling2D\).* takes any layer of Keras"):
        bnn_tf.export(model, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_two_inputs(tmp_path):
    inputs = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(inputs, keras.layers.Add()(inputs), name="two")
    with pytest.raises(ValueError, match="model 'two' has 2 inputs and 1 outputs; expected one of each for ONNX"):
        bnn_tf.export(model, tmp_path / "net.onnx")
