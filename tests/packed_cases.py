"""Models to pack, and what a packed one must be equal to."""

import keras
import numpy as np
from conftest import SEED
from packed_oracle import PackedFile
from test_models import smallest

import bnn_tf
from bnn_tf import models
from bnn_tf.runtime import PackedModel

IMAGE = (9, 8, 6)
# Nodes from which on NumPy takes long; such networks repeat the blocks of others.
DEEP = 100
# Of weights that start as 0 or 1, which would hide mistakes.
LIMITS = {
    "gamma": (-1.5, 1.5),
    "beta": (-0.5, 0.5),
    "moving_mean": (-0.5, 0.5),
    "moving_variance": (0.3, 2),
    "mean": (-0.5, 0.5),
    "variance": (0.3, 2),
    "bias": (-0.5, 0.5),
    "alpha": (-0.5, 0.5),
}


def trained(model):
    """The same model with biases and statistics as after a training; kernels start at random anyway."""
    rng = np.random.default_rng(SEED)
    for weight in model.weights:
        if weight.name in LIMITS:
            weight.assign(rng.uniform(*LIMITS[weight.name], weight.shape))
    return model


def small(name, scheme):
    """A network with few feature maps and small images."""
    size = max(smallest(name), 16)
    shape = (size, size, models.describe(name).input_shape[2])
    return trained(models.build(name, scheme, input_shape=shape, classes=4, width=0.25))


def sequential(*parts, shape=IMAGE):
    return trained(keras.Sequential([keras.Input(shape), *parts]))


def functional(call, shape=IMAGE):
    x = keras.Input(shape)
    return trained(keras.Model(x, call(x)))


def images(model, count=3):
    return np.random.default_rng(SEED).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def packed(model, tmp_path, **choices):
    """What was written, read again."""
    return PackedFile(bnn_tf.pack(model, tmp_path / "net.bnn", **choices).path)


def ops(file):
    return [node["op"] for node in file.nodes]


def assert_equal(actual, expected, tolerance=1e-5):
    """Within `tolerance` of the largest value, and with the same class the best."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape and actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert (actual.argmax(-1) == expected.argmax(-1)).all()


def assert_agrees(file, model, x, tolerance=1e-5):
    """The file computes what Keras computes, by NumPy's reading and by the runtime."""
    expected = model(x, training=False)  # some of Keras' layers train where nothing is said
    if len(file.nodes) < DEEP:
        assert_equal(file.run(x), expected, tolerance)
    assert_equal(PackedModel(file.path).predict(x), expected, tolerance)
