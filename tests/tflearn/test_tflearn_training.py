"""Whole trainings in TFLearn: fit, predict, evaluate, save, load, summaries, and the switch of the training mode."""

import json
import os
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from conftest import ROOT

from bnn_tf import data
from bnn_tf.frontends import tflearn_training
from bnn_tf.frontends.tflearn import binary_residual_block, lenet, tflearn
from bnn_tf.models import SCHEMES

pytest_plugins = ["tflearn_fixtures"]


@pytest.fixture(scope="module")
def digits():
    """The digits, normalised, with targets of one hot value."""
    full = data.load("digits")
    x, x_test = full.normalize(full.x_train), full.normalize(full.x_test)
    return x, np.eye(10, dtype="float32")[full.y_train], x_test, full.y_test


def network(scheme, width=0.25, **options):
    logits = lenet(tflearn.input_data([None, 8, 8, 1]), scheme, width=width, **options)
    return tflearn.regression(logits, loss="softmax_categorical_crossentropy", learning_rate=0.002, batch_size=64)


def evaluate(model, x, labels):
    return tflearn_training.evaluate(tflearn_training.predict(model, x), labels)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lenet_learns(scheme, digits, tmp_path):
    x, y, x_test, labels = digits
    model = tflearn.DNN(network(scheme), tensorboard_dir=str(tmp_path))
    before = evaluate(model, x_test, labels)
    model.fit(x, y, n_epoch=3, show_metric=True, snapshot_epoch=False)
    loss, accuracy = evaluate(model, x_test, labels)
    assert accuracy > (0.4 if scheme == "xnor" else 0.85) > before[1] and loss < before[0]
    targets = np.eye(10, dtype="float32")[labels]
    assert model.evaluate(x_test, targets, batch_size=100)[0] == pytest.approx(accuracy, abs=1e-6)


def test_save_and_load(digits, tmp_path):
    x, y, x_test, _ = digits
    model = tflearn.DNN(network("xnor"), tensorboard_dir=str(tmp_path / "events"))
    model.fit(x[:256], y[:256], n_epoch=1, snapshot_epoch=False)
    expected = model.predict(x_test[:50])
    model.save(str(tmp_path / "model"))
    with tf.Graph().as_default():
        other = tflearn.DNN(network("xnor"), tensorboard_dir=str(tmp_path / "other"))
        assert np.abs(other.predict(x_test[:50]) - expected).max() > 0
        other.load(str(tmp_path / "model"))
        np.testing.assert_array_equal(other.predict(x_test[:50]), expected)


def test_checkpoints_are_read_back(digits, tmp_path):
    model = tflearn.DNN(network("bwn"), tensorboard_dir=str(tmp_path))
    model.save(str(tmp_path / "model"))
    (kernel,) = [each for each in tf.trainable_variables() if each.op.name == "conv2/W"]
    found = tflearn.utils.read_tensor_in_checkpoint("conv2/W", str(tmp_path / "model"))
    np.testing.assert_array_equal(found, model.get_weights(kernel))


@pytest.mark.parametrize("scheme", ["bwn", "xnor"])
def test_summaries_of_everything(scheme, digits, tmp_path):
    x, y, *_ = digits
    model = tflearn.DNN(network(scheme), tensorboard_verbose=3, tensorboard_dir=str(tmp_path))
    model.fit(x[:128], y[:128], n_epoch=2, snapshot_epoch=False, run_id="run")
    (events,) = (tmp_path / "run").iterdir()
    tags = {value.tag for event in tf.train.summary_iterator(str(events)) for value in event.summary.value}
    for layer in ("conv2", "dense1"):
        assert {f"Adam/{layer}/W", f"{layer}/W/Gradients"} <= tags
        assert any(tag.startswith(f"{layer}/") and tag.endswith("/Sparsity") for tag in tags)


def test_training_mode_switches(digits, run):
    """Dropout and batch norm behave differently; the binary layers don't."""
    x, *_ = digits
    net = network("bwn", dropout=0.5)
    (images,) = tf.get_collection(tf.GraphKeys.INPUTS)
    outputs = []
    for training in (False, True, False):
        run([])
        tflearn.is_training(training, session=run.session)
        outputs.append(run(net, {images: x[:32]}))
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01
    assert np.abs(outputs[0] - outputs[2]).max() > 0  # The moving averages have moved.


@pytest.mark.parametrize("binary_input", [False, True])
def test_residual_blocks_learn(binary_input, digits, tmp_path):
    x, y, x_test, labels = digits
    net = tflearn.conv_2d(tflearn.input_data([None, 8, 8, 1]), 8, 3, weights_init="xavier")
    net = binary_residual_block(net, 2, 8, binary_input=binary_input)
    net = binary_residual_block(net, 1, 17, downsample=True, binary_input=binary_input)
    assert net.shape.as_list() == [None, 4, 4, 17]
    assert len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)) == 6
    net = tflearn.fully_connected(tflearn.global_avg_pool(tflearn.activation(net, "relu")), 10, weights_init="xavier")
    net = tflearn.regression(net, loss="softmax_categorical_crossentropy", learning_rate=0.01)
    model = tflearn.DNN(net, tensorboard_dir=str(tmp_path))
    # By the order of additions in threads, four epochs end at 0.26 to 0.79: the moving averages are young.
    accuracies = []
    while len(accuracies) < 12 and max(accuracies, default=0) < 0.4:
        model.fit(x, y, n_epoch=1, snapshot_epoch=False)
        accuracies.append(evaluate(model, x_test, labels)[1])
    assert max(accuracies) >= 0.4, accuracies


def test_residual_blocks_do_not_narrow():
    with pytest.raises(ValueError, match=r"fewer maps than its input\. Got out_channels=8 and 16"):
        binary_residual_block(tflearn.input_data([None, 8, 8, 16]), 1, 8)


JOB = {"network": "lenet", "options": {"width": 0.1}, "scheme": "bwn", "classes": 10, "seed": 3}


def job(folder, digits, **changes):
    x, y, x_test, labels = (values[:200] for values in digits)
    arrays = zip(tflearn_training.ARRAYS, (x, y.argmax(axis=1), x_test, labels), strict=True)
    for name, values in arrays:
        np.save(folder / f"{name}.npy", values)
    what = {**JOB, "epochs": 2, "batch_size": 32, "learning_rate": 0.001, **changes}
    (folder / tflearn_training.JOB).write_text(json.dumps(what))


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "momentum", "schedule": "constant"}, {"optimizer": "sgd", "learning_rate": 0.01}]
)
def test_jobs(changes, digits, tmp_path, capsys):
    job(tmp_path, digits, **changes)
    tflearn_training.run(tmp_path)
    done = json.loads((tmp_path / tflearn_training.DONE).read_text())
    assert done["diverged"] is None and done["seconds"] > 0
    assert {len(values) for values in done["history"].values()} == {2}
    assert capsys.readouterr().out.count(" of 2: test accuracy ") == 2
    rate = tflearn.utils.read_tensor_in_checkpoint("Training_step", str(tmp_path / tflearn_training.WEIGHTS))
    assert rate == 14  # two epochs of seven batches


def test_a_job_that_diverges_keeps_the_weights_before(digits, tmp_path):
    job(tmp_path, digits, optimizer="sgd", learning_rate=1e38, scheme="float")
    tflearn_training.run(tmp_path)
    done = json.loads((tmp_path / tflearn_training.DONE).read_text())
    assert "no longer finite in epoch 1" in done["diverged"]
    kernel = tflearn.utils.read_tensor_in_checkpoint("conv1/W", str(tmp_path / tflearn_training.WEIGHTS))
    assert np.abs(kernel).max() < 0.2 * 1.001  # a truncated normal of deviation 0.1


def test_an_unknown_network(digits, tmp_path):
    job(tmp_path, digits, network="lenett")
    with pytest.raises(ValueError, match=r"front end 'lenett'\. Did you mean lenet"):
        tflearn_training.run(tmp_path)


EXAMPLES = ROOT / "examples" / "tflearn"
SHORT = {
    "lenet": ["--scheme", "bwn", "--width", "0.25", "--epochs", "3", "--batch-size", "32"],
    "alexnet": ["--scheme", "dorefa", "--width", "0.03", "--images", "300", "--epochs", "1"],
    "resnet": ["--scheme", "xnor", "--blocks", "1", "--width", "0.5", "--images", "300", "--epochs", "1"],
}


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"common", "pack", *SHORT}


@pytest.mark.parametrize("name", SHORT)
def test_examples(name, tmp_path, monkeypatch, capsys):
    script = EXAMPLES / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--data", "digits", *SHORT[name], "--out", str(tmp_path)])
    monkeypatch.syspath_prepend(EXAMPLES)
    runpy.run_path(str(script), run_name="__main__")
    accuracy = float(re.search(r"test accuracy ([\d.]+)% after", capsys.readouterr().out)[1])
    assert np.load(tmp_path / "logits.npy").shape[1] == 10 and (tmp_path / "model.index").exists()
    if name == "lenet":
        assert accuracy > 85
        packed_gives_the_same_answers(tmp_path)


def packed_gives_the_same_answers(folder):
    """What lenet.py trained, carried to Keras and packed: that wants a process without TFLearn."""
    command = [
        sys.executable,
        str(EXAMPLES / "pack.py"),
        str(folder),
        *["--data", "digits", "--scheme", "bwn", "--width", "0.25"],
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 weights match" in done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["images"] == 599 and found["packed_differs"] == found["keras_differs"] == 0
