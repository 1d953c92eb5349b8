"""Trainings that can't go on: the loss is no number any more, the disk is full, Ctrl-C."""

import os
import resource
import signal
import threading

import keras
import numpy as np
import pytest
from test_training_runs import a_tenth, network

from bnn_tf import layers, training
from bnn_tf.training import Recipe
from bnn_tf.training.arrays import array
from bnn_tf.training.run_folder import Folder
from bnn_tf.training.training_folder import load_checkpoint


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    return a_tenth()


@keras.saving.register_keras_serializable("bnn_tf_tests")
class Logarithm(keras.layers.Layer):
    """Of negative numbers, NaN."""

    def call(self, inputs):
        return keras.ops.log(inputs)


@keras.saving.register_keras_serializable("bnn_tf_tests")
class Root(keras.layers.Layer):
    """Of 0, 0; but its slope there is infinite."""

    def call(self, inputs):
        return keras.ops.sqrt(0.0 * inputs)


def doomed(layer):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="before"),
            layer,
            keras.layers.Dense(10, name="after"),
        ]
    )


class TestDivergence:
    def test_the_layer_whose_output_is_nan(self, digits):
        model = doomed(Logarithm(name="logarithm"))
        before = [array(weight) for weight in model.weights]
        with pytest.raises(
            training.DivergedError,
            match="no longer finite at step 1 of epoch 1: layer 'logarithm' is the first whose output isn't finite",
        ):
            training.train(model, digits, Recipe(2, 32))
        for weight, value in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(array(weight), value)

    def test_the_layer_whose_gradient_is_nan(self, digits, tmp_path):
        model = doomed(Root(name="root"))
        with pytest.raises(training.DivergedError, match="the step before gave layer 'before' weights that aren't"):
            training.train(model, digits, Recipe(2, 32), out=tmp_path)
        state = load_checkpoint(tmp_path / "last.keras", model)
        assert state.epoch == 0 and all(np.isfinite(array(weight)).all() for weight in model.weights)

    def test_the_last_good_epoch_is_kept(self, digits, tmp_path):
        class Spoil(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    self.model.optimizer.learning_rate = 1e30

        recipe = Recipe(3, 32, 0.01, optimizer="momentum", schedule="constant")
        with pytest.raises(training.DivergedError, match="of epoch 2"):
            training.train(network(), digits, recipe, out=tmp_path, callbacks=[Spoil()])
        rest = training.train(network(), digits, recipe, out=tmp_path, resume=True)
        assert rest.resumed_after == 1 and len(rest.history["loss"]) == 3

    def test_what_looks_on_bears_weights_that_are_nan(self, digits, tmp_path):
        """The only step of the first epoch spoils them; histograms and pictures come before the next step's loss."""
        parts = [layers.BinaryConv2D(3, 3, name="conv"), keras.layers.Flatten(), Root(), keras.layers.Dense(10)]
        model = keras.Sequential([keras.Input((8, 8, 1)), *parts])
        weights = training.LatentWeights(bins=4)
        recipe = Recipe(2, len(digits.y_train))
        with pytest.raises(training.DivergedError, match=r"no longer finite at step 1 of epoch 2"):
            training.train(model, digits, recipe, out=tmp_path, tensorboard=True, callbacks=[weights])
        before, after = (weights.histograms["conv"][epoch][0].sum() for epoch in (0, 1))
        assert before == 27 and after == 0


class TestFullDisk:
    def test_it_says_so_and_keeps_what_it_has(self, digits, tmp_path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

        class Fill(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

        recipe = Recipe(2, 64)
        try:
            with pytest.raises(
                training.FullDiskError, match=r"No room for .*last\.keras: .* What was written before is"
            ):
                training.train(network(), digits, recipe, out=tmp_path, callbacks=[Fill()])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(tmp_path.glob(".partial.*"))
        assert training.train(network(), digits, recipe, out=tmp_path, resume=True).resumed_after == 1

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_a_disk_without_room(self, tmp_path):
        folder = Folder(tmp_path)
        (tmp_path / "metrics.csv").write_text("kept")
        expected = pytest.raises(training.FullDiskError, match="No space left on device")
        with expected, folder.replacing("metrics.csv"), open("/dev/full", "w") as full:
            full.write("x" * 100_000)
        assert (tmp_path / "metrics.csv").read_text() == "kept"


def press(times=1):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


class Press(keras.callbacks.Callback):
    """Presses Ctrl-C at one event of the training; keeps the names of those that follow."""

    def __init__(self, event, pressing=press):
        super().__init__()
        self.after = []
        for name in ("train_batch_begin", "train_batch_end", "test_batch_begin", "epoch_end", "train_end"):
            setattr(self, f"on_{name}", self._seen(name, pressing if name == event else None))

    def _seen(self, name, pressing):
        def on(*arguments, logs=None):
            if self.after or pressing:
                self.after.append(name)
            if pressing and len(self.after) == 1:
                pressing()

        return on


class Finalized:
    """Presses Ctrl-C in its finalizer, where Python drops a KeyboardInterrupt."""

    def __del__(self):
        press()


class TestControlC:
    @pytest.mark.parametrize(
        ("event", "pressing", "after"),
        [
            ("train_batch_begin", press, ["train_batch_begin", "train_batch_end"]),
            ("train_batch_begin", Finalized, ["train_batch_begin", "train_batch_end"]),
            ("train_batch_begin", lambda: press(2), ["train_batch_begin"]),
            ("test_batch_begin", press, ["test_batch_begin"]),
            ("epoch_end", press, ["epoch_end"]),
            ("train_end", press, ["train_end"]),
        ],
        ids=["batch", "finalizer", "twice", "evaluation", "epoch's end", "end"],
    )
    def test_ends_after_the_batch_or_at_once(self, digits, event, pressing, after):
        pressed = Press(event, pressing)
        with pytest.raises(KeyboardInterrupt):
            training.train(network(), digits, Recipe(1, 64), callbacks=[pressed])
        assert pressed.after == after
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_an_epoch_that_is_done_is_saved_first(self, digits, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            training.train(network(), digits, Recipe(2, 64), callbacks=[Press("epoch_end")], out=tmp_path)
        assert training.train(network(), digits, Recipe(2, 64), out=tmp_path, resume=True).resumed_after == 1

    def test_a_program_s_own_way_stays(self, digits):
        presses = []
        before = signal.signal(signal.SIGINT, lambda number, frame: presses.append(number))
        try:
            training.train(network(), digits, Recipe(1, 64), callbacks=[Press("train_batch_begin")])
        finally:
            signal.signal(signal.SIGINT, before)
        assert presses == [signal.SIGINT]

    def test_a_training_in_another_thread_is_let_alone(self, digits):
        done = []
        thread = threading.Thread(target=lambda: done.append(training.train(network(), digits, Recipe(1, 64))))
        thread.start()
        thread.join()
        assert len(done) == 1
