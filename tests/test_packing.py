"""A packed file computes what Keras computes: every network, every layer, exactly where there are integers."""

import keras
import numpy as np
import pytest
from conftest import SEED
from packed_cases import IMAGE, assert_agrees, assert_equal, functional, images, ops, packed, sequential, small, trained
from packed_oracle import PackedFile
from test_models import WALKED

import bnn_tf
from bnn_tf import layers, models
from bnn_tf.layers import ZeroMaps
from bnn_tf.runtime import PackedModel

L = keras.layers


@pytest.mark.parametrize(("name", "scheme"), WALKED, ids=["-".join(names) for names in WALKED])
def test_every_network_agrees_with_keras(name, scheme, tmp_path):
    model = small(name, scheme)
    result = bnn_tf.pack(model, tmp_path / "net.bnn")
    assert_agrees(PackedFile(result.path), model, images(model, 2), 1e-4)
    left = {"activation", "dropout", "batch_norm"} & set(result.report.ops)
    assert not left and (result.report.binary_weights > 0) == (scheme != "float")


def test_slopes_between_binary_layers(tmp_path):
    model = trained(models.build("bireal_cifar", "xnor", n=1, prelu=True, input_shape=(16, 16, 3), classes=4))
    file = packed(model, tmp_path)
    assert sum((node.get("activation") or {}).get("kind") == "prelu" for node in file.nodes) == 6
    assert_agrees(file, model, images(model, 2), 1e-4)


RELUS = [
    L.ReLU(),
    L.ReLU(6.0),
    L.ReLU(negative_slope=0.1),
    L.ReLU(2.0, 0.25),
    L.LeakyReLU(0.3),
    L.PReLU(shared_axes=[1, 2]),
    L.ELU(),
    L.Activation(L.LeakyReLU(0.1)),
]
NAMES = ("relu", "relu6", "leaky_relu", "sigmoid", "tanh", "hard_tanh", "elu", "selu", "gelu", "silu", "softplus")
LAYERS = {
    "conv": lambda: L.Conv2D(8, (3, 2), activation="relu"),
    "conv-same-strides": lambda: L.Conv2D(8, (3, 2), (2, 3), "same"),
    "conv-dilated-groups": lambda: L.Conv2D(8, 3, dilation_rate=2, groups=2, use_bias=False),
    "depthwise": lambda: L.DepthwiseConv2D(3, (2, 2), "same", depth_multiplier=2),
    "separable": lambda: L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="tanh"),
    "dense-of-pixels": lambda: L.Dense(5),
    "binary": lambda: layers.BinaryConv2D(8, (3, 2), 2, "same", groups=2),
    "binary-explicit": lambda: layers.BinaryConv2D(20, 3, padding=((1, 2), (0, 1)), dilation_rate=(2, 1)),
    "binary-tensor": lambda: layers.BinaryConv2D(8, 3, scaling="tensor", use_bias=False, activation="relu"),
    "input": lambda: layers.BinaryConvInput2D(8, 3, padding="same", groups=2),
    "input-padded-with-ones": lambda: layers.BinaryConvInput2D(8, 3, 2, "same", pad_value=1),
    "input-unscaled": lambda: layers.BinaryConvInput2D(40, 3, padding=((2, 1), (1, 0)), input_scaling=False),
    "binary-dense-of-pixels": lambda: layers.BinaryDense(5),
    "input-dense-of-pixels": lambda: layers.BinaryDenseInput(5),
    "max": lambda: L.MaxPooling2D((3, 2), (2, 1)),
    "max-same": lambda: L.MaxPooling2D(3, 2, "same"),
    "average": lambda: L.AveragePooling2D((2, 3)),
    "average-same": lambda: L.AveragePooling2D(3, 2, "same"),
    "global-average": lambda: L.GlobalAveragePooling2D(),
    "global-max": lambda: L.GlobalMaxPooling2D(keepdims=True),
    "batch-norm": lambda: L.BatchNormalization(),
    "batch-norm-bare": lambda: L.BatchNormalization(scale=False, center=False),
    "normalization": lambda: L.Normalization(),
    "normalization-given": lambda: L.Normalization(mean=2.0, variance=9.0),
    "rescaling": lambda: L.Rescaling(1 / 127.5, offset=-1),
    "rescaling-by-channel": lambda: L.Rescaling(np.arange(6.0), offset=np.arange(6.0) - 3),
    "lrn": lambda: layers.LocalResponseNormalization(1, 0.3, 0.6, 2.0),
    "pad": lambda: L.ZeroPadding2D(((1, 2), (0, 3))),
    "zero-maps": lambda: ZeroMaps(9),
    "windows": lambda: layers.Windows((3, 2), (2, 1)),
    "flatten": lambda: L.Flatten(),
    "reshape": lambda: L.Reshape((4, 9, -1)),
    "softmax": lambda: L.Softmax(),
    "softmax-in-conv": lambda: L.Conv2D(4, 1, activation="softmax"),
    **{
        f"relu-{number}": lambda layer=layer: type(layer).from_config(layer.get_config())
        for number, layer in enumerate(RELUS)
    },
    **{name: lambda name=name: L.Activation(name) for name in (*NAMES, "hard_sigmoid", "softmax", "linear")},
}


class TestLayers:
    @pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
    def test_one_layer(self, layer, tmp_path):
        model = sequential(layer(), L.Rescaling(1.5))
        x = images(model)
        assert_agrees(packed(model, tmp_path), model, x)

    @pytest.mark.parametrize(
        "layer",
        [
            L.Dense(7, activation="softmax"),
            layers.BinaryDense(7, activation="relu"),
            layers.BinaryDenseInput(7),
            layers.BinaryDenseInput(20, input_scaling=False, use_bias=False),
            L.PReLU(),
            L.BatchNormalization(),
        ],
        ids=lambda layer: layer.name,
    )
    def test_of_vectors(self, layer, tmp_path):
        model = sequential(L.Dense(33), layer, shape=(10,))
        x = images(model)
        file = packed(model, tmp_path)
        assert file.graph["input"] == {"shape": [1, 1, 10], "resizable": False}
        assert_equal(file.run(x.reshape(-1, 1, 1, 10)), model(x))
        assert_equal(PackedModel(file.path).predict(x), model(x))

    @pytest.mark.parametrize(
        ("layer", "shape"),
        [
            (lambda: L.Dense(7, activation=L.PReLU()), (5,)),
            (lambda: L.Dense(5, activation=L.PReLU(shared_axes=[1, 2])), IMAGE),
            (lambda: layers.BinaryConv2D(20, 3, activation=L.PReLU(shared_axes=[1, 2])), IMAGE),
        ],
        ids=["dense", "dense-of-pixels", "binary"],
    )
    def test_slopes_of_the_output(self, layer, shape, tmp_path):
        model = keras.Sequential([keras.Input(shape), layer()])
        model(images(model))  # Keras builds an activation that is a layer when it first sees values
        trained(model)
        assert_agrees(packed(model, tmp_path), model, images(model))

    @pytest.mark.parametrize("join", [L.Add, L.Subtract, L.Multiply, L.Maximum, L.Average, L.Concatenate])
    def test_two_branches(self, join, tmp_path):
        model = functional(lambda x: join()([L.Conv2D(4, 3)(x), L.ReLU()(L.Conv2D(4, 3)(x))]))
        x = images(model)
        assert_agrees(packed(model, tmp_path), model, x)

    def test_operators_of_tensors(self, tmp_path):
        model = functional(lambda x: keras.ops.relu(L.Conv2D(6, 1)(x) * x - x) + x)
        x = images(model)
        file = packed(model, tmp_path)
        assert ops(file) == ["conv2d", "multiply", "subtract", "activation", "add"]
        assert_agrees(file, model, x)

    def test_what_is_idle_at_inference_leaves_no_node(self, tmp_path):
        idle = [L.Dropout(0.5), L.GaussianNoise(1.0), L.SpatialDropout2D(0.5), L.RandomFlip(), L.RandomRotation(0.2)]
        idle += [L.RandomZoom(0.2), L.RandomTranslation(0.2, 0.2), L.RandomContrast(0.5), L.GaussianDropout(0.3)]
        idle += [L.AlphaDropout(0.5), L.ActivityRegularization(0.1), L.Identity()]
        model = sequential(*idle, L.Conv2D(2, 3), shape=(8, 8, 3))
        x = images(model)
        file = packed(model, tmp_path)
        assert ops(file) == ["conv2d"]
        assert_agrees(file, model, x)

    def test_models_in_models(self, tmp_path):
        inner = keras.Sequential([L.Conv2D(6, 3, padding="same"), L.BatchNormalization()], name="inner")
        model = functional(lambda x: L.Add()([inner(x), inner(inner(x))]))
        x = images(model)
        file = packed(model, tmp_path)
        assert next(node["name"] for node in file.nodes).startswith("inner/")
        assert len({node["name"] for node in file.nodes}) == len(file.nodes)
        assert_agrees(file, model, x)

    def test_a_sequential_model_flattens_and_classifies(self, tmp_path):
        model = sequential(L.Conv2D(4, 3), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5), L.Dense(3))
        x = images(model)
        assert_agrees(packed(model, tmp_path), model, x)

    def test_frozen_is_the_same_file(self, tmp_path):
        model = small("lenet", "xnor")
        trained, frozen = (
            bnn_tf.pack(each, tmp_path / "net.bnn").path.read_bytes() for each in (model, bnn_tf.freeze(model))
        )
        assert trained == frozen

    def test_convolutionized_takes_any_size(self, tmp_path):
        model = bnn_tf.convolutionize(small("lenet", "bwn"))
        file = packed(model, tmp_path)
        assert file.graph["input"] == {"shape": [None, None, 1], "resizable": True}
        x = np.random.default_rng(SEED).normal(size=(1, 40, 37, 1)).astype(np.float32)
        assert_agrees(file, model, x)


class TestExactness:
    def test_counts_of_bits_are_integers(self, tmp_path):
        options = {"scaling": "none", "input_scaling": False, "use_bias": False}
        model = sequential(
            layers.BinaryConvInput2D(37, 3, padding="same", **options),
            layers.BinaryConvInput2D(20, 3, strides=2, pad_value=-1, padding="same", **options),
            L.Flatten(),
            layers.BinaryDenseInput(5, **options),
        )
        x = images(model, 20)
        assert_agrees(packed(model, tmp_path), model, x, 0)

    def test_a_value_that_equals_the_mean_has_the_same_sign(self, tmp_path):
        """(x - mean) * scale is exactly 0 there, which counts as +1; x * scale + shift must not come out below."""
        norm = L.BatchNormalization(center=False)
        model = sequential(norm, layers.BinaryDenseInput(50, scaling="none", input_scaling=False), shape=(1, 1, 64))
        rng = np.random.default_rng(SEED)
        means = rng.integers(-5, 6, 64)
        norm.moving_mean.assign(means)
        x = np.broadcast_to(means, (1, 1, 1, 64)).astype(np.float32)
        file = packed(model, tmp_path)
        assert ops(file) == ["binary_conv_input2d"]
        assert_agrees(file, model, x, 0)
