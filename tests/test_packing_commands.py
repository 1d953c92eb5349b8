"""`bnn-tf pack` and `bnn-tf predict`, from pictures and arrays to what they print."""

import csv
import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from test_cli import environment

import bnn_tf
from bnn_tf import cli, layers
from bnn_tf.runtime import PackedModel

CLASSES = ("dark", "bright")
# Of the whole range of pixels: dark ones come out negative, bright ones positive.
PIXELS = {"mean": [127.5] * 3, "deviation": [63.75] * 3}


def brightness(shape=(8, 8, 3)):
    """A network that tells bright from dark: it adds all values up."""
    dense = layers.BinaryDense(2, scaling="none", use_bias=False)
    model = keras.Sequential([keras.Input(shape), keras.layers.GlobalAveragePooling2D(), dense], name="brightness")
    dense.kernel.assign(np.array([[-1.0, 1.0]] * shape[-1]))
    return model


@pytest.fixture
def net(tmp_path):
    """A packed network beside which pictures can be laid."""
    return bnn_tf.pack(brightness(), tmp_path / "net.bnn", classes=CLASSES, preprocessing=PIXELS).path


@pytest.fixture
def pictures(tmp_path):
    """A folder with a dark, a bright and a half-bright picture of three sizes, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    Image.new("RGB", (8, 8), (10, 0, 20)).save(folder / "a.png")
    Image.new("RGB", (40, 20), (250, 255, 240)).save(folder / "b.png")
    Image.new("L", (16, 30), 200).save(folder / "more" / "c.PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(capsys, *arguments):
    """What a command printed."""
    code = cli.main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert code == 0, output.err
    return output.out


def error(capsys, *arguments):
    """The one line that a mistake leads to."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    text = capsys.readouterr().err
    assert text.startswith("bnn-tf: error: ") and text.count("\n") == 1, text
    return text


class TestPredict:
    def test_pictures(self, net, pictures, capsys):
        lines = run(capsys, "predict", net, pictures / "a.png", pictures / "b.png").splitlines()
        assert lines == [f"{pictures / 'a.png'}: dark 1.000", f"{pictures / 'b.png'}: bright 1.000"]

    def test_a_folder_with_those_inside(self, net, pictures, capsys):
        rows = list(csv.DictReader(io.StringIO(run(capsys, "predict", net, pictures, "--csv", "--top", 2))))
        assert [row["image"] for row in rows[::2]] == [
            str(pictures / name) for name in ("a.png", "b.png", "more/c.PNG")
        ]
        assert [(row["rank"], row["class"], row["index"]) for row in rows[4:]] == [
            ("1", "bright", "1"),
            ("2", "dark", "0"),
        ]
        # (200 - 127.5) / 63.75 in each of three channels, against as much below 0.
        assert abs(float(rows[4]["score"]) - 1 / (1 + np.exp(-6 * 72.5 / 63.75))) < 1e-5

    def test_json(self, net, pictures, capsys):
        (row,) = json.loads(run(capsys, "predict", net, pictures / "a.png", "--json"))
        assert row["image"] == str(pictures / "a.png")
        assert row["top"][0]["class"] == "dark" and row["top"][0]["index"] == 0

    @pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.float32, 1 / 63.75)])
    def test_arrays_are_pixels_or_inputs(self, dtype, scale, net, tmp_path, capsys):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3))
        x = pixels.astype(np.uint8) if dtype == np.uint8 else ((pixels - 127.5) * scale).astype(dtype)
        np.save(tmp_path / "x.npy", x)
        lines = run(capsys, "predict", net, tmp_path / "x.npy", "--batch-size", 2).splitlines()
        bright = (pixels.mean((1, 2)).sum(-1) >= 3 * 127.5).astype(int)
        assert [line.split(": ")[0] for line in lines] == [f"{tmp_path / 'x.npy'}[{row}]" for row in range(5)]
        assert [line.split(": ")[1].split(" ")[0] for line in lines] == [CLASSES[label] for label in bright]

    def test_a_single_array_and_grey_ones(self, net, tmp_path, capsys):
        np.save(tmp_path / "one.npy", np.zeros((8, 8, 3), np.uint8))
        assert run(capsys, "predict", net, tmp_path / "one.npy").count("\n") == 1
        grey = bnn_tf.pack(brightness((8, 8, 1)), tmp_path / "grey.bnn").path
        np.save(tmp_path / "grey.npy", np.ones((4, 8, 8), np.float32))
        assert run(capsys, "predict", grey, tmp_path / "grey.npy").count(": 1 0.881") == 4

    def test_the_middle_is_cut_out_as_in_training(self, tmp_path, capsys):
        net = bnn_tf.pack(brightness(), tmp_path / "net.bnn", preprocessing={**PIXELS, "short_side": 24}).path
        framed = np.zeros((24, 24, 3), np.uint8)
        framed[8:16, 8:16] = 255
        Image.fromarray(framed).save(tmp_path / "framed.png")
        assert run(capsys, "predict", net, tmp_path / "framed.png").endswith(": 1 1.000\n")

    def test_another_size(self, net, pictures, capsys):
        assert run(capsys, "predict", net, pictures / "b.png", "--size", 20, 30).endswith("bright 1.000\n")

    def test_probabilities_are_taken_as_they_are(self, tmp_path, capsys):
        model = keras.Sequential([brightness(), keras.layers.Softmax()])
        net = bnn_tf.pack(model, tmp_path / "net.bnn").path
        np.save(tmp_path / "x.npy", np.full((1, 8, 8, 3), 0.1, np.float32))
        (row,) = json.loads(run(capsys, "predict", net, tmp_path / "x.npy", "--json"))
        assert abs(row["top"][0]["score"] - 1 / (1 + np.exp(-0.6))) < 1e-6

    def test_without_preprocessing_pixels_are_given_as_they_are(self, tmp_path, pictures, capsys, caplog):
        net = bnn_tf.pack(brightness(), tmp_path / "net.bnn").path
        assert run(capsys, "predict", net, pictures / "a.png").endswith(": 1 1.000\n")
        assert "says nothing about pixels: they are taken as 0..255" in caplog.text

    def test_a_damaged_picture_does_not_stop_the_others(self, net, pictures, capsys, caplog):
        (pictures / "b.png").write_bytes((pictures / "b.png").read_bytes()[:60])
        assert cli.main(["predict", str(net), str(pictures)]) == 2
        output = capsys.readouterr()
        assert output.out.count("\n") == 2 and str(pictures / "b.png") in caplog.text
        assert "1 of 3 pictures couldn't be read" in output.err

    def test_it_needs_no_tensorflow(self, net, pictures):
        code = (
            "import sys; from bnn_tf import cli\n"
            f"assert cli.main(['predict', {str(net)!r}, {str(pictures)!r}]) == 0\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules), 'imported'"
        )
        subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True)

    def test_mistakes(self, net, pictures, tmp_path, capsys):
        assert "No such file or directory" in error(capsys, "predict", net, tmp_path / "none.png")
        assert "can't be opened" in error(capsys, "predict", tmp_path / "none.bnn", pictures)
        assert "notes.txt" in error(capsys, "predict", pictures / "notes.txt", pictures)
        assert "knows 2 classes" in error(capsys, "predict", net, pictures, "--top", 3)
        assert "--size takes height and width" in error(capsys, "predict", net, pictures, "--size", 1, 2, 3)
        (tmp_path / "empty").mkdir()
        assert "There is no picture in" in error(capsys, "predict", net, tmp_path / "empty")
        (tmp_path / "x.npy").write_bytes(b"no array")
        assert "x.npy is no NumPy array" in error(capsys, "predict", net, tmp_path / "x.npy")
        np.save(tmp_path / "x.npy", np.zeros((1, 8, 8, 3), int))
        assert "holds int64. Expected pixels as uint8, or floats" in error(capsys, "predict", net, tmp_path / "x.npy")
        vectors = bnn_tf.pack(keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]), tmp_path / "vectors.bnn")
        assert "no pictures, which have 1 or 3 channels" in error(capsys, "predict", vectors.path, pictures)


class TestPack:
    def test_a_file(self, tmp_path, capsys):
        brightness().save(tmp_path / "model.keras")
        out = tmp_path / "net.bnn"
        figures = ("--classes", *CLASSES, "--mean", 127.5, "--deviation", 63.75)
        text = run(capsys, "pack", tmp_path / "model.keras", "-o", out, *figures)
        assert text.startswith(f"{out}: {out.stat().st_size:,} bytes, ")
        model = PackedModel(out)
        assert model.classes == CLASSES and model.preprocessing == PIXELS

    def test_a_data_set_says_classes_and_pixels(self, tmp_path, capsys):
        bnn_tf.models.build("lenet", "bwn", input_shape=(8, 8, 1)).save(tmp_path / "model.keras")
        run(capsys, "pack", tmp_path / "model.keras", "-o", tmp_path / "net.bnn", "--data", "digits")
        model, digits = PackedModel(tmp_path / "net.bnn"), bnn_tf.data.load("digits")
        assert model.classes == digits.class_names
        np.testing.assert_allclose(model.preprocessing["mean"], digits.mean)
        np.testing.assert_allclose(
            model.predict(digits.x_test[:20]), model.predict(digits.normalize(digits.x_test[:20]))
        )

    def test_figures_of_ones_own_leave_the_size_of_pictures(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # where the statistics of a folder are kept
        brightness().save(tmp_path / "model.keras")
        for name in CLASSES:
            for file in ("1.png", "2.png"):
                path = tmp_path / "set" / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), "gray").save(path)
        of_data = ("--data", tmp_path / "set", "--data-option", "size=8", "--data-option", "short_side=12")
        own = ("--mean", 127.5, "--deviation", 63.75)
        run(capsys, "pack", tmp_path / "model.keras", "-o", tmp_path / "net.bnn", *of_data, *own)
        assert PackedModel(tmp_path / "net.bnn").preprocessing == {**PIXELS, "short_side": 12}

    def test_a_run_knows_its_data(self, tmp_path, capsys):
        run(capsys, "train", "--scheme", "xnor", "--data", "digits", "--epochs", 1, "--out", tmp_path / "run")
        run(capsys, "pack", tmp_path / "run", "-o", tmp_path / "net.bnn")
        packed, digits = PackedModel(tmp_path / "net.bnn"), bnn_tf.data.load("digits")
        assert packed.classes == digits.class_names
        trained = keras.models.load_model(tmp_path / "run" / "last.keras", compile=False)
        expected = trained.predict(digits.normalize(digits.x_test), verbose=0)
        assert (packed.predict(digits.x_test).argmax(-1) == expected.argmax(-1)).all()
        run(capsys, "pack", tmp_path / "run", "-o", tmp_path / "plain.bnn", "--no-data")
        assert PackedModel(tmp_path / "plain.bnn").preprocessing is None

    def test_summary_of_the_file(self, net, capsys):
        text = run(capsys, "summary", net)
        assert "brightness" in text and "binary_dense" in text

    def test_mistakes(self, tmp_path, capsys):
        out = tmp_path / "net.bnn"
        assert "No such file" in error(capsys, "pack", tmp_path / "none.keras", "-o", out)
        (tmp_path / "model.keras").write_text("nothing")
        assert "can't be loaded as a Keras model" in error(capsys, "pack", tmp_path / "model.keras", "-o", out)
        (tmp_path / "folder").mkdir()
        assert "is no run of `bnn-tf train`" in error(capsys, "pack", tmp_path / "folder", "-o", out)
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.UpSampling2D(name="up")]).save(tmp_path / "model.keras")
        assert "can't convert 'up' (UpSampling2D)" in error(capsys, "pack", tmp_path / "model.keras", "-o", out)
        brightness().save(tmp_path / "model.keras")
        model = (tmp_path / "model.keras", "-o", out)
        assert "there is no folder" in error(capsys, "pack", model[0], "-o", tmp_path / "none" / "net.bnn")
        assert "belong together" in error(capsys, "pack", *model, "--mean", 1)
        assert "contradict each other" in error(capsys, "pack", *model, "--data", "digits", "--no-data")
        assert "`classes` must name each of the 2 outputs" in error(capsys, "pack", *model, "--classes", "one")
        assert "Unknown data set 'digit'. Did you mean digits?" in error(capsys, "pack", *model, "--data", "digit")
        assert not out.exists()
