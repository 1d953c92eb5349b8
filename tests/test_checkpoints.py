"""Weights between TensorFlow 1's checkpoints and Keras models; needs no TFLearn."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from bnn_tf import models
from bnn_tf.errors import ArgumentError
from bnn_tf.frontends import checkpoints
from bnn_tf.frontends.checkpoints import CheckpointError, from_keras, to_keras


def lenet(seed, scheme="bwn", **options):
    return models.build("lenet", scheme, input_shape=(8, 8, 1), width=0.1, seed=seed, **options)


def values(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(values(left), values(right), strict=True))


@pytest.fixture
def written(tmp_path):
    """A model with weights of its own everywhere, and its checkpoint."""
    model = lenet(0)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=value.shape) for value in values(model)])
    from_keras(model, tmp_path / "there" / "lenet")
    return model, tmp_path / "there" / "lenet"


class TestRoundTrip:
    @pytest.mark.parametrize("scheme", ["float", "bwn", "xnor"])
    def test_every_weight_comes_back(self, scheme, tmp_path):
        model, other = lenet(1, scheme), lenet(2, scheme)
        report = from_keras(model, tmp_path / "model")
        assert report.complete and not report.unused and len(report.matched) == len(model.weights)
        assert not same(model, other)
        assert to_keras(tmp_path / "model", other) == report
        assert same(model, other)

    def test_names_are_tflearns(self, written):
        model, path = written
        shapes = tf.train.load_checkpoint(str(path)).get_variable_to_shape_map()
        assert set(shapes) == {
            *("conv1/W", "conv1/b", "conv2/W", "dense1/W", "logits/W", "logits/b"),
            *(f"{layer}_bn/{name}" for layer in ("conv2", "dense1") for name in ("gamma", "beta")),
            *(f"{layer}_bn/moving_{name}" for layer in ("conv2", "dense1") for name in ("mean", "variance")),
        }
        assert shapes["conv2/W"] == list(model.get_layer("conv2").kernel.shape)

    def test_other_scopes(self, written, tmp_path):
        model, _ = written
        names = {"conv1": "Conv2D", "conv2": "net/BinaryConv2D_1"}
        assert "net/BinaryConv2D_1/W" in from_keras(model, tmp_path / "other", names).matched
        other = lenet(5)
        assert to_keras(tmp_path / "other", other, names).complete and same(model, other)

    def test_a_folder_means_its_latest_checkpoint(self, written):
        model, path = written
        state = f'model_checkpoint_path: "{path.name}"\n'
        (path.parent / "checkpoint").write_text(state)
        other = lenet(5)
        assert to_keras(path.parent, other).complete and same(model, other)

    def test_quantizers_that_change_keep_their_progress(self, tmp_path):
        def build():
            import bnn_tf

            layers = [keras.Input((4,)), bnn_tf.layers.BinaryDense(3, ste="ede", name="dense")]
            return keras.Sequential(layers)

        model = build()
        assert from_keras(model, tmp_path / "model").matched == ("dense/W", "dense/b")
        assert to_keras(tmp_path / "model", build()).complete

    def test_nested_models(self, tmp_path):
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="inner")], name="body")
        model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(2, name="outer")])
        assert set(from_keras(model, tmp_path / "model").matched) == {"inner/W", "inner/b", "outer/W", "outer/b"}

    def test_weights_around_layers_and_shared_ones(self, tmp_path):
        """A layer with a layer for its activation has weights, too; a layer that is called twice has them once."""

        def build(seed):
            keras.utils.set_random_seed(seed)
            twice = keras.layers.Dense(3, activation=keras.layers.PReLU("uniform", name="slopes"), name="twice")
            inner = keras.Sequential([keras.Input((3,)), twice], name="body")
            model = keras.Sequential(
                [keras.Input((3,)), inner, twice, keras.layers.Dense(2, name="logits")], name="net"
            )
            with pytest.raises(ArgumentError, match=r"net: 'slopes' \(PReLU\) has no weights yet"):
                from_keras(model, tmp_path / "model")
            model(np.ones((1, 3)))  # Keras builds an activation that is a layer when it first sees values
            return model

        model, other = build(0), build(1)
        report = from_keras(model, tmp_path / "model")
        assert set(report.matched) == {"twice/W", "twice/b", "slopes/alpha", "logits/W", "logits/b"}
        assert to_keras(tmp_path / "model", other) == report and same(model, other)


class TestBase:
    def test_other_variables_stay(self, written, tmp_path):
        model, _ = written
        base = tmp_path / "base"
        variables = {"Global_Step": np.float32(7), "conv1/W/Adam": np.ones((5, 5, 1, 3), "float32")}
        reader = tf.train.load_checkpoint(str(written[1]))
        variables |= {name: 0 * reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        checkpoints._write(base, variables)
        report = from_keras(model, tmp_path / "full", base=base)
        assert report.complete and not report.unused
        full = tf.train.load_checkpoint(str(tmp_path / "full"))
        assert full.get_tensor("Global_Step") == 7 and full.get_tensor("conv1/W/Adam").sum() == 75
        other = lenet(5)
        to_keras(tmp_path / "full", other)
        assert same(model, other)

    def test_a_base_of_something_else(self, written, tmp_path):
        dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="logits")], name="small")
        with pytest.raises(
            CheckpointError, match=r"small doesn't fit .*of another shape: logits/W .*Nothing was written"
        ):
            from_keras(dense, tmp_path / "new", base=written[1])
        assert not list(tmp_path.glob("new*"))


class TestMistakes:
    def test_what_does_not_fit_changes_nothing(self, written):
        _, path = written
        other = models.build("lenet", "bwn", input_shape=(8, 8, 1), width=0.2)
        before = values(other)
        with pytest.raises(CheckpointError, match=r"conv1/W \(\[5, 5, 1, 3\], the model's is \[5, 5, 1, 6\]\)"):
            to_keras(path, other)
        assert all(np.array_equal(a, b) for a, b in zip(before, values(other), strict=True))

    def test_partial(self, written):
        model, path = written
        other = lenet(5, "xnor")  # its batch norms stand before the layers, and are of their inputs' sizes
        with pytest.raises(CheckpointError, match="allow with `partial=True`"):
            to_keras(path, other)
        report = to_keras(path, other, partial=True)
        assert "conv2/W" in report.matched and not report.complete
        np.testing.assert_array_equal(other.get_layer("conv2").kernel, model.get_layer("conv2").kernel)
        assert "of another shape" in str(report)

    def test_report_names_what_is_left_over(self, written):
        _, path = written
        dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="nothing")])
        report = to_keras(path, dense, partial=True)
        assert report.missing == ("nothing/W", "nothing/b") and not report.matched
        assert "conv1/W" in report.unused and "missing: nothing/W, nothing/b; unused: conv1/W" in str(report)

    def test_unknown_layers(self, written):
        model, path = written
        with pytest.raises(ArgumentError, match=r"Unknown layer with weights 'conv3'\. Did you mean conv"):
            to_keras(path, model, {"conv3": "Conv2D"})

    def test_two_layers_of_one_name(self, tmp_path):
        parts = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense")], name=name) for name in "ab"]
        model = keras.Sequential([keras.Input((4,)), *parts], name="net")
        with pytest.raises(ArgumentError, match=r"net has two layers 'dense' with weights, .* a name for each"):
            from_keras(model, tmp_path / "model")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("names", [{"x": "S", "y": "S"}, {"x": "y"}])
    def test_two_layers_in_one_scope(self, names, tmp_path):
        model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4, name=name) for name in "xy")], name="net")
        with pytest.raises(ArgumentError, match=r"net has two weights for [Sy]/W of the checkpoint.*Got names="):
            from_keras(model, tmp_path / "model", names)
        assert from_keras(model, tmp_path / "model", {"x": "y", "y": "x"}).complete

    @pytest.mark.parametrize("damage", ["missing", "empty", "folder", "cut", "changed"])
    def test_files_that_cannot_be_read(self, written, damage, tmp_path):
        model, path = written
        index, data = (path.with_name(f"{path.name}{ending}") for ending in (".index", ".data-00000-of-00001"))
        if damage == "missing":
            path = tmp_path / "nothing"
        elif damage == "folder":
            path = tmp_path
        elif damage == "empty":
            index.write_bytes(b"")
        elif damage == "cut":
            data.write_bytes(data.read_bytes()[:100])
        else:
            data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
        before = values(model)
        with pytest.raises(CheckpointError, match="is no checkpoint that can be read"):
            to_keras(path, model)
        assert all(np.array_equal(a, b) for a, b in zip(before, values(model), strict=True))


class TestWriting:
    def test_replaces_and_leaves_nothing_behind(self, written):
        _, path = written
        model = lenet(9)
        from_keras(model, path)
        assert sorted(file.name for file in path.parent.iterdir()) == ["lenet.data-00000-of-00001", "lenet.index"]
        other = lenet(1)
        to_keras(path, other)
        assert same(model, other)

    def test_an_interruption_leaves_no_mixture(self, written, monkeypatch):
        """Between the two files, there is no checkpoint at all: not one of old names and new values."""
        model, path = written
        real = os.replace

        def replace(source, target):
            if str(target).endswith(".index"):
                raise KeyboardInterrupt
            real(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                from_keras(lenet(9), path)
        with pytest.raises(CheckpointError):
            to_keras(path, model)
        assert not list(path.parent.glob(".partial.*"))
