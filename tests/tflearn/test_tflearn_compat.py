"""TFLearn itself on today's libraries: what each shim gives back, and that it works then."""

import inspect

import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf
from PIL import Image
from tensorflow.python.util import nest

from bnn_tf.frontends import tflearn_compat
from bnn_tf.frontends.tflearn import tflearn

pytest_plugins = ["tflearn_fixtures"]


def test_names_that_were_missing():
    assert nest.is_sequence([1]) and not nest.is_sequence(1)
    assert Image.ANTIALIAS == Image.Resampling.LANCZOS
    assert np.lib.pad([1], 1).tolist() == [0, 1, 0]


@pytest.mark.parametrize("shim", (*tflearn_compat.BEFORE_IMPORT, *tflearn_compat.AFTER_IMPORT))
def test_shims_leave_alone_what_is_there(shim, monkeypatch):
    """Applied again, none replaces anything; and each says what it is for."""
    names = ("is_sequence", "ANTIALIAS", "pad")
    before = [getattr(module, name) for module, name in zip((nest, Image, np.lib), names, strict=True)]
    monkeypatch.setattr(nest, "is_sequence", own := lambda value: value)
    shim()
    assert nest.is_sequence is own and [Image.ANTIALIAS, np.lib.pad] == before[1:]
    assert " for " in inspect.getdoc(shim) or shim is tflearn_compat.uniform_scaling_of_a_shape


def test_nothing_else_is_touched(run_python):
    """The libraries' names after the import are those before and the shims'; one that failed before does no harm."""
    run_python(
        """
import importlib
import numpy.lib, PIL.Image, tensorflow.compat.v1, tensorflow.python.pywrap_tensorflow, tensorflow.python.util.nest
names = ("numpy", "numpy.lib", "PIL.Image", "tensorflow.python.pywrap_tensorflow", "tensorflow.python.util.nest")
modules = [importlib.import_module(name) for name in names]
try:
    import tflearn
except (ImportError, AttributeError):
    pass
else:
    raise AssertionError("TFLearn imports without the shims now")
before = [dict(vars(module)) for module in modules]
import bnn_tf.frontends.tflearn
new = {f"{module.__name__}.{name}" for module, old in zip(modules, before) for name in set(vars(module)) - set(old)}
replaced = [name for module, old in zip(modules, before) for name in old if vars(module).get(name) is not old[name]]
assert not replaced, replaced
given = {"numpy.lib.pad", "PIL.Image.ANTIALIAS", "tensorflow.python.pywrap_tensorflow.NewCheckpointReader"}
given |= {"tensorflow.python.util.nest.is_sequence"}
assert {name for name in new if "__" not in name} <= given, new - given
import tflearn
tflearn.residual_block(tflearn.input_data([None, 8, 8, 4]), 1, 4)
"""
    )


def test_tensorflow_1(run):
    assert not tf2.executing_eagerly()
    assert run(tf.constant(2) + 3) == 5


def variance(initializer, shape, run):
    return run(initializer(shape)).var()


class TestInitializers:
    def test_xavier(self, run):
        values = run(tflearn.initializations.get("xavier")()([3, 3, 64, 32]))
        limit = np.sqrt(6 / (9 * (64 + 32)))
        assert 0.95 * limit < np.abs(values).max() <= limit
        normal = tflearn.initializations.xavier(uniform=False, seed=1)
        assert variance(normal, [3, 3, 64, 32], run) == pytest.approx(2 / (9 * (64 + 32)), rel=0.05)

    @pytest.mark.parametrize(("mode", "inputs"), [("FAN_IN", 9 * 64), ("FAN_OUT", 9 * 32), ("FAN_AVG", 9 * 48)])
    @pytest.mark.parametrize("uniform", [False, True])
    def test_variance_scaling(self, run, mode, inputs, uniform):
        initializer = tflearn.initializations.get("variance_scaling")(mode=mode, uniform=uniform, seed=2)
        assert variance(initializer, [3, 3, 64, 32], run) == pytest.approx(2 / inputs, rel=0.05)

    def test_mistakes(self):
        with pytest.raises(TypeError, match=r"Unknown mode fan \[FAN_IN, FAN_OUT, FAN_AVG\]"):
            tflearn.initializations.variance_scaling(mode="fan")
        with pytest.raises(TypeError, match="non-floating point type int32"):
            tflearn.initializations.xavier(dtype=tf.int32)

    @pytest.mark.parametrize("name", ["zeros", "uniform", "uniform_scaling", "normal", "truncated_normal"])
    def test_of_a_shape(self, run, name):
        values = run(tflearn.initializations.get(name)(shape=[4, 5]))
        assert values.shape == (4, 5) and np.isfinite(values).all()


BLOCKS = {
    "residual_block": lambda net: tflearn.residual_block(net, 1, 8),
    "residual_bottleneck": lambda net: tflearn.residual_bottleneck(net, 1, 4, 16),
    "resnext_block": lambda net: tflearn.resnext_block(net, 1, 8, 32),
    "highway_conv_2d": lambda net: tflearn.highway_conv_2d(net, 8, 3, activation="elu"),
    "batch_normalization": lambda net: tflearn.batch_normalization(tflearn.local_response_normalization(net)),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_with_their_defaults_build_and_train(block, rng, tmp_path):
    net = BLOCKS[block](tflearn.conv_2d(tflearn.input_data([None, 8, 8, 1]), 8, 3))
    net = tflearn.fully_connected(net, 2, activation="softmax", weights_init="xavier")
    model = tflearn.DNN(tflearn.regression(net, learning_rate=0.01), tensorboard_dir=str(tmp_path))
    x = rng.normal(size=(32, 8, 8, 1)).astype("float32")
    labels = (x.mean(axis=(1, 2, 3)) > 0).astype(int)
    y = np.eye(2, dtype="float32")[labels]
    before = float(-np.log(model.predict(x)[np.arange(32), labels]).mean())
    model.fit(x, y, n_epoch=10, batch_size=32, snapshot_epoch=False)
    assert float(-np.log(model.predict(x)[np.arange(32), labels] + 1e-9).mean()) < before


@pytest.mark.parametrize("regularizer", ["L1", "L2"])
def test_regularizers(regularizer, run):
    y = tflearn.fully_connected(tflearn.input_data([None, 4]), 3, regularizer=regularizer, weight_decay=0.1)
    w, penalty = run([y.W, tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)[0]])
    expected = 0.1 * (np.abs(w).sum() if regularizer == "L1" else (w**2).sum() / 2)
    assert penalty == pytest.approx(expected, rel=1e-5)


def test_recurrent_layers_build_and_train(rng, tmp_path):
    net = tflearn.lstm(tflearn.input_data([None, 5, 3]), 4)
    net = tflearn.regression(tflearn.fully_connected(net, 2, activation="softmax"))
    model = tflearn.DNN(net, tensorboard_dir=str(tmp_path))
    model.fit(rng.normal(size=(8, 5, 3)), np.eye(2)[rng.integers(0, 2, 8)], n_epoch=1, snapshot_epoch=False)
    assert model.predict(rng.normal(size=(4, 5, 3))).shape == (4, 2)


# An error in the thread that augments would leave `fit` waiting for ever.
@pytest.mark.filterwarnings("ignore:.*scipy.ndimage:DeprecationWarning")
def test_preparation_and_augmentation_of_images(rng, tmp_path):
    preparation, augmentation = tflearn.ImagePreprocessing(), tflearn.ImageAugmentation()
    preparation.add_featurewise_zero_center()
    preparation.add_featurewise_stdnorm()
    augmentation.add_random_flip_leftright()
    augmentation.add_random_crop([8, 8], padding=2)
    augmentation.add_random_rotation(max_angle=20.0)
    augmentation.add_random_blur(sigma_max=1.0)
    net = tflearn.input_data([None, 8, 8, 3], data_preprocessing=preparation, data_augmentation=augmentation)
    net = tflearn.regression(tflearn.fully_connected(net, 2, activation="softmax"))
    model = tflearn.DNN(net, tensorboard_dir=str(tmp_path))
    x, y = rng.normal(size=(16, 8, 8, 3)), np.eye(2)[rng.integers(0, 2, 16)]
    model.fit(x, y, n_epoch=1, batch_size=8, validation_set=0.25, show_metric=True)
    assert np.isfinite(model.predict(x[:2])).all()


def test_folders_of_images(rng, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(tmp_path / name / "1.png")
    x, y = tflearn.data_utils.build_image_dataset_from_dir(
        str(tmp_path), dataset_file=str(tmp_path / "all.pkl"), resize=(6, 6), convert_gray=False, filetypes=[".png"]
    )
    assert np.shape(x) == (2, 6, 6, 3) and sorted(y) == [0, 1]
