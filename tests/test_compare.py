"""Comparisons: what is in a run's folder, means over seeds, and how an interrupted one goes on."""

import json
import re
import shlex
import statistics

import keras
import numpy as np
import pytest

from bnn_tf import cli, data, training
from bnn_tf.training import comparison as comparison_module
from bnn_tf.training.grid import Cell
from bnn_tf.training.rows import groups, table

SCHEMES = ("float", "bwn", "xnor")


def tenth():
    """A tenth of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:120], full.y_train[:120], full.x_test[:60], full.y_test[:60], full.class_names
    )


@pytest.fixture(scope="module")
def digits():
    return tenth()


@pytest.fixture(scope="module", autouse=True)
def few_images(digits):
    """Comparisons in here run on the tenth, as "mnist" with larger pixels, and time for a moment only."""
    larger = [np.repeat(np.repeat(x, 2, axis=1), 2, axis=2) for x in (digits.x_train, digits.x_test)]
    mnist = data.Dataset("mnist", larger[0], digits.y_train, larger[1], digits.y_test, digits.class_names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnn_tf.data.load", lambda name, data_dir=None: {"digits": digits, "mnist": mnist}[name])
        patch.setattr("bnn_tf.training.speed._SECONDS", 0.01)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A comparison of `SCHEMES`, and its folder."""
    out = tmp_path_factory.mktemp("run")
    return training.compare("lenet", "digits", SCHEMES, epochs=1, out=out, progress=False), out


WIDE = {"model": "lenet", "schemes": "bwn", "widths": [0.125, 0.25], "seed": [3, 5], "epochs": 1, "batch_size": 40}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A comparison that was interrupted and resumed, its folder, and what it and its folder said in between."""
    out = tmp_path_factory.mktemp("wide")
    real = comparison_module.train

    def train(model, *arguments, **options):
        if options["seed"] == 5:
            raise KeyboardInterrupt
        return real(model, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison_module, "train", train)
        with pytest.raises(training.ComparisonInterrupted) as interruption:
            training.compare(**WIDE, out=out, progress=False)
    written = json.loads((out / "results.json").read_text())
    resumed = training.compare(**WIDE, out=out, resume=True, progress=False)
    return resumed, out, interruption.value.comparison, written


class TestCompare:
    def test_files(self, finished):
        _, out = finished
        names = {"results.json", "curves.png", *(f"lenet_{scheme}.keras" for scheme in SCHEMES)}
        assert {path.name for path in out.iterdir()} == names
        assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")

    def test_results_say_how_to_repeat_them(self, finished):
        comparison, out = finished
        results = json.loads((out / "results.json").read_text())
        assert results == json.loads(json.dumps(comparison.as_dict()))
        assert results["complete"] is True
        assert results["command"] == (
            "bnn-tf compare --model lenet --data digits --schemes float bwn xnor "
            "--epochs 1 --batch-size 32 --learning-rate 0.001 --seed 0"
        )
        assert {"tensorflow", "keras", "cpu", "backend"} <= set(results["environment"])
        assert [row["scheme"] for row in results["rows"]] == list(SCHEMES)

    def test_saved_models_have_the_accuracy_of_the_table(self, finished, digits):
        comparison, out = finished
        for row in comparison.rows:
            model = keras.models.load_model(out / row.model_file)
            found = training.report(model, digits)
            assert (found.accuracy, found.top_5) == (row.accuracy, row.top_5)
            assert found.loss == pytest.approx(row.loss, rel=1e-6)

    def test_sizes_and_speeds(self, finished):
        rows = {row.scheme: row for row in finished[0].rows}
        assert (
            rows["float"].packed_bytes == rows["float"].float_bytes and rows["float"].images_per_second_composed is None
        )
        assert rows["float"].images_per_second > 0
        for scheme in ("bwn", "xnor"):
            assert rows[scheme].packed_bytes < 0.1 * rows[scheme].float_bytes
            assert rows[scheme].images_per_second_composed > 0

    def test_table(self, finished):
        header, *lines = finished[0].table().splitlines()
        assert header.split("  ")[0] == "scheme" and "test accuracy" in header
        assert [line.split()[0] for line in lines] == list(SCHEMES)
        assert len({len(line) for line in [header, *lines]}) == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "lennet"}, "Unknown model 'lennet'. Did you mean lenet"),
            ({"model": ["lenet", "vgg17"]}, "Unknown model 'vgg17'. Did you mean vgg1"),
            ({"data": "digit"}, "Unknown data set 'digit'. Did you mean digits"),
            ({"schemes": ["float", "bnw"]}, "Unknown scheme 'bnw'. Did you mean bwn"),
            ({"schemes": ["bwn", "bwn"]}, "must be one or more different names"),
            ({"schemes": []}, "must be one or more different names"),
            ({"seed": [1, 1]}, "`seeds` must be one or more different numbers"),
            ({"widths": [1, 0]}, "`widths` must be positive"),
            ({"epochs": -1}, "`epochs` must be positive"),
            ({"model": "lenet:wings=2"}, "Unknown option of lenet 'wings'"),
            ({"model": "lenet:width=2"}, "lenet:width=2 can't set width"),
            ({"model": "lenet:width"}, "options are written NAME:KEY=VALUE,KEY=VALUE. Got 'lenet:width'"),
            ({"model": ["lenet", "vgg11"]}, r"vgg11: an image must be at least 32×32\. Got 8×8"),
            ({"model": ["lenet", "lenet:"]}, "options are written"),
        ],
        ids=lambda value: (
            None
            if isinstance(value, str)
            else "-".join(map(str, *value.values()))
            if isinstance(next(iter(value.values())), list)
            else str(next(iter(value.values())))
        ),
    )
    def test_mistakes_leave_no_folder(self, tmp_path, arguments, message):
        with pytest.raises(ValueError, match=message):
            training.compare(**arguments, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestWide:
    def test_everything_is_trained(self, wide):
        comparison, out, *_ = wide
        cells = [(row.width, row.seed) for row in comparison.rows]
        assert cells == [(0.125, 3), (0.25, 3), (0.125, 5), (0.25, 5)]  # a seed is finished before the next begins
        models = {f"lenet_bwn_width{width}_seed{seed}.keras" for width, seed in cells}
        assert {path.name for path in out.iterdir()} == {"results.json", "curves.png", "accuracy.png", *models}
        weights = [keras.models.load_model(out / row.model_file).get_weights() for row in comparison.rows]
        assert weights[0][0].shape[-1] == 4 and weights[1][0].shape[-1] == 8
        assert not np.array_equal(weights[0][0], weights[2][0])

    def test_mean_and_deviation_over_seeds(self, wide):
        comparison, out, *_ = wide
        found = json.loads((out / "results.json").read_text())["groups"]
        assert [(group["width"], group["seeds"]) for group in found] == [(0.125, [3, 5]), (0.25, [3, 5])]
        for group in found:
            values = [row.accuracy for row in comparison.rows if row.width == group["width"]]
            assert group["accuracy"]["mean"] == pytest.approx(np.mean(values), rel=1e-12)
            assert group["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)
            assert group["images_per_second_composed"]["deviation"] >= 0

    def test_table(self, wide):
        comparison, *_ = wide
        header, first, second = comparison.table().splitlines()
        assert header.split()[:5] == ["width", "scheme", "seeds", "test", "accuracy"]
        values = [row.accuracy for row in comparison.rows if row.width == 0.125]
        assert first.split()[:6] == [
            "×0.125", "bwn", "2", f"{np.mean(values):.2%}", "±", f"{statistics.stdev(values):.2%}"
        ]  # fmt: skip
        assert second.split()[0] == "×0.25"

    def test_a_mean_goes_as_far_as_all_seeds(self, finished):
        row = finished[0].rows[0]
        content = {name: getattr(row, name) for name in row.__dataclass_fields__}
        longer = training.Row(
            **{**content, "seed": 1, "history": {name: [v[0], 9.0] for name, v in row.history.items()}}
        )
        (group,) = groups([row, longer])
        assert group.history() == {name: pytest.approx(values) for name, values in row.history.items()}
        assert table(finished[0].grid, [row, longer]).count("±") == 1

    def test_command(self, wide):
        comparison, *_ = wide
        assert comparison.command == (
            "bnn-tf compare --model lenet --data digits --schemes bwn --widths 0.125 0.25 --epochs 1 --batch-size 40 "
            "--learning-rate 0.001 --seed 3 5"
        )
        options = cli.make_parser().parse_args(shlex.split(comparison.command)[1:])
        assert (options.widths, options.seed, options.epochs) == ([0.125, 0.25], [3, 5], 1)

    def test_networks_and_data_sets(self, tmp_path):
        comparison = training.compare(
            ["mlp_mnist", "lenet:dropout=0.0"], ["digits", "mnist"], "bwn", out=tmp_path, epochs=1, progress=False,
            widths=0.1,
        )  # fmt: skip
        assert [(row.model, row.data) for row in comparison.rows] == [
            (model, name) for name in ("digits", "mnist") for model in ("mlp_mnist", "lenet:dropout=0.0")
        ]
        assert 3 * comparison.rows[0].binary_weights < comparison.rows[2].binary_weights  # 8×8 and 16×16 inputs
        assert {recipe.batch_size for recipe in comparison.recipes.values()} == {32, 128}
        assert "--batch-size" not in comparison.command and "--model mlp_mnist lenet:dropout=0.0" in comparison.command
        assert (tmp_path / "lenet-dropout-0.0_bwn_digits.keras").exists()
        assert [line.split()[:2] for line in comparison.table().splitlines()[:2]] == [
            ["model", "data"],
            ["mlp_mnist", "digits"],
        ]

    def test_one_that_diverges_does_not_take_the_others_with_it(self, tmp_path, monkeypatch):
        real = comparison_module.train

        def train(model, dataset, recipe, **options):
            if model.name == "lenet_float":
                model.layers[-1].bias.assign(model.layers[-1].bias + np.nan)
            return real(model, dataset, recipe, **options)

        monkeypatch.setattr(comparison_module, "train", train)
        with pytest.raises(ValueError, match="aren't numbers"):  # there was never a good state
            training.compare("lenet", schemes=["float"], widths=0.1, epochs=1, progress=False)
        monkeypatch.undo()
        comparison = training.compare(
            "lenet", schemes=["float"], widths=0.1, epochs=1, learning_rate=1e38, out=tmp_path, progress=False,
            optimizer="sgd", schedule="constant",
        )  # fmt: skip
        (row,) = comparison.rows
        assert "The loss is no longer finite at step " in row.diverged and row.history == {}
        assert comparison.complete and 0 <= row.accuracy <= 1
        assert comparison.table().splitlines()[-1] == f"float: {row.diverged}"


class TestResume:
    def test_an_earlier_one_stays(self, finished):
        with pytest.raises(FileExistsError, match=r"holds an earlier run\. .* or continue it \(--resume\)"):
            training.compare("lenet", "digits", SCHEMES, epochs=1, out=finished[1])

    def test_nothing_is_left_to_do(self, finished, capsys):
        comparison, out = finished
        before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
        again = training.compare("lenet", "digits", SCHEMES, epochs=1, out=out, resume=True)
        assert again.rows == comparison.rows and capsys.readouterr().err == ""
        assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before

    @pytest.mark.parametrize(
        ("arguments", "difference"),
        [
            ({"schemes": SCHEMES[:2]}, "grid.schemes is ['float', 'bwn', 'xnor'] there and ['float', 'bwn'] here"),
            ({"seed": [0, 1]}, "grid.seeds is [0] there and [0, 1] here"),
            ({"epochs": 2}, "recipes.digits.epochs is 1 there and 2 here"),
            ({"precision": "mixed_bfloat16"}, "precision is float32 there and mixed_bfloat16 here"),
        ],
        ids=["schemes", "seeds", "epochs", "precision"],
    )
    def test_other_arguments(self, finished, arguments, difference):
        _, out = finished
        content = (out / "results.json").read_bytes()
        with pytest.raises(FileExistsError, match=re.escape(f"holds another comparison: {difference}. Continue")):
            training.compare(**{"schemes": SCHEMES, "epochs": 1, **arguments}, out=out, resume=True)
        assert (out / "results.json").read_bytes() == content

    @pytest.mark.parametrize("content", ["no JSON", '{"files": []}'])
    def test_a_folder_of_something_else(self, tmp_path, content):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(FileExistsError, match=r"holds no earlier run|describes no comparison"):
            training.compare("lenet", epochs=1, out=tmp_path, resume=True)
        assert (tmp_path / "results.json").read_text() == content

    def test_other_circumstances_are_reported(self, finished, caplog):
        _, out = finished
        results = json.loads((out / "results.json").read_text())
        results["environment"]["keras"] = "3.0"
        (out / "results.json").write_text(json.dumps(results))
        training.compare("lenet", "digits", SCHEMES, epochs=1, out=out, resume=True)
        assert f"was begun with keras 3.0 and goes on with {keras.__version__}" in caplog.text

    def test_interrupted_and_resumed(self, wide):
        resumed, _, begun, written = wide
        assert [(row.width, row.seed) for row in begun.rows] == [(0.125, 3), (0.25, 3)]
        assert begun.unfinished == [Cell("lenet", "digits", "bwn", width, 5) for width in (0.125, 0.25)]
        assert written["complete"] is False and len(written["rows"]) == 2
        assert resumed.complete and resumed.rows[:2] == begun.rows
        alone = training.compare(**{**WIDE, "widths": 0.25, "seed": 5}, progress=False)
        # But for the rounding of sums that threads add in any order.
        assert resumed.rows[3].loss == pytest.approx(alone.rows[0].loss, rel=1e-3)


class TestCommand:
    def test_resume_needs_the_folder(self, capsys):
        assert cli.main(["compare", "--resume"]) == 2
        assert "--resume needs --out" in capsys.readouterr().err

    def test_the_recipe_is_part_of_the_command(self, tmp_path, capsys):
        given = (
            "--model lenet --data digits --schemes bwn --widths 0.125 --epochs 1 --batch-size 60 --learning-rate 0.01"
        )
        given += " --optimizer momentum --schedule constant --layer-rate 'logits=0.5' --freeze 'conv1*'"
        given += " --class-weights 1,1,1,1,1,1,1,1,1,2 --augment flip crop:1"
        assert cli.main(["compare", *shlex.split(given), "--out", str(tmp_path / "run")]) == 0
        assert capsys.readouterr().out.startswith("scheme")
        results = json.loads((tmp_path / "run" / "results.json").read_text())
        recipe = results["recipes"]["digits"]
        assert (recipe["optimizer"], recipe["layer_rates"], recipe["frozen"]) == (
            "momentum",
            {"logits": 0.5},
            ["conv1*"],
        )
        assert shlex.split(results["command"])[2:-2] == [
            word for option in sorted_options(given, results["command"]) for word in option
        ]


def sorted_options(given, like):
    """The options of a command line with their values, in the order of another one."""
    options = [shlex.split(option) for option in re.split(r" (?=--)", given)]
    order = [word for word in shlex.split(like) if word.startswith("--")]
    return sorted(options, key=lambda option: order.index(option[0]))
