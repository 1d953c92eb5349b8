"""`bnn-tf evaluate` and what it stands on: the report of a model, two models side by side, their files and pictures."""

import csv
import io
import itertools
import json
import math
from operator import attrgetter

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import bnn_tf
from bnn_tf import cli, data, models, plots, training
from bnn_tf.training.report_folder import ReportFolder

RECIPE = training.Recipe(epochs=2, batch_size=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def digits():
    """A fifth of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:240], full.y_train[:240], full.x_test[:120], full.y_test[:120], full.class_names
    )


def small(scheme="float", shape=(8, 8, 1), **options):
    return models.lenet(scheme, input_shape=shape, width=0.25, **options)


@pytest.fixture(scope="module")
def trained(digits):
    """A model that is right about some digits, and the same after a longer training in another scheme."""
    found = small(), small("xnor")
    for model in found:
        training.train(model, digits, RECIPE)
    return found


@pytest.fixture(scope="module")
def reports(trained, digits):
    return tuple(training.report(model, digits) for model in trained)


class TestReport:
    def test_is_what_scikit_learn_says(self, reports, trained, digits):
        for report, model in zip(reports, trained, strict=True):
            logits = model.predict(digits.normalize(digits.x_test), verbose=0)
            precision, recall, _, images = sklearn_metrics.precision_recall_fscore_support(
                digits.y_test, logits.argmax(axis=1), labels=range(10), zero_division=0
            )
            assert report.accuracy == sklearn_metrics.accuracy_score(digits.y_test, logits.argmax(axis=1))
            assert report.top_5 == sklearn_metrics.top_k_accuracy_score(digits.y_test, logits, k=5)
            probabilities = keras.ops.softmax(logits.astype(np.float64))
            assert report.loss == pytest.approx(sklearn_metrics.log_loss(digits.y_test, probabilities), rel=1e-6)
            np.testing.assert_allclose(report.metrics.precision, precision, rtol=1e-15)
            np.testing.assert_allclose(report.metrics.recall, recall, rtol=1e-15)
            assert [row["images"] for row in report.rows()] == list(images)

    def test_agrees_with_evaluate(self, reports, trained, digits):
        for report, model in zip(reports, trained, strict=True):
            evaluation = training.evaluate(model, digits)
            assert (report.accuracy, report.loss) == pytest.approx((evaluation.accuracy, evaluation.loss), rel=1e-5)

    @pytest.mark.parametrize("batch_size", [1, 7, 120])
    def test_in_batches_of_any_size(self, reports, trained, digits, batch_size):
        report = training.report(trained[1], digits, batch_size=batch_size)
        assert np.array_equal(report.predictions, reports[1].predictions)
        assert report.loss == pytest.approx(reports[1].loss, rel=1e-5)

    def test_frozen_and_never_compiled(self, reports, trained, digits):
        frozen = bnn_tf.freeze(trained[1])
        report = training.report(frozen, digits)
        assert np.array_equal(report.predictions, reports[1].predictions)
        assert training.evaluate(frozen, digits).accuracy == pytest.approx(report.accuracy)

    def test_images_are_cut_as_in_training(self, digits):
        report = training.report(small(shape=(6, 6, 1), seed=3), digits, augment=["alexnet:6"])
        inner = data.Dataset(
            "inner", digits.x_train, digits.y_train, digits.x_test[:, 1:7, 1:7], digits.y_test, digits.class_names
        )
        logits = small(shape=(6, 6, 1), seed=3).predict(inner.normalize(inner.x_test), verbose=0)
        assert np.array_equal(report.predictions, logits.argmax(axis=1))

    def test_json(self, reports, digits):
        content = json.loads(reports[0].to_json())
        matrix = np.array(content["confusion_matrix"])
        assert np.array_equal(matrix, sklearn_metrics.confusion_matrix(digits.y_test, reports[0].predictions))
        assert content["images"] == 120 and content["figures"]["accuracy"] == np.trace(matrix) / 120
        assert len(content["best"]) == len(content["worst"]) == 5 and not set(content["best"]) & set(content["worst"])
        worst = content["confusions"][0]
        assert worst["count"] == (matrix - np.diag(np.diag(matrix))).max()
        assert matrix[int(worst["class"]), int(worst["prediction"])] == worst["count"]

    def test_csv(self, reports):
        rows = list(csv.DictReader(io.StringIO(reports[0].classes_csv())))
        assert [float(row["score"]) for row in rows] == list(reports[0].metrics.score)
        header, *lines = csv.reader(io.StringIO(reports[0].confusion_csv()))
        assert header == ["class", *reports[0].class_names] == ["class", *(line[0] for line in lines)]
        assert np.array_equal(np.array([line[1:] for line in lines], int), reports[0].metrics.matrix)

    def test_text(self, reports):
        lines = str(reports[0]).splitlines()
        assert lines[1].startswith(f"accuracy {reports[0].accuracy:.2%}, top-5 {reports[0].top_5:.2%}, loss ")
        assert lines[3].split() == ["class", "images", "accuracy", "precision", "recall", "BCR", "score"]
        assert lines[4].split()[:2] == ["0", str(reports[0].metrics.images[0])]
        assert lines[14].split()[0] == "average"
        assert [line.split(":")[0] for line in lines[-3:]] == ["best", "worst", "confused"]

    def test_a_class_without_test_images(self, trained, digits):
        kept = digits.y_test != 3
        part = data.Dataset(
            "part", digits.x_train, digits.y_train, digits.x_test[kept], digits.y_test[kept], digits.class_names
        )
        report = training.report(trained[0], part)
        assert json.loads(report.to_json())["classes"][3]["recall"] is None
        assert list(csv.DictReader(io.StringIO(report.classes_csv())))[3]["recall"] == ""
        assert str(report).splitlines()[4 + 3].split() == ["3", "0", "-", "-", "-", "-", "-"]
        assert "3" not in json.loads(report.to_json())["best"] + json.loads(report.to_json())["worst"]

    def test_models_that_do_not_fit(self, digits):
        with pytest.raises(ValueError, match=r"must give 10 logits an image, .* Its output is 4\. Choose the data"):
            training.report(small(classes=4), digits)
        with pytest.raises(ValueError, match=r"takes images of 9×8×1\. Those of digits are 8×8×1"):
            training.report(small(shape=(9, 8, 1)), digits)
        nothing = data.Dataset(
            "none", digits.x_train, digits.y_train, digits.x_test[:0], digits.y_test[:0], ("a",) * 10
        )
        with pytest.raises(ValueError, match="none has no test images"):
            training.report(small(), nothing)

    def test_a_diverged_model(self, digits):
        model = small()
        model.layers[-1].kernel.assign(model.layers[-1].kernel * np.nan)
        with pytest.raises(ValueError, match=r"the logits of 120 of 120 test images aren't numbers"):
            training.report(model, digits)


def made_up(predictions, labels, name="model", data_name="data"):
    classes = tuple("abc")
    return training.Report(name, data_name, classes, np.array(labels), np.array(predictions), loss=1.0, top_5=1.0)


class TestPair:
    def test_differences(self, reports):
        pair = training.Pair(*reports)
        content = json.loads(pair.to_json())
        assert content["differences"]["accuracy"] == reports[1].accuracy - reports[0].accuracy
        for row, first, second in zip(content["classes"], reports[0].rows(), reports[1].rows(), strict=True):
            assert row["score difference"] == second["score"] - first["score"]
        assert content["first"] == json.loads(reports[0].to_json())

    def test_images_that_only_one_gets_right(self, reports):
        counts = training.Pair(*reports).counts
        first, second = reports[0].right, reports[1].right
        assert sum(counts.values()) == 120
        assert counts["both"] + counts["first only"] == first.sum()
        assert counts["both"] + counts["second only"] == second.sum()
        assert counts["neither"] == np.sum(~first & ~second)

    @pytest.mark.parametrize(("first_only", "second_only"), [(0, 0), (1, 0), (4, 4), (9, 2), (0, 12), (130, 101)])
    def test_mcnemar(self, first_only, second_only):
        labels = [0] * (first_only + second_only + 3)
        first = [0] * first_only + [1] * second_only + [0, 0, 2]
        second = [1] * first_only + [0] * second_only + [0, 0, 1]
        pair = training.Pair(made_up(first, labels), made_up(second, labels))
        assert (pair.counts["first only"], pair.counts["second only"]) == (first_only, second_only)
        total, fewer = first_only + second_only, min(first_only, second_only)
        tail = sum(math.comb(total, count) for count in range(fewer + 1)) / 2**total
        assert pair.p_value == pytest.approx(min(1.0, 2 * tail), rel=1e-9)

    def test_text(self, reports):
        lines = str(training.Pair(*reports)).splitlines()
        accuracy = next(line for line in lines if line.startswith("accuracy "))
        difference = 100 * (reports[1].accuracy - reports[0].accuracy)
        assert accuracy.split()[1:] == [f"{r.accuracy:.2%}" for r in reports] + [f"{difference:+.2f}"]
        assert lines[-2].startswith("right: both ") and lines[-1].startswith("p = ")

    def test_other_images(self):
        with pytest.raises(ValueError, match=r"compared on the same test images\. Got 2 of data and 3 of data"):
            training.Pair(made_up([0, 1], [0, 1]), made_up([0, 1, 2], [0, 1, 2]))
        with pytest.raises(ValueError, match="Got 2 of data and 2 of others"):
            training.Pair(made_up([0, 1], [0, 1]), made_up([0, 1], [0, 1], data_name="others"))


class TestFolder:
    def test_one_model(self, reports, tmp_path):
        files = ReportFolder(tmp_path / "out").write(reports[0])
        assert {path.name for path in (tmp_path / "out").iterdir()} == set(files)
        assert set(files) == {"results.json", "classes.csv", "confusion.csv", "confusion.png"}
        assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")
        with pytest.raises(FileExistsError, match="holds an earlier run"):
            ReportFolder(tmp_path / "out")

    def test_two_models_in_place_of_one(self, reports, tmp_path):
        ReportFolder(tmp_path).write(reports[0])
        files = ReportFolder(tmp_path, overwrite=True).write(training.Pair(*reports))
        assert {path.name for path in tmp_path.iterdir()} == set(files)
        assert "second_confusion.png" in files and "confusion.png" not in files
        rows = list(csv.DictReader((tmp_path / "classes.csv").open()))
        assert float(rows[0]["recall first"]) + float(rows[0]["recall difference"]) == pytest.approx(
            float(rows[0]["recall second"])
        )


class TestPictures:
    @pytest.mark.parametrize("classes", [2, 10, 25, 100])
    def test_every_class_can_be_read(self, rng, classes):
        matrix = np.diag(rng.integers(50, 100, classes)) + (rng.random((classes, classes)) < 0.03)
        figure = plots.confusion_matrix(matrix, [f"class {index}" for index in range(classes)], "title")
        figure.draw_without_rendering()
        axes = figure.axes[0]
        for axis, low, high in ((axes.xaxis, "x0", "x1"), (axes.yaxis, "y0", "y1")):
            boxes = sorted((label.get_window_extent() for label in axis.get_ticklabels()), key=attrgetter(low))
            assert len(boxes) == classes
            assert all(getattr(one, high) < getattr(two, low) for one, two in itertools.pairwise(boxes))
        assert axes.get_xticklabels()[0].get_fontsize() >= 5
        assert len(axes.texts) == (np.count_nonzero(matrix) if classes <= 25 else 0)

    def test_shades_are_shares_of_the_class(self):
        figure = plots.confusion_matrix([[3, 1], [0, 0]], ["cat", "dog"])
        assert figure.axes[0].images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
        assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1"]


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """Two files and a run."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in zip(("float", "xnor"), trained, strict=True):
        keras.Model(model.inputs, model.outputs).save(folder / f"{name}.keras")
    training.train(small("bwn"), data.load("digits"), training.Recipe(1, 64, 3e-3), out=folder / "run")
    return folder


class TestCommand:
    @pytest.fixture
    def evaluate(self, capsys, folder):
        def run(*arguments):
            code = cli.main(["evaluate", *(str(argument) for argument in arguments)])
            return code, *capsys.readouterr()

        return run

    def error(self, result):
        code, out, err = result
        assert code == 2 and out == "" and err.count("\n") == 1
        return err

    def test_a_file(self, evaluate, folder, tmp_path):
        code, out, _ = evaluate(folder / "float.keras", "--data", "digits", "--out", tmp_path / "out")
        assert code == 0 and "599 test images" in out.splitlines()[0]
        assert out.splitlines()[-1].startswith(f"In {tmp_path / 'out'}: results.json, classes.csv")
        report = training.report(keras.models.load_model(folder / "float.keras"), data.load("digits"))
        assert json.loads((tmp_path / "out" / "results.json").read_text())["figures"] == report.figures()

    def test_a_packed_file(self, evaluate, folder, tmp_path):
        bnn_tf.pack(keras.models.load_model(folder / "float.keras"), tmp_path / "net.bnn")
        assert "net.bnn is a packed model: `bnn-tf predict`" in self.error(evaluate(tmp_path / "net.bnn"))

    def test_a_run_knows_its_data(self, evaluate, folder):
        code, out, _ = evaluate(folder / "run", "--json")
        found = json.loads(out)
        last = json.loads((folder / "run" / "metrics.jsonl").read_text().splitlines()[-1])
        assert code == 0 and found["figures"]["accuracy"] == pytest.approx(last["val_accuracy"])
        assert evaluate(folder / "run", "--json", "--checkpoint", "best")[0] == 0

    def test_two(self, evaluate, folder):
        code, out, _ = evaluate(folder / "run", folder / "xnor.keras", "--json")
        content = json.loads(out)
        assert code == 0 and sum(content["right"].values()) == 599
        assert (content["first"]["model"], content["second"]["model"]) == (
            str(folder / "run"),
            str(folder / "xnor.keras"),
        )

    def test_other_data_than_the_run_was_trained_on(self, evaluate, folder, caplog, monkeypatch, digits):
        monkeypatch.setattr("bnn_tf.data.load", lambda name, data_dir=None: digits)
        assert evaluate(folder / "run", "--data", "digits")[0] == 0
        assert "was trained on data with train images 1198, here it is 240" in caplog.text

    def test_two_runs_with_other_options_of_one_data_set(self, evaluate, folder, tmp_path):
        """The images would be those of the first one's options, for both."""
        config = json.loads((folder / "run" / "config.json").read_text())
        for run, options in (("one", {"size": 8}), ("other", {"size": 12, "seed": 1})):
            (tmp_path / run).mkdir()
            content = config | {"data_source": "pictures", "data_options": options}
            (tmp_path / run / "config.json").write_text(json.dumps(content))
        runs = (tmp_path / "one", tmp_path / "other")
        said = "were trained on pictures with other options: seed (default and 1), size (8 and 12). Say with --data-op"
        assert said in self.error(evaluate(*runs))
        chosen = ("--data-option", "size=8", "--data-option", "seed=0")
        assert "pictures" in (found := self.error(evaluate(*runs, *chosen))) and "other options" not in found

    def test_mistakes(self, evaluate, folder, tmp_path):
        assert "--data must say what to evaluate on" in self.error(evaluate(folder / "float.keras"))
        assert "No such file or directory: " in self.error(evaluate(folder / "flaot.keras", "--data", "digits"))
        assert "it has no config.json. Name one of its models: float.keras, xnor.keras" in self.error(
            evaluate(folder, "--data", "digits")
        )
        assert "Choose another one for --out" in self.error(
            evaluate(folder / "float.keras", "--data", "digits", "--out", folder)
        )
        (tmp_path / "broken.keras").write_text("nothing")
        assert "can't be loaded as a Keras model" in self.error(evaluate(tmp_path / "broken.keras", "--data", "digits"))
        for wrong in ("{}", "[]", '{"data": {"name": 3}, "recipe": {}}', '{"data": {}, "recipe": {"augment": "flip"}}'):
            (tmp_path / "config.json").write_text(wrong)
            assert "describes no training" in self.error(evaluate(tmp_path))
        (tmp_path / "config.json").write_text("{")
        assert "config.json is no JSON" in self.error(evaluate(tmp_path))
