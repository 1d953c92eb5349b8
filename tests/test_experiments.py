"""The experiments: their plans are trainings that can be run, and the page says what the results say."""

import json
import shutil
import zipfile

import pytest
from conftest import ROOT

from bnn_tf import cli, data, models
from experiments import page, running
from experiments.__main__ import main
from experiments.plans import EXPERIMENTS, Experiment, Run

RUNS = [(name, run) for name, experiment in EXPERIMENTS.items() for run in experiment.runs]


def result(row, column, seed, accuracy, **others):
    history = {key: [0.1, accuracy] for key in ("accuracy", "val_accuracy", "loss", "val_loss")}
    text = {
        "row": row,
        "column": column,
        "seed": seed,
        "command": "bnn-tf train",
        "commit": "abc",
        "date": "2026-01-02",
    }
    return {
        **text,
        "accuracy": accuracy,
        "best_accuracy": accuracy,
        "epochs": 2,
        "wall_seconds": 120,
        "history": history,
    } | others


class TestPlans:
    def test_names_differ(self):
        assert len({(name, run.name) for name, run in RUNS}) == len(RUNS) > 20

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_commands_are_ones_that_the_command_line_takes(self, name):
        parser = cli.make_parser()
        for run in EXPERIMENTS[name].runs:
            options = parser.parse_args(run.command("runs"))
            assert (options.seed, options.out) == (run.seed, f"runs/{run.name}")
            assert options.data in data.list_datasets() and options.model in models.list_models()

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_what_a_run_needs_comes_before_it(self, name):
        before = set()
        for run in EXPERIMENTS[name].runs:
            assert before.issuperset(run.needs)
            before.add(run.name)

    def test_every_reference_has_a_cell(self):
        for experiment in EXPERIMENTS.values():
            assert set(experiment.reference) <= {(run.row, run.column) for run in experiment.runs}


SMALL = Experiment(
    "Title",
    "About.",
    "data",
    (
        Run("digits", "float", "--model lenet --scheme float --option width=0.1 --data digits --epochs 2"),
        Run(
            "digits",
            "bwn",
            "--model lenet --scheme bwn --option width=0.1 --data digits --epochs 1 "
            "--warm-start {digits-float-seed0}/last.keras",
        ),
    ),
    {("digits", "float"): 99},
    "a paper",
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of the runs and of the results of an experiment that was run in part."""
    runs, results = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("results")
    running.run("small", SMALL, runs, results, wanted=lambda run: run.column == "bwn", say=lambda text: None)
    return runs, results / "small"


class TestRunning:
    def test_a_run_and_the_one_that_it_needs(self, folders):
        runs, results = folders
        found = json.loads((results / "digits-bwn-seed0.json").read_text())
        lines = (runs / "small" / "digits-bwn-seed0" / "metrics.jsonl").read_text().splitlines()
        assert found["accuracy"] == pytest.approx(json.loads(lines[-1])["val_accuracy"], abs=1e-5)
        assert (found["epochs"], found["seed"]) == (1, 0) and found["wall_seconds"] >= 0
        assert found["commit"] == running.commit() and found["environment"]["tensorflow"]
        assert found["command"].endswith(
            "--warm-start runs/digits-float-seed0/last.keras --seed 0 --out runs/digits-bwn-seed0"
        )
        assert str(runs) not in (results / "digits-bwn-seed0.json").read_text()
        assert (results / "digits-float-seed0.json").exists()

    def test_what_is_done_is_not_done_again(self, folders):
        runs, results = folders
        said = []
        running.run("small", SMALL, runs, results.parent, say=said.append)
        assert said == []

    def test_an_unfinished_training_has_no_result(self, folders, tmp_path):
        runs, _ = folders
        shutil.copytree(runs / "small" / "digits-bwn-seed0", tmp_path / "run")
        with zipfile.ZipFile(tmp_path / "run" / "last.keras", "w") as archive:
            archive.writestr("state.json", json.dumps({"finished": False, "epoch": 3}))
        with pytest.raises(running.RunError, match=r"isn't finished: 3 epochs are done\."):
            running.read(tmp_path / "run")

    def test_an_error_is_told_with_its_words(self, tmp_path):
        wrong = Experiment("", "", "", (Run("a", "b", "--model lenett --data digits"),))
        with pytest.raises(running.RunError, match="Did you mean lenet"):
            running.run("wrong", wrong, tmp_path / "runs", tmp_path / "results", say=lambda text: None)
        assert not (tmp_path / "results").exists()


class TestPage:
    def test_table(self):
        results = [result("digits", "float", 0, 0.98), result("digits", "float", 1, 0.99)]
        assert page.table(SMALL, results) == [
            "| data | float | bwn |",
            "|---|---:|---:|",
            "| digits | 98.50 ± 0.71 (2) / (99) | – |",
        ]

    def test_section_says_what_is_missing_and_who_reported(self):
        text = page.section(SMALL, [result("digits", "float", 0, 0.98)], "curves.png")
        assert "–: not run yet (1 of 2 runs)." in text and "what a paper reports" in text and "(curves.png)" in text
        assert "| digits, float, seed 0 | 98.00% | 98.00% | 2 | 2 min | abc, 2026-01-02 | `bnn-tf train` |" in text

    def test_the_committed_page_is_what_the_results_say(self):
        text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
        for name, experiment in EXPERIMENTS.items():
            found = page.load(running.RESULTS / name, experiment)
            picture = f"../results/experiments/{name}/curves.png" if any(each["seed"] == 0 for each in found) else ""
            assert page.section(experiment, found, picture) in text


class TestCommand:
    def test_list(self, capsys):
        assert main(["list", "thesis"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(EXPERIMENTS["thesis"].runs)

    def test_unknown(self, capsys):
        with pytest.raises(SystemExit):
            main(["run", "theses"])
        assert "unknown experiment theses. Known: thesis, " in capsys.readouterr().err
