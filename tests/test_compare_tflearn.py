"""`bnn-tf compare --frontend tflearn`: LeNet trained in TFLearn, in processes of their own, beside everything else."""

import json

import keras
import pytest
from test_tflearn import needs_tflearn

import bnn_tf
from bnn_tf import cli, data, training
from bnn_tf.training import frontends
from bnn_tf.training.grid import Cell


@pytest.fixture(scope="module")
def digits():
    full = data.load("digits")
    return data.Dataset("digits", full.x_train, full.y_train, full.x_test[:200], full.y_test[:200], full.class_names)


@needs_tflearn
def test_the_command(tmp_path, capsys):
    command = "compare --frontend tflearn --model lenet:dropout=0.2 --schemes bwn --widths 0.1 --epochs 2 --seed 1"
    assert cli.main([*command.split(), "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "bwn" in printed.out and "TFLearn: epoch 2 of 2: test accuracy" in printed.err
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["frontend"] == "tflearn" and "--frontend tflearn" in results["command"]
    (row,) = results["rows"]
    # What TFLearn says of the test set, and what Keras does with the same weights.
    assert row["accuracy"] == pytest.approx(row["history"]["val_accuracy"][-1], abs=0.002)
    assert row["loss"] == pytest.approx(row["history"]["val_loss"][-1], rel=1e-3)
    model = keras.models.load_model(tmp_path / "run" / row["model_file"])
    assert training.report(model, data.load("digits")).accuracy == row["accuracy"]
    assert cli.main([*command.split(), "--out", str(tmp_path / "run"), "--resume"]) == 0
    with pytest.raises(SystemExit):
        cli.main(["compare", "--frontend"])
    assert cli.main([*command.replace("tflearn", "keras").split(), "--out", str(tmp_path / "run"), "--resume"]) == 2
    assert "holds another comparison" in capsys.readouterr().err


@needs_tflearn
def test_a_process_that_fails_says_why(digits):
    cell = Cell("lenet:dropout=3", "digits", "bwn", 0.25, 0)
    model = bnn_tf.models.lenet("bwn", input_shape=(8, 8, 1), width=0.25)
    with pytest.raises(frontends.TFLearnError, match=r"(?s)ended with 1:.*keep_prob"):
        frontends.train_in_tflearn(model, digits, training.Recipe(epochs=1), cell)


@needs_tflearn
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frontend": "tflaern"}, "Unknown front end 'tflaern'. Did you mean tflearn"),
        ({"frontend": "tflearn", "model": "lenet5"}, "The TFLearn front end has no lenet5 with these options"),
        ({"frontend": "tflearn", "model": "lenet:binarize_first=True"}, "has no lenet with these options"),
        ({"frontend": "tflearn", "augment": ("flip",)}, r"can't follow augment=\('flip',\) \(digits\)"),
        ({"frontend": "tflearn", "optimizer": "adamw"}, "Unknown optimizer of the TFLearn front end 'adamw'"),
        ({"frontend": "tflearn", "schedule": "plateau"}, "Unknown schedule of the TFLearn front end 'plateau'"),
        ({"frontend": "tflearn", "precision": "mixed_bfloat16"}, "computes in float32. Got precision=mixed_bfloat16"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_mistakes_leave_no_folder(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        training.compare(**arguments, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
