"""Training and the run folder: repeatable, whole at any moment, and never over another run."""

import json
import sys

import keras
import numpy as np
import pytest

from bnn_tf import data, layers, models, plots, training
from bnn_tf.training.batches import TrainingBatches
from bnn_tf.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:120], full.y_train[:120], full.x_test[:60], full.y_test[:60], full.class_names
    )


def small(scheme="float", **options):
    return models.lenet(scheme, input_shape=(8, 8, 1), width=0.25, **options)


class TestRecipe:
    def test_defaults_and_overrides(self):
        assert training.recipe_for("digits").epochs > training.recipe_for("mnist").epochs
        assert training.recipe_for("digits", epochs=1) == training.Recipe(1, 32, 1e-3)

    @pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
    def test_errors(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be positive. Got {name}=0"):
            training.recipe_for("digits", **{name: 0})


class TestTrain:
    def test_each_image_once_an_epoch_in_a_new_order(self):
        x = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
        dataset = data.Dataset("ten", x, np.arange(10), x, np.arange(10), tuple("0123456789"))
        batches = TrainingBatches(dataset, batch_size=4, seed=0)
        orders = []
        for _ in range(2):
            orders.append(np.concatenate([batches[i][1] for i in range(len(batches))]).tolist())
            batches.on_epoch_end()
        assert len(batches) == 3
        assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
        assert orders[0] != orders[1]
        batches.start(1)  # the epoch decides, not what came before
        assert np.concatenate([batches[i][1] for i in range(len(batches))]).tolist() == orders[1]

    def test_learns(self, digits):
        model = small("bwn")
        result = training.train(model, digits, training.Recipe(8, 16, 3e-3))
        assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
        assert len(result.history["val_accuracy"]) == 8 and result.seconds > 0

    def test_same_seed_same_weights(self, digits):
        def trained(seed):
            model = small("xnor")
            training.train(model, digits, training.Recipe(2, 32), seed=seed)
            return np.concatenate([weight.ravel() for weight in model.get_weights()])

        first, again, other = trained(0), trained(0), trained(1)
        np.testing.assert_allclose(first, again, atol=1e-4)  # threads add floats in any order
        assert np.abs(first - other).max() > 1e-3

    def test_evaluate_is_the_share_of_right_answers(self, digits):
        model = small()
        result = training.evaluate(model, digits)
        logits = model.predict(digits.normalize(digits.x_test), verbose=0)
        assert result.accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == digits.y_test))

    def test_lines_where_there_is_no_terminal(self, digits, capsys):
        training.train(small(), digits, training.Recipe(2, 64), progress="lenet float")
        out, err = capsys.readouterr()
        lines = err.splitlines()
        assert out == "" and len(lines) == 2
        assert lines[1].startswith("lenet float epoch 2/2: loss ")

    def test_bar_on_a_terminal(self, digits, capsys, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "120")
        training.train(small(), digits, training.Recipe(2, 64), progress="lenet float")
        _, err = capsys.readouterr()
        assert "lenet float 2/2" in err and "test accuracy" in err and err.count("\n") == 1


class TestRunFolder:
    def test_a_file_is_whole_or_absent(self, tmp_path):
        folder = RunFolder(tmp_path / "new" / "run")
        with folder.replacing("file.txt") as path:
            path.write_text("first")
            assert not (folder.path / "file.txt").exists()
        with pytest.raises(KeyboardInterrupt), folder.replacing("file.txt") as path:
            path.write_text("half")
            raise KeyboardInterrupt
        assert [(file.name, file.read_text()) for file in folder.path.iterdir()] == [("file.txt", "first")]

    def test_what_is_not_finite_becomes_null(self, tmp_path):
        RunFolder(tmp_path).write_results({"files": [], "loss": [1.0, float("nan")]})
        assert json.loads((tmp_path / "results.json").read_text())["loss"] == [1.0, None]

    def test_an_earlier_run_stays(self, tmp_path):
        RunFolder(tmp_path).write_results({"files": []})
        with pytest.raises(
            FileExistsError, match=r"holds an earlier run\. Choose another folder, or allow to overwrite it"
        ):
            RunFolder(tmp_path)

    def test_overwriting_removes_the_run_and_nothing_else(self, tmp_path):
        RunFolder(tmp_path).write_results({"files": ["a.keras", "../outside"]})
        (tmp_path / "a.keras").touch()
        (tmp_path / "notes.txt").touch()
        RunFolder(tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    @pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}"])
    def test_a_folder_of_something_else_is_refused_even_then(self, tmp_path, content):
        (tmp_path / "notes.txt").touch()
        if content is not None:
            (tmp_path / "results.json").write_text(content)
        with pytest.raises(FileExistsError, match="isn't empty, and holds no earlier run"):
            RunFolder(tmp_path, overwrite=True)

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FileExistsError, match="is no folder"):
            RunFolder(tmp_path / "file")


def test_speed_follows_the_path(monkeypatch):
    """The graph is traced on the path that is asked for, and the model isn't left on it."""
    monkeypatch.setattr("bnn_tf.training.speed._SECONDS", 0.01)
    from bnn_tf import ops

    seen = []

    class Spy(layers.BinaryDense):
        def call(self, inputs):
            seen.append(ops._ops_serve())
            return super().call(inputs)

    model = keras.Sequential([keras.Input((8,)), Spy(4)])
    x = np.ones((3, 8), np.float32)
    for path in ("composed", "fast"):
        seen.clear()
        if path == "composed":
            with ops.composed_path():
                assert training.speed.images_per_second(model, x) > 0
            assert seen == [False]
        else:
            training.speed.images_per_second(model, x)
            assert seen == [ops.backend_info()["custom_ops"]]


def test_learning_curves():
    history = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.5]}
    figure = plots.learning_curves({"float": history, "bwn": history}, "lenet on digits")
    loss, accuracy = figure.axes
    assert len(loss.lines) == 4  # a line for each part of each training
    assert list(loss.lines[0].get_ydata()) == [2.5, 1.5]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["float", "bwn"]
