"""Trainings in folders: continued bit by bit, whole after any death, and clear about what went wrong."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
import zipfile

import keras
import numpy as np
import pytest
from conftest import PACKAGE

from bnn_tf import data, layers, training
from bnn_tf.training import Recipe
from bnn_tf.training.arrays import array
from bnn_tf.training.training_folder import State, TrainingFolder, load_checkpoint


def a_tenth():
    """Of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:120], full.y_train[:120], full.x_test[:60], full.y_test[:60], tuple("0123456789")
    )


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    return a_tenth()


def network(seed=0, **options):
    """Annealed, with dropout and batch norm: everything that has a state."""
    kernels = [keras.initializers.GlorotUniform(seed + number) for number in range(3)]
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(16, kernel_initializer=kernels[0], name="first"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Dropout(0.2, seed=seed, name="dropout"),
            layers.BinaryDense(16, ste="ede", kernel_initializer=kernels[1], name="binary"),
            keras.layers.Dense(10, kernel_initializer=kernels[2], name="logits"),
        ],
        name="net",
    )


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._at, self._epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._epoch == self._at and batch == 1:
            raise KeyboardInterrupt


RECIPE = Recipe(
    4, 32, 0.01, binary_optimizer="bop", schedule="plateau", plateau_patience=1, early_stopping=10, augment=("crop:1",)
)


def values(model):
    return [array(variable) for variable in [*model.variables, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """A training, its folder and its model."""
    out = tmp_path_factory.mktemp("runs") / "run"
    model = network()
    return training.train(model, digits, RECIPE, seed=7, out=out, tensorboard=True), out, model


class TestFolder:
    def test_files(self, finished):
        _, out, _ = finished
        names = {"config.json", "metrics.csv", "metrics.jsonl", "last.keras", "best.keras", "curves.png", "tensorboard"}
        assert {path.name for path in out.iterdir()} == names
        assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")

    def test_config_says_how_to_repeat_it(self, finished, digits):
        config = json.loads((finished[1] / "config.json").read_text())
        assert config["seed"] == 7 and config["network"]["parameters"] == network().count_params()
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in config["recipe"].items()}
        assert Recipe(**given) == RECIPE
        assert {"keras", "numpy", "threads", "backend"} <= set(config["environment"])

    def test_metrics_are_the_history(self, finished):
        result, out, _ = finished
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        with open(out / "metrics.csv") as file:
            rows = list(csv.DictReader(file))
        assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "flipped"):
            assert [line[name] for line in lines] == result.history[name] == [float(row[name]) for row in rows]

    def test_checkpoints(self, finished, digits):
        result, out, model = finished
        last, best = (keras.models.load_model(out / name) for name in ("last.keras", "best.keras"))
        accuracies = result.history["val_accuracy"]
        assert result.best_epoch == 1 + int(np.argmax(accuracies))
        assert training.evaluate(last, digits).accuracy == pytest.approx(accuracies[-1])
        assert training.evaluate(best, digits).accuracy == pytest.approx(max(accuracies))
        for mine, loaded in zip(model.optimizer.variables, last.optimizer.variables, strict=True):
            np.testing.assert_array_equal(array(mine), array(loaded))

    def test_events(self, finished):
        import tensorflow as tf

        (file,) = (finished[1] / "tensorboard").iterdir()
        events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
        assert events[0].file_version == "brain.Event:2"
        found = {}
        for event in events:
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
        assert [step for step, _ in found["epoch/loss"]] == [1, 2, 3, 4]
        assert [v.simple_value for _, v in found["epoch/val_loss"]] == pytest.approx(finished[0].history["val_loss"])
        assert found["binary/latent"][0][1].histo.num == 16 * 16
        assert sum(found["binary/latent"][-1][1].histo.bucket) == 16 * 16
        assert 0 <= found["flipped_in_step"][0][1].simple_value <= 1

    def test_a_finished_run_has_nothing_left_to_do(self, finished, digits, caplog):
        result, out, model = finished
        caplog.set_level(logging.INFO, "bnn_tf")
        copy = network(seed=9)
        again = training.train(copy, digits, RECIPE, seed=7, out=out, resume=True)
        assert again.history == result.history and again.resumed_after == 4
        assert "resumed after 4 epochs; nothing is left to do" in caplog.text
        np.testing.assert_array_equal(array(copy.weights[0]), array(model.weights[0]))

    def test_another_run(self, finished, digits):
        out = finished[1]
        with pytest.raises(training.RunFolderError, match=r"holds an earlier run\. Continue it \(--resume\)"):
            training.train(network(), digits, RECIPE, seed=7, out=out)
        other = Recipe(5, 32, 0.02)
        with pytest.raises(training.RunFolderError) as error:
            training.train(network(), digits, other, seed=8, out=out, resume=True)
        for difference in ("recipe.epochs is 4 there and 5 here", "recipe.learning_rate is 0.01 there", "seed is 7"):
            assert difference in str(error.value)

    def test_other_circumstances_are_reported(self, finished, digits, caplog, monkeypatch):
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        training.train(network(), digits, RECIPE, seed=7, out=finished[1], resume=True)
        assert "other circumstances, so figures may differ: environment.threads" in caplog.text

    def test_overwriting_leaves_what_others_put_there(self, digits, tmp_path):
        recipe = Recipe(1, 64)
        training.train(network(), digits, recipe, out=tmp_path)
        (tmp_path / "notes.txt").touch()
        training.train(network(), digits, recipe, seed=1, out=tmp_path, overwrite=True)
        assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1
        assert (tmp_path / "notes.txt").exists()

    def test_something_else(self, digits, tmp_path):
        (tmp_path / "notes.txt").touch()
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(training.RunFolderError, match="isn't empty, and holds no earlier run"):
                training.train(network(), digits, RECIPE, out=tmp_path, **options)

    def test_a_config_of_something_else(self, digits, tmp_path):
        (tmp_path / "config.json").write_text("[]")
        with pytest.raises(training.RunFolderError, match="describes no training"):
            training.train(network(), digits, RECIPE, out=tmp_path, resume=True)

    def test_a_checkpoint_that_is_none(self, tmp_path):
        (tmp_path / "last.keras").write_bytes(b"half")
        with pytest.raises(training.RunFolderError, match="is no checkpoint of this training"):
            load_checkpoint(tmp_path / "last.keras", network())


class TestResume:
    def test_continues_with_everything_that_has_a_state(self, digits, tmp_path):
        whole = network()
        expected = training.train(whole, digits, RECIPE, out=tmp_path / "whole")
        for epoch in (0, 2):
            with pytest.raises(KeyboardInterrupt):
                training.train(
                    network(), digits, RECIPE, out=tmp_path / "run", resume=True, callbacks=[Interrupt(epoch)]
                )
        model = network(seed=5)  # Other initial weights: those of the folder count.
        found = training.train(model, digits, RECIPE, out=tmp_path / "run", resume=True)
        assert found.resumed_after == 2 and found.best_epoch == expected.best_epoch
        for name, figures in expected.history.items():
            np.testing.assert_allclose(found.history[name], figures, rtol=1e-3, atol=1e-4)  # threads add in any order
        for mine, other in zip(values(model), values(whole), strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-3)

    def test_counters_go_on(self, digits, tmp_path):
        recipe = Recipe(6, 64, 1e-12, optimizer="sgd", schedule="plateau", plateau_patience=2, early_stopping=3)
        whole = training.train(network(), digits, recipe)
        with pytest.raises(KeyboardInterrupt):
            training.train(network(), digits, recipe, out=tmp_path, callbacks=[Interrupt(2)])
        rest = training.train(network(), digits, recipe, out=tmp_path, resume=True)
        assert len(rest.history["loss"]) == len(whole.history["loss"])
        assert rest.history["learning_rate"] == whole.history["learning_rate"]

    def test_early_stopping_stays_stopped(self, digits, tmp_path):
        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        training.train(network(), digits, Recipe(5, 64), out=tmp_path, callbacks=[Stop()])
        again = training.train(network(), digits, Recipe(5, 64), out=tmp_path, resume=True)
        assert again.resumed_after == len(again.history["loss"]) == 2

    def test_nothing_there_yet_begins(self, digits, tmp_path):
        result = training.train(network(), digits, Recipe(1, 64), out=tmp_path / "new", resume=True)
        assert result.resumed_after == 0 and (tmp_path / "new" / "last.keras").exists()


def command(out, *arguments):
    return [
        *(sys.executable, "-m", "bnn_tf.cli", "train", "--model", "lenet", "--scheme", "xnor", "--option", "width=0.1"),
        *("--epochs", "4", "--batch-size", "8", "--augment", "crop:1", "--binary-optimizer", "momentum"),
        *("--schedule", "plateau", "--plateau-patience", "1", "--seed", "3", "--out", str(out), *arguments),
    ]


ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def environment(**variables):
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **variables}


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_killed_in_the_middle_of_an_epoch_it_reaches_the_same_weights(tmp_path):
    options = {"env": environment(**ONE_THREAD), "cwd": tmp_path, "text": True}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    reference = subprocess.Popen(command(whole), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    victim = subprocess.Popen(command(killed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        until = time.monotonic() + 120
        while not (killed / "metrics.csv").exists() or len((killed / "metrics.csv").read_text().splitlines()) < 3:
            assert time.monotonic() < until and victim.poll() is None
            time.sleep(0.01)
        time.sleep(0.15)
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=60)
        _, stderr = reference.communicate(timeout=120)
    finally:
        victim.kill()
        reference.kill()
    assert reference.returncode == 0, stderr
    with zipfile.ZipFile(killed / "last.keras") as archive:
        state = State(**json.loads(archive.read("state.json")))
    assert 2 <= state.epoch < 4 and not state.finished
    rest = subprocess.run(command(killed, "--resume"), capture_output=True, timeout=120, **options)
    assert rest.returncode == 0, rest.stderr
    assert f"resumed after {state.epoch} epochs; what follows is what would have followed uninterrupted" in rest.stderr
    assert (killed / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    first, second = (keras.models.load_model(out / "last.keras") for out in (whole, killed))
    for mine, other in zip(values(first), values(second), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert not list(killed.glob(".partial.*"))


def test_distilled_models_are_whole_models(digits, tmp_path):
    teacher = network(1)
    training.train(teacher, digits, Recipe(3, 32, 0.01))
    teacher.save(tmp_path / "teacher.keras")
    recipe = Recipe(2, 32, 0.01, mix=0.9, class_weights="balanced", label_smoothing=0.1)
    training.train(network(), digits, recipe, teacher=tmp_path / "teacher.keras", out=tmp_path / "run")
    copy = keras.models.load_model(tmp_path / "run" / "last.keras")
    assert copy.count_params() == network().count_params()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["teacher"].endswith("teacher.keras")


_ON_JAX = """
import sys
import keras, numpy as np
from bnn_tf import training
from test_training_runs import Interrupt, a_tenth, network
assert keras.backend.backend() == "jax"
recipe = training.Recipe(3, 32, 0.01, binary_optimizer="bop", weight_decay=1e-4, warmup_epochs=1, augment=("crop:1",))
out, logits = sys.argv[1:]
try:
    training.train(network(), a_tenth(), recipe, out=out, callbacks=[Interrupt(1)])
except KeyboardInterrupt:
    pass
model = network()
result = training.train(model, a_tenth(), recipe, out=out, resume=True)
assert result.resumed_after == 1 and result.history["loss"][2] < result.history["loss"][0], result
np.save(logits, model.predict(a_tenth().normalize(a_tenth().x_test), verbose=0))
whole = training.train(network(), a_tenth(), recipe)
for name, figures in whole.history.items():
    np.testing.assert_allclose(result.history[name], figures, rtol=1e-3, atol=1e-4)
"""


def test_trains_on_jax_and_moves_to_tensorflow(run_python, tmp_path, digits):
    jax = {"KERAS_BACKEND": "jax", "BNN_TF_DISABLE_OPS": "1", "JAX_PLATFORMS": "cpu"}
    run_python(_ON_JAX, tmp_path / "run", tmp_path / "logits.npy", **jax)
    with pytest.warns(
        UserWarning, match="Proceeding with `jit_compile=False`"
    ):  # JAX' choice, which the C++ ops decline
        model = keras.models.load_model(tmp_path / "run" / "last.keras")
    logits = model.predict(digits.normalize(digits.x_test), verbose=0)
    np.testing.assert_allclose(logits, np.load(tmp_path / "logits.npy"), atol=1e-3)
    # and goes on there: the optimizer moved as well
    steps = int(array(model.optimizer.iterations))
    model.train_on_batch(digits.normalize(digits.x_train[:8]), digits.y_train[:8])
    assert steps == 12 and int(array(model.optimizer.iterations)) == 13


def test_folder_of_a_training_names_what_differs():
    from bnn_tf.training.training_folder import differing

    assert differing({"a": 1, "command": "x"}, {"a": 1, "command": "y"}) == []
    assert differing({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3}) == [
        "a.b is 1 there and 2 here",
        "c is None there and 3 here",
    ]
    assert TrainingFolder.__doc__
