"""`bnn-tf report`: what runs left is on the page, whatever state they are in, and the page works in a browser."""

import io
import json
import re
import shutil
import struct
import zipfile
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
from reported import EVIL, make_trainings, network
from test_training_runs import a_tenth

from bnn_tf import cli, training
from bnn_tf.errors import ArgumentError
from bnn_tf.reporting import write_report
from bnn_tf.reporting.runs import _FIGURES, find_runs
from bnn_tf.training.report_folder import ReportFolder


class Page(HTMLParser):
    """The texts of a page, and its tables as lists of rows."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.texts, self.tags, self.classes, self.addresses = {}, [], [], [], []
        self.pictures = {}  # what stands for each in words, and its address
        self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        self.addresses += [named[name] for name in ("src", "href", "srcset", "action", "data") if name in named]
        self.classes += named.get("class", "").split()
        if tag == "img":
            self.pictures[named["alt"]] = named["src"]
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th", "caption"):
            self._cell = []

    def handle_endtag(self, tag):
        if tag == "caption":
            self.tables["".join(self._cell).strip()] = self._rows
        elif tag in ("td", "th"):
            self._rows[-1].append("".join(self._cell).strip())
        if tag in ("td", "th", "caption"):
            self._cell = None

    def handle_data(self, data):
        self.texts.append(data)
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self):
        """All of it."""
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with every kind of run; one bears a name that is a script."""
    folder = tmp_path_factory.mktemp("reported") / "runs"
    digits = a_tenth()
    make_trainings(folder, digits)
    training.cross_validate(network, digits, 2, training.Recipe(epochs=1, batch_size=60), out=folder / "cross")
    reports = [training.report(network(seed), digits, name=name) for seed, name in enumerate(("first", "second"))]
    ReportFolder(folder / "evaluation").write(training.Pair(*reports))
    ReportFolder(folder / "evaluation-of-one").write(reports[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnn_tf.data.load", lambda name, data_dir=None: digits)
        patch.setattr("bnn_tf.training.speed._SECONDS", 0.01)
        training.compare(
            "lenet", "digits", ["float", "bwn"], widths=0.125, epochs=1, out=folder / "comparison", progress=False
        )
    return folder


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    """The page about them."""
    return write_report(runs, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def read(page):
    return Page(page.read_text(encoding="utf-8"))


class TestContent:
    def test_trainings(self, read, runs):
        head, *rows = read.tables["All trainings"]
        by_name = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
        assert set(by_name) == {"short", "long", "cross/fold1", "cross/fold2"}
        long = by_name["long"]
        figures = [json.loads(line) for line in (runs / "long" / "metrics.jsonl").read_text().splitlines()]
        assert long["last accuracy"] == f"{figures[-1]['val_accuracy']:.2%}"
        assert long["last loss"] == f"{figures[-1]['val_loss']:.4f}"
        assert long["best accuracy"] == f"{max(each['val_accuracy'] for each in figures):.2%}"
        assert (long["network"], long["data"], long["epochs"], long["state"]) == (EVIL, "digits", "2", "finished")
        head, *rows = read.tables["Settings that differ"]
        assert "recipe.epochs" in head and len(rows) == 4

    def test_folds(self, read, runs):
        _, *rows = read.tables["Folds"]
        accuracies = []
        for number, row in enumerate(rows, 1):
            last = (runs / "cross" / f"fold{number}" / "metrics.jsonl").read_text().splitlines()[-1]
            accuracies.append(json.loads(last)["val_accuracy"])
            assert row == [f"fold{number}", "1", f"{accuracies[-1]:.2%}"]
        assert f"{np.mean(accuracies):.2%} ± {np.std(accuracies, ddof=1):.2%} over 2 folds" in read.text

    def test_comparison(self, read, runs):
        head, *rows = read.tables["Means over the seeds, and standard deviations"]
        results = json.loads((runs / "comparison" / "results.json").read_text())
        assert [row[head.index("scheme")] for row in rows] == ["float", "bwn"]
        for row, of in zip(rows, results["rows"], strict=True):
            assert row[head.index("packed bytes")] == f"{of['packed_bytes']:,}"
            assert row[head.index("test accuracy")] == f"{of['accuracy']:.2%}"

    def test_evaluations(self, read, runs):
        results = json.loads((runs / "evaluation" / "results.json").read_text())
        head, *rows = read.tables["Classes: second"]
        assert len(rows) == 10
        for row, of in zip(rows, results["second"]["classes"], strict=True):
            assert row[head.index("recall")] == f"{of['recall']:.2%}" and row[1] == str(of["images"])
        assert "McNemar" in read.text

    def test_configurations_and_commands(self, read):
        assert "bnn-tf train long" in read.text and "recipe.learning_rate" in read.text
        assert f"{keras.__version__}" in read.text

    def test_pictures_are_inside(self, read):
        assert all(source.startswith("data:image/png;base64,iVBOR") for source in read.pictures.values())
        assert "missing" not in read.classes
        trainings = {
            f"{caption} of {run}"
            for caption in ("learning curves", "kernels of conv1", "kernels of conv2", "signs changed")
            for run in ("short", "long", "cross/fold1", "cross/fold2")
        }
        evaluations = {f"score of each class of {run}" for run in ("evaluation", "evaluation-of-one")}
        evaluations |= {f"confusion matrix of {model} of evaluation" for model in ("first", "second")}
        assert read.pictures.keys() >= {"accuracy against its costs of comparison", *trainings, *evaluations}

    def test_nothing_outside_is_named(self, page, read):
        text = page.read_text(encoding="utf-8")
        assert all(address.startswith(("data:", "#")) for address in read.addresses) and len(read.addresses) > 20
        assert not re.search(r"url\(|@import|https?:", re.sub(r"data:[^\"]*", "", text))
        assert read.tags.count("script") == 1

    def test_what_files_say_is_escaped(self, page):
        text = page.read_text(encoding="utf-8")
        assert "<script>document.title" not in text and "<img src=x" not in text
        assert "&lt;script&gt;document.title" in text


def zipped(name=training.training_folder.STATE, method=0, flags=0, size=2):
    """A checkpoint whose entry says of itself what it isn't."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"\x07\x07")  # which deflate doesn't begin with
    data = bytearray(file.getvalue())
    of_entry, in_directory = 0, data.index(b"PK\x01\x02")
    for at in (of_entry + 6, in_directory + 8):
        data[at : at + 4] = struct.pack("<HH", flags, method)
    for at in (of_entry + 18, in_directory + 20):
        data[at : at + 8] = struct.pack("<II", size, size)
    return bytes(data)


class TestDamage:
    @pytest.fixture
    def copy(self, runs, tmp_path):
        shutil.copytree(runs, tmp_path / "runs")
        return tmp_path / "runs"

    @staticmethod
    def remarks(folder):
        """What is said about the runs in a folder."""
        runs = find_runs(folder)
        of_runs = [(run.name, problem) for run in (*runs.trainings, *runs.comparisons) for problem in run.problems]
        return [f"{name}: {reason}" for name, reason in (*runs.damaged, *of_runs)]

    def test_it_stands_on_the_page(self, copy):
        (copy / "short" / "last.keras").write_bytes(b"")
        (copy / "evaluation" / "results.json").write_text("{")
        text = Page(write_report(copy, kernels=False).read_text(encoding="utf-8")).text
        assert "; 2 remarks ." in text and "short : last.keras is damaged" in text
        assert "evaluation : results.json is damaged: it isn't JSON" in text

    def test_whole_runs_have_no_remarks(self, copy):
        assert self.remarks(copy) == []

    @pytest.mark.parametrize(
        ("file", "content", "remark"),
        [
            ("short/config.json", b"{", "short: config.json is damaged: it isn't JSON"),
            ("short/config.json", b"[]", "short: config.json is damaged: it holds no object"),
            ("short/config.json", b"{}", "short: config.json describes no training: it has no 'recipe'"),
            ("short/config.json", None, "short: config.json is missing"),
            ("short/metrics.jsonl", b'{"epoch": 1, "lo', "short: metrics.jsonl is damaged"),
            ("short/metrics.jsonl", b'{"epoch": 1}\n', "short: metrics.jsonl is damaged: it lacks accuracy, loss, "),
            ("short/metrics.jsonl", b"[5]", "short: metrics.jsonl is damaged"),
            ("short/metrics.jsonl", b'{"loss": 1%s}' % (b"0" * 400), "short: metrics.jsonl is damaged"),
            (
                "short/metrics.jsonl",
                json.dumps(dict.fromkeys(_FIGURES, 1e999)).encode(),
                "short: metrics.jsonl is damaged",
            ),
            ("short/metrics.jsonl", None, "short: metrics.jsonl is missing or empty"),
            ("short/last.keras", b"PK", "short: last.keras is damaged"),
            ("short/last.keras", zipped(method=99), "short: last.keras is damaged"),  # an unknown compression
            ("short/last.keras", zipped(method=8), "short: last.keras is damaged"),  # compressed, it says
            ("short/last.keras", zipped(flags=1), "short: last.keras is damaged"),  # encrypted, it says
            ("short/last.keras", zipped(size=1 << 20), "short: last.keras is damaged"),  # the end is missing
            ("short/last.keras", None, "short: unfinished: there is no last.keras yet"),
            ("comparison/results.json", b'{"grid": {}}', "comparison: results.json is damaged: KeyError"),
            ("evaluation/results.json", b'{"confusion_matrix": [[1]], "classes": []', "evaluation: results.json is "),
            ("evaluation/results.json", b'{"confusion_matrix": [[1%s]]}' % (b"0" * 20), "evaluation: results.json is "),
            ("evaluation/results.json", b"{}", "evaluation: results.json describes neither a comparison nor an eval"),
            ("evaluation/results.json", b"\xff\xfe", "evaluation: results.json is damaged: it isn't JSON"),
        ],
    )
    def test_it_is_named(self, copy, file, content, remark):
        (copy / file).unlink() if content is None else (copy / file).write_bytes(content)
        (found,) = self.remarks(copy)
        assert found.startswith(remark)

    def test_unfinished_runs_are_named(self, copy):
        config = json.loads((copy / "long" / "config.json").read_text())
        state = training.training_folder.State(epoch=1, finished=False)
        training.training_folder._write_checkpoint(copy / "long" / "last.keras", network(), state)
        (copy / "long" / "config.json").write_text(json.dumps({**config, "recipe": {**config["recipe"], "epochs": 9}}))
        results = json.loads((copy / "comparison" / "results.json").read_text())
        (copy / "comparison" / "results.json").write_text(json.dumps({**results, "complete": False}))
        assert self.remarks(copy) == [
            "long: unfinished: 2 of 9 epochs are done",
            "comparison: unfinished: 2 networks are done",
        ]

    @pytest.mark.parametrize(
        "content", [b"nothing", zipped("config.json", flags=1)], ids=["no zip", "encrypted, it says"]
    )
    def test_a_damaged_model_costs_its_kernels_alone(self, copy, content):
        (copy / "short" / "best.keras").write_bytes(content)
        page = Page(write_report(copy / "short").read_text(encoding="utf-8"))
        assert re.search(r"best\.keras: .*(is encrypted|best\.keras)", page.text) and len(page.pictures) == 2

    def test_what_is_wrong_inside(self, copy):
        """Values of other types end as a remark or a dash, never as a traceback."""
        config = json.loads((copy / "short" / "config.json").read_text())
        config |= {"model": None, "scheme": ["x"], "data": {"name": {"a": 1}}, "network": {}, "recipe": {}}
        (copy / "short" / "config.json").write_text(json.dumps(config))
        nested = {}
        for _ in range(200):
            nested = {"x": nested}
        (copy / "long" / "config.json").write_text(json.dumps({**config, "deep": nested}))
        assert self.remarks(copy) == []
        assert "All trainings" in Page(write_report(copy, kernels=False).read_text(encoding="utf-8")).tables

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"accuracy": "high"}, "accuracy is 'high'"),
            ({"train_seconds": 10**400}, "000"),
            ({"width": float("inf")}, "width is inf"),
            ({"model": ["lenet"]}, "model is ['lenet']"),
            ({"images_per_second": {}}, "images_per_second is {}"),
            ({"history": {"loss": [1.0]}}, "a history lacks figures"),
            ({"history": {name: ["x"] for name in _FIGURES}}, "a history holds what is no number"),
        ],
    )
    def test_wrong_rows_of_a_comparison(self, copy, values, reason):
        results = json.loads((copy / "comparison" / "results.json").read_text())
        results["rows"][0] |= values
        (copy / "comparison" / "results.json").write_text(json.dumps(results))
        (found,) = self.remarks(copy)
        assert found.startswith("comparison: results.json is damaged: ValueError ") and found.endswith(reason)


class TestCommand:
    def test_writes_the_page(self, runs, tmp_path, capsys):
        out = tmp_path / "new" / "page.html"
        assert cli.main(["report", str(runs / "short"), "--out", str(out), "--no-kernels"]) == 0
        assert capsys.readouterr().out.startswith(f"{out}: 0.")
        assert "All trainings" in Page(out.read_text(encoding="utf-8")).tables
        assert [path.name for path in out.parent.iterdir()] == ["page.html"]

    def test_evaluates_trainings(self, runs, tmp_path, monkeypatch):
        digits = a_tenth()
        monkeypatch.setattr("bnn_tf.data.load", lambda name, data_dir: {"digits": digits}[name])
        out = tmp_path / "page.html"
        assert cli.main(["report", str(runs / "short"), "-o", str(out), "--no-kernels", "--evaluate"]) == 0
        page = Page(out.read_text(encoding="utf-8"))
        (head, row), last = page.tables["The whole test set"], (runs / "short" / "metrics.jsonl").read_text()
        assert row[head.index("accuracy")] == f"{json.loads(last)['val_accuracy']:.2%}"
        assert "confusion matrix of short" in page.text and len(page.tables["Classes: short"]) == 11

    def test_data_that_can_not_be_had(self, runs, tmp_path):
        shutil.copytree(runs / "short", tmp_path / "run")
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "data_source": "digitz"}))
        page = Page(write_report(tmp_path, kernels=False, evaluate=True).read_text(encoding="utf-8"))
        assert "no evaluation: Unknown data set 'digitz'" in page.text and "All trainings" in page.tables

    @pytest.mark.parametrize(
        ("name", "message"),
        [("empty", "empty holds no run of bnn-tf train, compare or evaluate"), ("nowhere", "nowhere is no folder")],
    )
    def test_nothing_to_report(self, tmp_path, capsys, name, message):
        (tmp_path / "empty").mkdir()
        assert cli.main(["report", str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
        assert not list((tmp_path / "empty").iterdir())

    def test_a_folder_of_nothing_but_damage(self, tmp_path):
        (tmp_path / "results.json").write_text("{")
        with pytest.raises(ArgumentError, match=r"that can be read\. .*: results.json is damaged: it isn't JSON"):
            write_report(tmp_path)

    def test_an_earlier_page_stays_whole(self, runs, tmp_path, monkeypatch):
        page = tmp_path / "page.html"
        page.write_text("earlier")
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(training.FullDiskError):
            write_report(runs / "short", page, kernels=False)
        assert page.read_text() == "earlier" and len(list(tmp_path.iterdir())) == 1
