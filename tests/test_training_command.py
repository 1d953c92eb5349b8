"""`bnn-tf train`: what is said on the command line is what is trained."""

import json
import os
import signal
import sys
import threading
import time

import keras
import numpy as np
import pytest

from bnn_tf import cli, models
from bnn_tf.training.arrays import array

TINY = ("train", "--option", "width=0.05", "--epochs", "1", "--batch-size", "128")


@pytest.fixture(scope="module")
def float_twin(tmp_path_factory):
    """A trained tiny LeNet's folder."""
    out = tmp_path_factory.mktemp("float") / "run"
    assert cli.main([*TINY, "--out", str(out)]) == 0
    return out


def config_of(out):
    return json.loads((out / "config.json").read_text())


def fails(capsys, *arguments):
    assert cli.main([*TINY, *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("bnn-tf: error: ")
    return last


def test_says_what_it_did(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*TINY, "--scheme", "bwn"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("lenet bwn epoch 1/1: loss ") and " images/s, 0:00:00 left" in err
    assert out.splitlines()[0].endswith(" s") and "after 1 epoch," in out and "best: " in out
    assert (tmp_path / "runs" / "lenet-bwn-digits" / "best.keras").exists()


def test_every_option_arrives(tmp_path):
    arguments = {
        "--optimizer": "momentum",
        "--learning-rate": "0.02",
        "--schedule": "0:0.1,1:0.01",
        "--warmup-epochs": "0.5",
        "--momentum": "0.8",
        "--weight-decay": "0.001",
        "--binary-optimizer": "bop",
        "--binary-learning-rate": "0.0005",
        "--bop-threshold": "1e-7",
        "--layer-rate": "logits=10",
        "--freeze": "conv1",
        "--class-weights": "1,1,1,1,1,1,1,1,1,2",
        "--label-smoothing": "0.1",
        "--early-stopping": "4",
        "--plateau-patience": "3",
        "--plateau-factor": "0.2",
        "--augment": "crop:1",
    }
    given = [text for pair in arguments.items() for text in pair]
    assert (
        cli.main(
            [*TINY, "--scheme", "xnor", "--seed", "5", "--precision", "mixed_bfloat16", *given, "--out", str(tmp_path)]
        )
        == 0
    )
    config = config_of(tmp_path)
    assert config["recipe"] | {"temperature": 0, "mix": 0} == {
        "epochs": 1,
        "batch_size": 128,
        "learning_rate": 0.02,
        "optimizer": "momentum",
        "schedule": "0:0.1,1:0.01",
        "warmup_epochs": 0.5,
        "momentum": 0.8,
        "weight_decay": 0.001,
        "binary_optimizer": "bop",
        "binary_learning_rate": 0.0005,
        "bop_threshold": 1e-7,
        "layer_rates": {"logits": 10},
        "frozen": ["conv1"],
        "class_weights": [1.0] * 9 + [2.0],
        "label_smoothing": 0.1,
        "temperature": 0,
        "mix": 0,
        "early_stopping": 4,
        "plateau_patience": 3,
        "plateau_factor": 0.2,
        "augment": ["crop:1"],
    }
    assert (config["scheme"], config["seed"], config["options"]) == ("xnor", 5, {"width": 0.05})
    assert config["network"]["precision"] == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_begins_with_a_float_twin(capsys, float_twin, tmp_path):
    arguments = ("--scheme", "bwn", "--warm-start", str(float_twin / "last.keras"), "--freeze", "conv1", "conv2")
    assert cli.main([*TINY, *arguments, "--out", str(tmp_path)]) == 0
    assert "weights taken; not in the source: conv2_bn/gamma" in capsys.readouterr().err
    twin, trained = (keras.models.load_model(out / "last.keras") for out in (float_twin, tmp_path))
    np.testing.assert_array_equal(array(twin.get_layer("conv2").kernel), array(trained.get_layer("conv2").kernel))


def test_transfers_a_body_and_learns_from_a_teacher(float_twin, tmp_path):
    file = str(float_twin / "best.keras")
    assert cli.main([*TINY, "--transfer", file, "--teacher", file, "--mix", "0.9", "--out", str(tmp_path)]) == 0
    config = config_of(tmp_path)
    assert config["model"] == config["teacher"] == file and config["recipe"]["mix"] == 0.9


def test_folds(capsys, tmp_path):
    assert cli.main([*TINY, "--folds", "2", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("held-out accuracy of the folds: ") and ", the best: " in out
    assert {path.name for path in tmp_path.iterdir()} == {"fold1", "fold2"}


def test_blocks(capsys, tmp_path):
    message = fails(capsys, "--model", "resnet_cifar", "--blocks", "0", "--out", str(tmp_path))
    assert "n" in message and not list(tmp_path.iterdir())


def test_mistakes(capsys, float_twin, tmp_path):
    out = ("--out", str(tmp_path / "run"))
    assert "Unknown option of lenet 'depth'" in fails(capsys, "--option", "depth=3", *out)
    assert "Unknown optimizer 'adams'. Did you mean adam" in fails(capsys, "--optimizer", "adams", *out)
    assert "No such file or directory" in fails(capsys, "--teacher", str(tmp_path / "none.keras"), *out)
    assert "no layer of lenet_float matches 'head'" in fails(capsys, "--layer-rate", "head=10", *out)
    assert "Unknown kind of class weights 'even'" in fails(capsys, "--class-weights", "even", *out)
    assert not (tmp_path / "run").exists()
    message = fails(capsys, "--out", str(float_twin), "--resume", "--seed", "1")
    assert "holds another run: seed is 0 there and 1 here" in message
    models.lenet(input_shape=(9, 9, 1), width=0.05).save(tmp_path / "nine.keras")
    message = fails(capsys, "--transfer", str(tmp_path / "nine.keras"), *out)
    assert "takes images of (9, 9, 1), and digits gives (8, 8, 1)" in message


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_control_c_says_how_to_go_on(capsys, tmp_path):
    def interrupt():
        until = time.monotonic() + 60
        while not (tmp_path / "metrics.csv").exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert cli.main([*TINY, "--epochs", "1000", "--out", str(tmp_path)]) == 130
    thread.join()
    assert f"{tmp_path} keeps the epochs that are done. Add --resume to go on." in capsys.readouterr().err
