"""The composed path in graphs and sessions: what serves where the C++ ops can't be loaded, or aren't wanted."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bnn_tf import ops
from bnn_tf.frontends import tflearn_training
from bnn_tf.frontends.tflearn import (
    binary_conv_2d,
    binary_conv_input_2d,
    binary_fully_connected,
    binary_fully_connected_input,
    lenet,
    tflearn,
)

pytest_plugins = ["tflearn_fixtures"]

LAYERS = {
    "conv": lambda x, **options: binary_conv_2d(x, 4, 3, **options),
    "strided": lambda x, **options: binary_conv_2d(x, 4, [2, 3], [2, 1], "valid", **options),
    "conv of signs": lambda x, **options: binary_conv_input_2d(x, 4, 3, 2, **options),
    "padded": lambda x, **options: binary_conv_input_2d(x, 4, 3, pad_value=-1, input_scaling=False, **options),
    "dense": lambda x, **options: binary_fully_connected(x, 4, **options),
    "dense of signs": lambda x, **options: binary_fully_connected_input(x, 4, **options),
}
SHAPES = {"strided": (2, 3, 3, 4), "dense": (126, 4), "dense of signs": (126, 4)}


@pytest.mark.parametrize("ste", ["identity", "approx_sign"])  # the op's own, and one by a gradient of Keras' operations
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_the_ops(name, ste, image, run, rng):
    x = rng.normal(size=(2, 6, 7, 3)).astype("float32")
    w = rng.normal(size=SHAPES.get(name, (3, 3, 3, 4))).astype("float32")
    net = image(6, 7, 3)
    assert ops.backend_info()["custom_ops"]
    y = LAYERS[name](net, weights_init=w, ste=ste, scope="ops")
    with ops.composed_path():
        composed = LAYERS[name](net, weights_init=w, ste=ste, scope="composed")
    fast, slow = ({node.type for node in tensors_above(each)} for each in (y, composed))
    assert any(kind.startswith("Binary") for kind in fast) and not any(kind.startswith("Binary") for kind in slow)
    assert composed.shape.as_list() == y.shape.as_list()
    found = run([y, *tf.gradients(y**2, [net, y.W])], {net: x})
    expected = run([composed, *tf.gradients(composed**2, [net, composed.W])], {net: x})
    for each, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, right, rtol=1e-4, atol=1e-4 * np.abs(right).max())


def tensors_above(tensor):
    """The operations that a tensor comes from."""
    found, left = set(), [tensor.op]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += [each.op for each in node.inputs]
    return found


@pytest.mark.parametrize("scheme", ["bwn", "xnor"])
def test_it_trains(scheme, rng, tmp_path):
    labels = np.arange(64) % 2
    x = (rng.normal(size=(64, 8, 8, 1)) + (2 * labels - 1)[:, None, None, None]).astype("float32")
    y = np.eye(2, dtype="float32")[labels]
    with ops.composed_path():
        logits = lenet(tflearn.input_data([None, 8, 8, 1]), scheme, 2, width=0.1)
        net = tflearn.regression(logits, loss="softmax_categorical_crossentropy", learning_rate=0.01)
        model = tflearn.DNN(net, tensorboard_dir=str(tmp_path))
    before, _ = tflearn_training.evaluate(model.predict(x), labels)
    model.fit(x, y, n_epoch=30, snapshot_epoch=False)
    after, _ = tflearn_training.evaluate(model.predict(x), labels)
    assert after < 0.8 * before


def test_without_the_ops(run_python):
    """BNN_TF_DISABLE_OPS=1 is the same path, and says so."""
    run_python(
        """
import numpy as np
from bnn_tf import ops
from bnn_tf.frontends.tflearn import binary_conv_input_2d, tflearn
import tensorflow.compat.v1 as tf
assert ops.backend_info()["custom_ops"] is False and "BNN_TF_DISABLE_OPS" in ops.backend_info()["reason"]
x = tflearn.input_data([None, 5, 5, 2])
y = binary_conv_input_2d(x, 3, 3, input_scaling=False, scaling="none", bias=False)
gradient = tf.gradients(y, [y.W])[0]
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    value, slope = session.run([y, gradient], {x: np.ones((4, 5, 5, 2), "float32")})
assert value.shape == (4, 5, 5, 3) and (value == np.round(value)).all() and slope.shape == (3, 3, 2, 3)
""",
        BNN_TF_DISABLE_OPS="1",
    )


def test_ops_alone_in_a_graph(run, rng):
    """Without the front end's layers: the sizes of TensorFlow 1 are objects, not numbers."""
    x, w = rng.normal(size=(2, 5, 5, 3)).astype("float32"), rng.normal(size=(3, 3, 3, 4)).astype("float32")
    images = tf.placeholder(tf.float32, [None, 5, 5, 3])
    for options in ({"strides": 2}, {"strides": 2, "dilations": 2}, {"strides": (1, 2), "padding": "valid"}):
        with ops.composed_path():
            composed = ops.binary_conv_input2d(images, tf.constant(w), **options)
        fast = ops.binary_conv_input2d(images, tf.constant(w), **options)
        value, right = run([fast, composed], {images: x})
        np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-4)
    grouped = rng.normal(size=(3, 3, 1, 6)).astype("float32")
    with ops.composed_path():
        composed = ops.binary_conv_input2d(images, tf.constant(grouped), groups=3)
    value, right = run([ops.binary_conv_input2d(images, tf.constant(grouped), groups=3), composed], {images: x})
    np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-4)
