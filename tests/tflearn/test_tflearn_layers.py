"""The binary layers against the definition in NumPy, and against TFLearn's own in everything but the arithmetic."""

import inspect

import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf
from test_architecture import TENSORFLOW_1, check_docstrings, run_examples

from bnn_tf import ops, quantizers
from bnn_tf.frontends import tflearn as frontend
from bnn_tf.frontends.tflearn import (
    binary_conv_2d,
    binary_conv_input_2d,
    binary_fully_connected,
    binary_fully_connected_input,
    binary_residual_block,
    tflearn,
)

pytest_plugins = ["tflearn_fixtures"]

CONVS = [binary_conv_2d, binary_conv_input_2d]
DENSE = [binary_fully_connected, binary_fully_connected_input]
TWINS = [
    (binary_conv_2d, tflearn.conv_2d),
    (binary_conv_input_2d, tflearn.conv_2d),
    (binary_fully_connected, tflearn.fully_connected),
    (binary_fully_connected_input, tflearn.fully_connected),
    (binary_residual_block, tflearn.residual_block),
]


@pytest.mark.parametrize("name", TENSORFLOW_1)
def test_docstrings(name):
    check_docstrings(name)
    run_examples(name)


def test_every_layer_is_tested():
    layers = {name for name in frontend.__all__ if name.startswith("binary_")}
    assert {layer.__name__ for layer, _ in TWINS} == layers


@pytest.mark.parametrize(("binary", "plain"), TWINS, ids=lambda function: function.__name__)
def test_order_and_defaults_are_tflearns(binary, plain):
    ours, theirs = (list(inspect.signature(function).parameters.values()) for function in (binary, plain))
    for own, other in zip(ours, theirs, strict=False):
        assert own.name == other.name
        if own.name != "name":
            assert own.default == other.default
    assert len(ours) > len(theirs)


STRIDES = [(1, "same"), (2, "valid"), ([2, 1], "same"), ([1, 3, 2, 1], "SAME")]


def pair(strides):
    """(height, width), of any of TFLearn's forms."""
    return (strides, strides) if isinstance(strides, int) else tuple(strides[1:3] if len(strides) == 4 else strides)


def tensors(rng, *shapes):
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


class TestArithmetic:
    @pytest.mark.parametrize("scaling", ["channel", "tensor", "none"])
    @pytest.mark.parametrize(("strides", "padding"), STRIDES)
    def test_conv(self, image, run, rng, scaling, strides, padding):
        x, w = tensors(rng, (3, 7, 6, 5), (3, 2, 5, 4))
        net = image(7, 6, 5)
        y = binary_conv_2d(net, 4, [3, 2], strides, padding, weights_init=w, scaling=scaling)
        expected = oracle.conv2d(x, w, pair(strides), padding.lower(), scaling=scaling)
        np.testing.assert_allclose(run(y, {net: x}), expected, rtol=2e-5, atol=2e-5)

    @pytest.mark.parametrize("pad_value", [-1, 0, 1])
    @pytest.mark.parametrize("input_scaling", [False, True])
    def test_conv_input(self, image, run, rng, pad_value, input_scaling):
        x, w = tensors(rng, (2, 6, 7, 5), (3, 3, 5, 4))
        net = image(6, 7, 5)
        options = {"input_scaling": input_scaling, "pad_value": pad_value}
        y = binary_conv_input_2d(net, 4, 3, 2, weights_init=w, **options)
        expected = oracle.conv2d(x, w, (2, 2), "same", binary_input=True, **options)
        np.testing.assert_allclose(run(y, {net: x}), expected, rtol=2e-5, atol=2e-5)

    @pytest.mark.parametrize("layer", DENSE)
    def test_dense_flattens(self, image, run, rng, layer):
        x, w = tensors(rng, (3, 2, 2, 5), (20, 4))
        net = image(2, 2, 5)
        expected = oracle.dense(x.reshape(3, 20), w, binary_input=layer is binary_fully_connected_input) + 0.5
        y = layer(net, 4, weights_init=w, bias_init=np.full(4, 0.5, "float32"))
        np.testing.assert_allclose(run(y, {net: x}), expected, rtol=2e-5, atol=2e-5)

    @pytest.mark.parametrize("ste", ["identity", "clip"])
    @pytest.mark.parametrize("binary_input", [False, True])
    @pytest.mark.parametrize("scaling", ["channel", "tensor", "none"])
    def test_gradients(self, image, run, rng, ste, binary_input, scaling):
        x, w, dy = tensors(rng, (2, 5, 6, 3), (3, 3, 3, 4), (2, 3, 3, 4))
        net = image(5, 6, 3)
        layer = binary_conv_input_2d if binary_input else binary_conv_2d
        y = layer(net, 4, 3, 2, weights_init=w, bias=False, scaling=scaling, ste=ste)
        found = run(tf.gradients(y, [net, y.W], tf.constant(dy)), {net: x})
        expected = oracle.conv2d_gradients(x, w, dy, (2, 2), scaling=scaling, ste=ste, binary_input=binary_input)
        for each, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(each, right, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("name", [name for name in quantizers.names() if name not in ("ede", "reste")])
    def test_every_quantizer_that_stays_as_it_is(self, image, run, rng, name):
        """With one output pixel and no scale, d y / d W is the input times the pseudo-gradient."""
        x, w = tensors(rng, (1, 3, 3, 2), (3, 3, 2, 1))
        net = image(3, 3, 2)
        y = binary_conv_2d(net, 1, 3, padding="valid", weights_init=w, bias=False, scaling="none", ste=name)
        to_x, to_w = run(tf.gradients(y, [net, y.W]), {net: x})
        np.testing.assert_array_equal(to_x[0], np.where(w >= 0, 1, -1)[..., 0])
        pseudo = run(quantizers.get(name).pseudo_gradient(tf.constant(w)))
        np.testing.assert_allclose(to_w, x[0][..., None] * pseudo, rtol=1e-5, atol=1e-6)

    def test_input_gradient_is_clipped(self, image, run):
        x = np.array([[0.5, -0.5, 2.0, -2.0]], "float32")
        net = image(4)
        y = binary_fully_connected_input(
            net, 1, weights_init=np.ones((4, 1), "float32"), bias=False, scaling="none", input_scaling=False
        )
        (to_x,) = run(tf.gradients(y, [net]), {net: x})
        assert to_x.tolist() == [[1, 1, 0, 0]]

    def test_ops_take_variables_of_tensorflow_1(self, run, rng):
        x = rng.normal(size=(2, 5)).astype("float32")
        w = tf.get_variable("w", initializer=rng.normal(size=(5, 3)).astype("float32"))
        y = ops.binary_dense(x, w)
        value, values, gradient = run([y, w, tf.gradients(y, [w])[0]])
        np.testing.assert_allclose(value, x @ np.where(values >= 0, 1, -1) * np.abs(values).mean(axis=0), rtol=1e-5)
        assert gradient.shape == (5, 3) and np.abs(gradient).max() > 0


class TestVariables:
    @pytest.mark.parametrize("layer", CONVS)
    def test_scope_names_and_attributes(self, image, layer):
        y = layer(image(8, 8, 3), 4, 3, scope="block/conv1")
        assert (y.W.name, y.b.name, y.scope.name) == ("block/conv1/W:0", "block/conv1/b:0", "block/conv1")
        assert layer(image(8, 8, 3), 4, 3, bias=False).b is None

    @pytest.mark.parametrize(("binary", "plain"), TWINS[:4], ids=lambda function: function.__name__)
    def test_collections_are_tflearns(self, image, binary, plain):
        found = []
        for layer, scope in ((binary, "ours"), (plain, "theirs")):
            arguments = (4, 3) if "conv" in layer.__name__ else (4,)
            y = layer(image(6, 6, 3), *arguments, scope=scope, restore=False, regularizer="L2", activation="relu")
            keys = tf.get_default_graph().get_all_collection_keys()
            members = {key: tf.get_collection(key, scope=f"{scope}/") for key in keys}
            found.append({key.replace(scope, "SCOPE"): len(values) for key, values in members.items() if values})
            assert tf.get_collection(f"{tf.GraphKeys.LAYER_VARIABLES}/{scope}") == [y.W, y.b]
            assert tf.get_collection(f"{tf.GraphKeys.LAYER_TENSOR}/{scope}") == [y]
            assert y in tf.get_collection(tf.GraphKeys.ACTIVATIONS)
            assert tflearn.get_layer_by_name(scope) is y
        assert found[0] == found[1]

    def test_default_names_are_numbered(self, image):
        net = image(8, 8, 3)
        assert [binary_conv_2d(net, 4, 3).scope.name for _ in range(2)] == ["BinaryConv2D", "BinaryConv2D_1"]

    @pytest.mark.parametrize("kind", ["name", "function", "tensor", "array", "list"])
    def test_initializers(self, image, run, kind):
        values = np.arange(27 * 2, dtype="float32").reshape(3, 3, 3, 2) / 27 - 0.5
        initializers = {
            "name": "uniform",
            "function": tf.constant_initializer(values),
            "tensor": tf.constant(values),
            "array": values,
            "list": values.tolist(),
        }
        y = binary_conv_2d(image(4, 4, 3), 2, 3, weights_init=initializers[kind], bias_init=[0.25, -0.25])
        w, b = run([y.W, y.b])
        assert b.tolist() == [0.25, -0.25]
        if kind == "name":
            assert 0 <= w.min() < w.max() < 1
        else:
            np.testing.assert_array_equal(w, values)

    def test_reuse_shares_variables(self, image):
        net = image(8, 8, 3)
        first = binary_conv_2d(net, 4, 3, scope="shared")
        second = binary_conv_2d(net, 4, 3, scope="shared", reuse=True)
        assert first.W is second.W and len(tf.trainable_variables()) == 2
        with pytest.raises(ValueError, match="already exists"):
            binary_conv_2d(net, 4, 3, scope="shared")

    def test_trainable_restore_and_regularizer(self, image, run):
        y = binary_conv_2d(image(4, 4, 3), 2, 3, trainable=False, restore=False, regularizer="L2", weight_decay=0.5)
        assert not tf.trainable_variables()
        assert tf.get_collection(tf.GraphKeys.EXCL_RESTORE_VARS) == [y.W, y.b]
        (penalty,) = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        w, value = run([y.W, penalty])
        assert value == pytest.approx(0.25 * (w**2).sum(), rel=1e-5)

    def test_arg_scope(self, image):
        with tflearn.vendor.arg_scope.arg_scope([binary_conv_2d], bias=False, activation="relu"):
            y = binary_conv_2d(image(4, 4, 3), 2, 3)
            assert y.b is None and y.op.type == "Relu"
            assert binary_conv_2d(image(4, 4, 3), 2, 3, bias=True).b is not None
        with tflearn.vendor.arg_scope.arg_scope([tflearn.variables.variable], trainable=False):
            binary_conv_2d(image(4, 4, 3), 2, 3, scope="after")
        assert binary_conv_2d(image(4, 4, 3), 2, 3).b is not None


MISTAKES = [
    pytest.param(binary, plain, mistake, id=f"{binary.__name__}-{mistake}")
    for binary, plain in TWINS[:4]
    for mistake in ("rank", "activation", "no activation", "initializer", "padding", "strides")
    if "conv" in plain.__name__ or mistake not in ("padding", "strides")
]


class TestMistakes:
    @pytest.mark.parametrize(("binary", "plain", "mistake"), MISTAKES)
    def test_errors_are_tflearns(self, binary, plain, mistake):
        conv = "conv" in plain.__name__
        shape = {"rank": [None, 6, 3] if conv else [None]}.get(mistake, [None, 6, 6, 3])
        options = {
            "activation": {"activation": "reluu"},
            "no activation": {"activation": 3},
            "padding": {"padding": "full"},
            "strides": {"strides": [1, 2, 3]},
            "initializer": {"weights_init": "glorott"},
        }.get(mistake, {})
        raised = []
        for layer in (binary, plain):
            with tf.Graph().as_default(), pytest.raises(Exception) as caught:
                layer(tf.placeholder(tf.float32, shape), *((4, 3) if conv else (4,)), **options)
            raised.append((caught.type, str(caught.value)))
        assert raised[0] == raised[1]

    def test_values_of_another_shape(self, image):
        with pytest.raises(
            ValueError, match=r"conv/W must be of shape \[3, 3, 3, 4\]. Its initial values are of shape"
        ):
            binary_conv_2d(image(4, 4, 3), 4, 3, weights_init=np.ones((5, 5, 3, 4), "float32"), scope="conv")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"strides": [2, 1, 1, 1]}, "Strides along batch and channels must be 1"),
            ({"scaling": "filter"}, 'unknown `scaling` "filter"'),
            ({"ste": "identitty"}, "Unknown quantizer 'identitty'"),
            ({"ste": "ede"}, "'ede' changes in the course of training"),
        ],
    )
    def test_what_the_op_cannot_do(self, image, options, message):
        with pytest.raises(ValueError, match=message):
            binary_conv_2d(image(4, 4, 3), 4, 3, **options)

    def test_unknown_sizes(self):
        with pytest.raises(ValueError, match="The channels of the input must be known"):
            binary_conv_2d(tf.placeholder(tf.float32, [None, 4, 4, None]), 4, 3)
        with pytest.raises(ValueError, match="All sizes but the batch must be known"):
            binary_fully_connected(tf.placeholder(tf.float32, [None, None]), 4)
