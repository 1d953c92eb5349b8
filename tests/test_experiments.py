"""The experiments: their plans are trainings that can be run, and the page says what the results say."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest
from conftest import ROOT
from markupsafe import escape

import bnn_tf
from bnn_tf import cli, data, models, training
from bnn_tf.commands.train import recipe_arguments
from bnn_tf.reporting import write_report
from bnn_tf.reporting.experiments import LATENCY, draw, notes, read_experiments
from experiments import latency, page, running
from experiments.__main__ import main
from experiments.plan import Experiment, Run
from experiments.plans import EXPERIMENTS, RUNS

TEACHER = Run("digits", "float", "--model lenet --scheme float --data digits --option width=0.1 --epochs 2")
STUDENT = Run(
    "digits",
    "bwn",
    "--model lenet --scheme bwn --data digits --option width=0.1 --epochs 1 "
    f"--warm-start {{{TEACHER.name}}}/last.keras",
)
SMALL = Experiment("Title", "About.", "data", (TEACHER, STUDENT), {("digits", "float"): 99}, "a paper")
KNOWN = {run.name: run for run in SMALL.runs}


MANIFEST = {
    "name": "small",
    "title": "Title",
    "about": "About.",
    "axis": "data",
    "source": "a paper",
    "costs": False,
    "reference": [{"row": "digits", "column": "float", "percent": 99}],
    "runs": [
        {"name": run.name, "row": run.row, "column": run.column} for run in (TEACHER, replace(TEACHER, seed=1), STUDENT)
    ],
}


def result(run, accuracy):
    history = {key: [0.1, accuracy] for key in ("accuracy", "val_accuracy", "loss", "val_loss")}
    return {
        "seed": run.seed,
        "command": "bnn-tf train",
        "commit": "abc",
        "date": "2026-01-02",
        "accuracy": accuracy,
        "best_accuracy": accuracy,
        "epochs": 2,
        "packed_bytes": 1234,
        "wall_seconds": 120,
        "history": history,
    }


@pytest.fixture
def results(tmp_path):
    """A folder with an experiment and two of its three results."""
    folder = tmp_path / "results"
    folder.mkdir()
    describe(folder)
    for run, accuracy in ((TEACHER, 0.98), (replace(TEACHER, seed=1), 0.99)):
        (folder / f"{run.name}.json").write_text(json.dumps(result(run, accuracy)))
    return folder


def describe(folder, **changes):
    content = {"format": 1, "experiments": [MANIFEST | changes]}
    (folder / page.MANIFEST).write_text(json.dumps(content))


class TestPlans:
    def test_a_name_says_what_is_trained(self):
        assert Run("other", "cell", TEACHER.arguments).name == TEACHER.name
        assert len({TEACHER.name, STUDENT.name, replace(TEACHER, seed=1).name}) == 3
        assert TEACHER.name.startswith("lenet-float-digits-")

    def test_tables_share_trainings(self):
        """And only those that are the same: a name stands for one training."""
        runs = [run for experiment in EXPERIMENTS.values() for run in experiment.runs]
        assert len(RUNS) == len({(run.arguments, run.seed) for run in runs}) < len(runs)

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_commands_are_ones_that_the_command_line_takes(self, name):
        parser = cli.make_parser()
        for run in EXPERIMENTS[name].runs:
            options = parser.parse_args(run.command("runs"))
            assert (options.seed, options.out) == (run.seed, f"runs/{run.name}")
            assert options.data in data.list_datasets() and options.model in models.list_models()
            assert dict(options.option).keys() <= set(models.describe(options.model).options)
            assert f"{options.model}-{options.scheme}-{options.data}-" in run.name
            assert options.scheme in models.SCHEMES
            training.recipe_for(options.data, **recipe_arguments(options, training.Recipe))  # or it raises

    def test_what_a_run_needs_is_planned(self):
        assert {name for run in RUNS.values() for name in run.needs} <= RUNS.keys()

    def test_every_reference_has_a_cell(self):
        for experiment in EXPERIMENTS.values():
            assert set(experiment.reference) <= {(run.row, run.column) for run in experiment.runs}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of the runs and of the results, after a run that needs another one."""
    runs, results = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("results")
    running.run([STUDENT], KNOWN, runs, results, say=lambda text: None)
    return runs, results


class TestRunning:
    def test_a_run_and_the_one_that_it_needs(self, folders, tmp_path):
        runs, results = folders
        path = results / f"{STUDENT.name}.json"
        found = json.loads(path.read_text())
        lines = (runs / STUDENT.name / "metrics.jsonl").read_text().splitlines()
        assert found["accuracy"] == pytest.approx(json.loads(lines[-1])["val_accuracy"], abs=1e-5)
        assert (found["epochs"], found["seed"]) == (1, 0) and found["wall_seconds"] >= 0
        assert found["commit"] == running.commit() and found["environment"]["tensorflow"]
        assert found["command"].endswith(
            f"--warm-start runs/{TEACHER.name}/last.keras --seed 0 --out runs/{STUDENT.name}"
        )
        assert str(runs) not in path.read_text()
        packed = bnn_tf.pack(training.load_model(runs / STUDENT.name / "last.keras"), tmp_path / "net.bnn")
        assert found["packed_bytes"] == packed.bytes
        assert {path.stem for path in results.iterdir()} == KNOWN.keys()

    def test_what_is_done_is_not_done_again(self, folders):
        runs, results = folders
        said = []
        running.run(SMALL.runs, KNOWN, runs, results, say=said.append)
        assert said == []

    def test_what_a_run_needs_is_trained_where_only_its_result_is(self, folders, tmp_path):
        _, results = folders
        (tmp_path / "results").mkdir()
        shutil.copy(results / f"{TEACHER.name}.json", tmp_path / "results")
        said = []
        running.run([STUDENT], KNOWN, tmp_path / "runs", tmp_path / "results", say=said.append)
        assert [line.split(": ")[1] for line in said] == [TEACHER.name, STUDENT.name]

    def test_an_unfinished_training_has_no_result(self, folders, tmp_path):
        runs, _ = folders
        shutil.copytree(runs / STUDENT.name, tmp_path / "run")
        with zipfile.ZipFile(tmp_path / "run" / "last.keras", "w") as archive:
            archive.writestr("state.json", json.dumps({"finished": False, "epoch": 3}))
        with pytest.raises(running.RunError, match=r"isn't finished: 3 epochs are done\."):
            running.read(tmp_path / "run")

    @pytest.mark.parametrize("content", [None, b"PK half a file"])
    def test_a_folder_without_a_training(self, tmp_path, content):
        if content:
            (tmp_path / "last.keras").write_bytes(content)
        with pytest.raises(running.RunError, match="holds no training"):
            running.read(tmp_path)

    def test_an_error_is_told_with_its_words(self, tmp_path):
        wrong = Run("a", "b", "--model lenett --scheme float --data digits")
        with pytest.raises(running.RunError, match="Did you mean lenet"):
            running.run([wrong], {}, tmp_path / "runs", tmp_path / "results", say=lambda text: None)
        assert not (tmp_path / "results").exists()

    def test_latency(self):
        found = latency.measure(SMALL.runs)
        assert found["seconds"].keys() == KNOWN.keys() and min(found["seconds"].values()) > 0


class TestPage:
    def test_table(self, results):
        (experiment,) = read_experiments(results)
        assert page.table(experiment) == [
            "| data | float | bwn |",
            "|---|---:|---:|",
            "| digits | 98.50 ± 0.71 (2) / (99) | – |",
        ]

    def test_a_cell_that_no_training_is_to_fill_is_empty(self, results):
        other = {"name": "other", "row": "mnist", "column": "float"}
        describe(results, runs=[*MANIFEST["runs"], other])
        (experiment,) = read_experiments(results)
        assert page.table(experiment)[-1] == "| mnist | – |  |"

    def test_section_says_what_is_missing_and_who_reported(self, results):
        (experiment,) = read_experiments(results)
        text = page.section(experiment, "curves.png")
        assert "–: not run yet (1 of 3 runs)." in text and "what a paper reports" in text and "(curves.png)" in text
        line = "| digits, float, seed 0 | 98.00% | 98.00% | 2 | 1,234 | 2 min | abc, 2026-01-02 | `bnn-tf train` |"
        assert line in text

    def test_figures_in_sentences(self, results):
        (results / f"{STUDENT.name}.json").write_text(json.dumps(result(STUDENT, 0.96)))
        text = "{{small: digits -> float}} %, binary {{small: digits -> bwn minus digits -> float}} points"
        assert page.with_figures(text, read_experiments(results)) == "98.50 %, binary −2.50 points"

    def test_a_sentence_without_its_figure(self, results):
        with pytest.raises(KeyError, match="digits -> xnor"):
            page.with_figures("{{small: digits -> xnor}}", read_experiments(results))

    def test_pictures(self, results):
        (experiment,) = read_experiments(results)
        first = draw(experiment).axes[0]
        assert (first.get_title(), first.lines[0].get_label()) == ("digits", "float")
        assert draw(replace(experiment, outcomes=())) is None
        assert draw(replace(experiment, outcomes=experiment.outcomes[1:])), "another seed than the first"
        describe(results, costs=True)
        assert len(draw(read_experiments(results)[0]).axes) == 1
        (results / LATENCY).write_text(json.dumps({"seconds": {TEACHER.name: 0.001}}))
        assert len(draw(read_experiments(results)[0]).axes) == 2

    def test_widths(self, tmp_path):
        """A panel for each network with several widths; the first as good as float, unless one to come may be."""
        cells = {
            "LeNet, ×1": {"float": 0.9, "bwn": 0.8, "xnor": 0.7},
            "LeNet, ×2": {"bwn": 0.9, "xnor": 0.8},
            "VGG, ×1": {"float": 0.9, "bwn": 0.8, "xnor": 0.9},
            "VGG, ×2": {"bwn": None, "xnor": None},
            "NiN, ×1": {"float": 0.5},
        }
        runs = []
        for row, accuracies in cells.items():
            for column, accuracy in accuracies.items():
                runs.append({"name": f"{row}-{column}", "row": row, "column": column})
                if accuracy is not None:
                    (tmp_path / f"{row}-{column}.json").write_text(json.dumps(result(TEACHER, accuracy)))
        describe(tmp_path, costs=True, reference=[], runs=runs)
        (experiment,) = read_experiments(tmp_path)
        assert "reaches float: LeNet – bwn ×2, xnor none; VGG – xnor ×1. " in notes(experiment)
        drawn = draw(experiment).axes
        assert [axes.get_title() for axes in drawn] == ["LeNet", "VGG", ""]
        assert [line.get_label() for line in drawn[0].lines] == ["Pareto front", "float", "bwn", "xnor"]

    def test_times_say_where_and_when(self, results):
        content = {"cpu": "a processor", "commit": "abc", "date": "2026-01-02", "seconds": {TEACHER.name: 0.001}}
        (results / LATENCY).write_text(json.dumps(content))
        describe(results, costs=True)
        (experiment,) = read_experiments(results)
        expected = "Times: one image a call on one thread, a processor, abc, 2026-01-02 (1 of 2 networks)."
        assert expected in notes(experiment)

    def test_a_picture_without_curves(self, results):
        """Trainings of one epoch: a mark for the mean of each row, a bar for its deviation."""
        for run, accuracy in ((TEACHER, 0.9), (replace(TEACHER, seed=1), 0.8), (STUDENT, 0.8)):
            content = result(run, accuracy)
            content |= {"epochs": 1, "history": {name: values[:1] for name, values in content["history"].items()}}
            (results / f"{run.name}.json").write_text(json.dumps(content))
        (experiment,) = read_experiments(results)
        assert experiment.shown == "accuracies"
        drawn = {axes.get_title(): axes.containers[0] for axes in draw(experiment).axes}
        assert {title: bars[0].get_ydata().tolist() for title, bars in drawn.items()} == {
            "float": [pytest.approx(85)],
            "bwn": [pytest.approx(80)],
        }
        bottom, top = drawn["float"][1][0].get_ydata()[0], drawn["float"][1][1].get_ydata()[0]
        assert top - bottom == pytest.approx(2 * 100 * 0.1 / 2**0.5)

    def test_the_committed_page_is_what_the_results_say(self):
        assert {path.stem for path in running.RESULTS.glob("*-*-*.json")} <= RUNS.keys(), "no table asks for it"
        experiments = read_experiments(running.RESULTS)
        pictures = {each.name: f"../results/experiments/{each.name}.png" for each in experiments if each.outcomes}
        text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
        assert text == page.text(experiments, pictures) and "{{" not in text
        assert {path.stem for path in running.RESULTS.glob("*.png")} == pictures.keys()


class TestReport:
    """`bnn-tf report` on results alone, as `bnn-tf report results`."""

    def test_what_is_committed_is_on_the_page(self, tmp_path):
        assert json.loads((running.RESULTS / page.MANIFEST).read_text(encoding="utf-8")) == page.manifest()
        text = write_report(running.RESULTS, tmp_path / "report.html", kernels=False).read_text(encoding="utf-8")
        for experiment in read_experiments(running.RESULTS):
            assert f"<h2>{escape(experiment.title)}" in text
            for line in page.table(experiment)[2:]:
                assert all(f">{escape(cell)}<" in text for cell in line.strip("| ").split(" | "))
            assert all(escape(outcome.command) in text for outcome in experiment.outcomes)

    def test_small(self, results):
        text = write_report(results, kernels=False).read_text(encoding="utf-8")
        assert (
            ">98.50 ± 0.71 (2) / (99)<" in text
            and "1 of 3 runs" in text
            and "<p>About.</p>" in text
            and "learning curves of Title" in text
        )

    @pytest.mark.parametrize(
        ("name", "content", "remark"),
        [
            (f"{TEACHER.name}.json", "{}", "0.json is damaged: KeyError"),
            (f"{TEACHER.name}.json", "[", "it isn&#39;t JSON"),
            (f"{TEACHER.name}.json", json.dumps(result(TEACHER, float("inf"))), "a figure is inf"),
            (
                f"{TEACHER.name}.json",
                json.dumps(result(TEACHER, 1) | {"history": {"a": [1], "b": []}}),
                "as long for all",
            ),
            (page.MANIFEST, '{"format": 2}', "of format 2; this version reads 1"),
            (page.MANIFEST, '{"format": 1, "experiments": [7]}', "is damaged"),
            (LATENCY, '{"seconds": 7}', "is damaged"),
        ],
    )
    def test_damage(self, results, name, content, remark):
        (results / name).write_text(content)
        (results / "whole").mkdir()
        shutil.copy(running.RESULTS / page.MANIFEST, results / "whole")
        text = write_report(results, kernels=False).read_text(encoding="utf-8")
        assert remark in text and escape(EXPERIMENTS["thesis"].title) in text


class TestCommand:
    def test_list(self, capsys):
        assert main(["list", "thesis"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(EXPERIMENTS["thesis"].runs)

    def test_unknown(self, capsys):
        with pytest.raises(SystemExit):
            main(["run", "theses"])
        assert "unknown experiment theses. Known: thesis, " in capsys.readouterr().err

    def test_only_some_runs(self, monkeypatch):
        taken = []
        monkeypatch.setattr(running, "run", lambda wanted, *others, **named: taken.extend(wanted))
        assert main(["run", "lenet", "--only", "^mnist, xnor"]) == 0
        assert [(run.row, run.column) for run in taken] == [("mnist", "xnor")]

    def test_a_pattern_that_finds_nothing(self, capsys):
        assert main(["run", "lenet", "--only", "xnro"]) == 1
        assert "--only 'xnro' finds none of 8 runs" in capsys.readouterr().err

    def test_what_is_no_pattern(self, capsys):
        with pytest.raises(SystemExit):
            main(["run", "--only", "("])
        assert "'(' is no regular expression" in capsys.readouterr().err
