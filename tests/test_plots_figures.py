"""The pictures of trainings, comparisons, data sets and benchmarks: what is drawn is what was given."""

import importlib.util
import json
import re

import numpy as np
import pytest
from conftest import ROOT
from figures import below, is_sound, legend

from bnn_tf import data, plots, training
from bnn_tf.bench import Figure
from bnn_tf.errors import ArgumentError
from bnn_tf.plots.comparing import pareto_front

HISTORY = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.5]}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


class TestLearningCurves:
    def test_histories_and_trainings(self):
        given = {"float": HISTORY, "bwn": training.Training(HISTORY, 1.0)}
        loss, accuracy = is_sound(plots.learning_curves(given, "lenet on digits"), panels=2)
        assert legend(accuracy) == ["float", "bwn"]
        for test, train in (loss.lines[:2], loss.lines[2:]):
            assert list(test.get_xdata()) == [1, 2] and list(test.get_ydata()) == [2.5, 1.5]
            assert list(train.get_ydata()) == [2.0, 1.0] and train.get_linestyle() == "--"
        assert list(accuracy.lines[2].get_ydata()) == [0.2, 0.5]
        assert len({line.get_marker() for line in accuracy.lines[::2]}) == 2

    def test_figures_that_are_not_numbers_leave_a_gap(self):
        loss, _ = is_sound(plots.learning_curves({"a": {**HISTORY, "val_loss": [float("nan"), None]}}))
        assert np.isnan(loss.lines[0].get_ydata()).all()

    def test_names_are_taken_literally(self):
        names = [r"$\frac", "$a$", "_hidden", "<script>"]
        _, accuracy = is_sound(plots.learning_curves(dict.fromkeys(names, HISTORY), "$x$ of _ and $"))
        shown = [text.replace(r"\$", "$").strip("\u2009") for text in legend(accuracy)]
        assert shown == names

    @pytest.mark.parametrize(
        ("histories", "message"),
        [
            ({}, "`histories` is empty"),
            ({"a": {"loss": [1.0]}}, "the history 'a' must have .* It lacks 'accuracy' and has loss"),
            ({"a": [1.0]}, r"It lacks 'loss' and has \[1.0\]"),
            ({"a": {**HISTORY, "loss": [1.0]}}, "different lengths: loss 1, accuracy 2"),
            ({"a": {**HISTORY, "loss": ["x", "y"]}}, "'loss' of 'a' must be a list of numbers"),
        ],
    )
    def test_what_is_no_history(self, histories, message):
        with pytest.raises(ArgumentError, match=message):
            plots.learning_curves(histories)


class TestLearningCurvesByRow:
    def test_what_has_one_name_has_one_colour(self):
        rows = {"n = 2": {"float": HISTORY, "bwn": HISTORY}, "n = 5": {"bwn": HISTORY}}
        grid = is_sound(plots.learning_curves_by_row(rows, "title"), panels=4)
        assert [axes.get_title() for axes in grid] == ["n = 2", "n = 2", "n = 5", "n = 5"]
        assert [axes.get_ylabel() for axes in grid[:2]] == ["loss (cross-entropy, nats)", "accuracy"]
        assert below(grid[0]) == ["float", "bwn"]
        colours = [[each.get_color() for each in axes.lines[::2]] for axes in grid]
        assert colours[0] != colours[2] == colours[0][1:] and colours[1] != colours[3] == colours[1][1:]

    @pytest.mark.parametrize(("rows", "message"), [({}, "`rows` is"), ({"n = 2": {}}, "`rows.'n = 2'.` is")])
    def test_nothing_to_draw(self, rows, message):
        with pytest.raises(ArgumentError, match=f"{message} empty"):
            plots.learning_curves_by_row(rows)


NETWORKS = {
    "float ×1": {"accuracy": 0.99, "packed_bytes": 1_300_000, "latency": 2e-4, "group": "float"},
    "bwn ×1": {"accuracy": 0.98, "packed_bytes": 105_000, "latency": None, "group": "bwn"},
    "bwn ×2": {"accuracy": 0.97, "packed_bytes": 300_000, "latency": 3e-4, "group": "bwn"},
}


class TestTradeOff:
    def test_both_costs(self):
        size, time = is_sound(plots.trade_off(NETWORKS), panels=2)
        front, floats, bwn = size.lines
        assert list(zip(*front.get_data(), strict=True)) == [(105_000, 0.98), (1_300_000, 0.99)]
        assert list(floats.get_xdata()) == [1_300_000] and list(bwn.get_ydata()) == [0.98, 0.97]
        assert below(size) == ["Pareto front", "float", "bwn"]
        assert floats.get_marker() != bwn.get_marker()
        assert size.get_xscale() == "log" and size.get_xlabel() == "packed size, bytes"
        assert {text.get_text(): text.xy for text in size.texts} == {
            name: (of["packed_bytes"], of["accuracy"]) for name, of in NETWORKS.items()
        }
        assert time.get_xlabel() == "time an image, ms"
        np.testing.assert_allclose(time.lines[1].get_xdata(), [0.2])
        assert {text.get_text() for text in time.texts} == {"float ×1", "bwn ×2"}

    def test_one_cost_and_no_groups(self):
        few = {name: {"accuracy": of["accuracy"], "packed_bytes": of["packed_bytes"]} for name, of in NETWORKS.items()}
        (axes,) = is_sound(plots.trade_off(few), panels=1)
        assert below(axes) == ["Pareto front", *few]

    def test_many(self):
        """Only the networks of the front are named beside their points; the legend names all."""
        many = {f"network {i}": {"accuracy": (i * 7 % 20) / 20, "packed_bytes": 2000 * 2**i} for i in range(20)}
        (axes,) = is_sound(plots.trade_off(many), panels=1)
        assert [text.get_text() for text in axes.texts] == [f"network {i}" for i in (0, 1, 2, 5, 8, 11, 14, 17)]
        assert below(axes) == ["Pareto front", *many]

    def test_labels_leave_out_what_the_legend_tells(self):
        sizes = {"LeNet, ×1, bwn": 1, "LeNet, ×2, bwn": 2, "VGG, ×2, bwn": 4, "float": 32}
        group = dict.fromkeys(sizes, "LeNet, bwn") | {"VGG, ×2, bwn": "VGG, bwn", "float": "float"}
        networks = {name: {"accuracy": 0.9, "packed_bytes": sizes[name], "group": group[name]} for name in sizes}
        (axes,) = is_sound(plots.trade_off(networks), panels=1)
        assert [text.get_text() for text in axes.texts] == ["×1", "×2", "VGG, ×2, bwn", "float"]

    def test_points_that_cover_each_other_share_a_label(self):
        """Where both would say the same; else each has its own."""
        where = {"×1, bwn": (1, 0.5), "×1, dorefa": (1.01, 0.51), "×1, xnor": (1, 0.7), "×2, bwn": (8, 0.9)}
        networks = {
            name: {"accuracy": accuracy, "packed_bytes": size, "group": name[4:]}
            for name, (size, accuracy) in (where | {"×2, dorefa": (8, 0.8), "×2, xnor": (1, 0.5)}).items()
        }
        (axes,) = is_sound(plots.trade_off(networks), panels=1)
        labels = [(text.get_text(), *text.xy) for text in axes.texts]
        assert labels == [("×1", 1, 0.5), ("×1", 1, 0.7), ("×2", 8, 0.9), ("×2", 8, 0.8), ("×2", 1, 0.5)]

    def test_panels(self):
        """Each has its own front and its own axes; colours mean the same in all."""
        panel = {"float ×1": "digits", "bwn ×1": "digits", "bwn ×2": "mnist"}
        networks = {name: {**of, "panel": panel[name]} for name, of in NETWORKS.items()}
        grid = is_sound(plots.trade_off(networks), panels=4)
        assert [axes.get_title() for axes in grid] == ["digits", "digits", "mnist", "mnist"]
        fronts = [list(axes.lines[0].get_ydata()) for axes in grid]
        assert fronts == [[0.98, 0.99], [0.99], [0.97], [0.97]]
        assert grid[0].lines[2].get_color() == grid[2].lines[1].get_color()

    def test_a_panel_without_a_cost(self):
        """Leaves its place empty, so that a column stays one cost."""
        networks = {name: {**of, "panel": name} for name, of in NETWORKS.items()}
        places = [
            (axes.get_title(), axes.get_xlabel(), axes.get_subplotspec().colspan.start)
            for axes in is_sound(plots.trade_off(networks), panels=5)
        ]
        size, time = ("packed size, bytes", 0), ("time an image, ms", 1)
        both = [("float ×1", *size), ("float ×1", *time), ("bwn ×1", *size), ("bwn ×2", *size), ("bwn ×2", *time)]
        assert places == both

    def test_front(self):
        assert pareto_front([(3, 0.9), (1, 0.5), (2, 0.5), (1, 0.4), (4, 0.9)]) == [(1, 0.5), (3, 0.9)]

    @pytest.mark.parametrize(
        ("networks", "message"),
        [
            ({}, "`networks` is empty"),
            ({"a": {"accuracy": 98.0, "packed_bytes": 1}}, "\"accuracy\" of 'a' must lie in 0..1. Got 98.0"),
            ({"a": {"accuracy": 0.9, "packed_bytes": 0}}, "\"packed_bytes\" of 'a' must be positive"),
            ({"a": {"accuracy": 0.9}}, "no network has a cost. Give them 'packed_bytes' or 'latency'"),
        ],
    )
    def test_what_can_not_be_drawn(self, networks, message):
        with pytest.raises(ArgumentError, match=re.escape(message)):
            plots.trade_off(networks)


class TestClasses:
    def test_scores(self):
        scores = {"float": [0.9, 1.0, np.nan], "bwn": np.array([0.8, 0.7, 0.6])}
        (axes,) = is_sound(plots.class_scores(scores, ["cat", "dog", "_$"], what="recall"), panels=1)
        assert [list(line.get_xdata()) for line in axes.lines][1] == [0.8, 0.7, 0.6]
        rows = [np.round(line.get_ydata()).tolist() for line in axes.lines]
        assert rows == [[0, 1, 2]] * 2 and axes.get_xlabel() == "recall"
        assert (axes.lines[0].get_ydata() < axes.lines[1].get_ydata()).all()  # equal figures don't hide each other
        assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["cat", "dog"]
        assert below(axes) == ["float", "bwn"]

    @pytest.mark.parametrize(
        ("scores", "message"),
        [
            ({}, "`scores` is empty"),
            ({"a": [0.5]}, "'a' has 1 figures for 2 classes"),
            ({"a": [0.5, 1.5]}, r"must lie in 0..1. Got \[0.5, 1.5\]"),
        ],
    )
    def test_what_are_no_scores(self, scores, message):
        with pytest.raises(ArgumentError, match=message):
            plots.class_scores(scores, ["cat", "dog"])

    @pytest.mark.parametrize(
        ("matrix", "message"),
        [
            ([[1, 2]], r"of the shape \(1, 2\) and 2 class names"),
            ([[1, 2, 3]] * 3, r"of the shape \(3, 3\) and 2 class names"),
            ([[1, -1], [0, 0]], "must be whole numbers from 0"),
            ([[0.5, 1], [0, 0]], "must be whole numbers from 0"),
        ],
    )
    def test_what_is_no_confusion_matrix(self, matrix, message):
        with pytest.raises(ArgumentError, match=message):
            plots.confusion_matrix(matrix, ["cat", "dog"])

    def test_confusion_matrix(self):
        (axes,) = is_sound(plots.confusion_matrix([[3, 1], [0, 5]], ["cat", "dog"]), panels=1)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "class")


class TestDatasets:
    def test_counts(self, digits):
        (axes,) = is_sound(plots.class_counts(digits), panels=1)
        train, test = axes.containers
        assert [bar.get_width() for bar in train] == digits.histogram("train").tolist()
        assert [bar.get_width() for bar in test] == digits.histogram("test").tolist()
        assert below(axes) == ["train: 1,198 images", "test: 599 images"]
        assert train[0].get_hatch() != test[0].get_hatch()

    def test_principal_components(self, digits):
        figure = plots.principal_components(digits, "test", most=100, classes=["3", "7"])
        (axes,) = is_sound(figure, panels=1)
        assert legend(axes) == ["3", "7"]
        points = np.concatenate([np.stack(line.get_data(), 1) for line in axes.lines])
        assert points.shape == (100, 2)
        np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)
        deviations = points.std(axis=0)
        assert deviations[0] > deviations[1]
        assert re.fullmatch(r"component 1 \(\d+\.\d% of the variance\)", axes.get_xlabel())
        # The figures are those of a singular value decomposition.
        chosen = np.flatnonzero(np.isin(digits.y_test, (3, 7)))
        taken = np.sort(np.random.default_rng(0).permutation(chosen)[:100])
        pixels = digits.x_test[taken].reshape(100, -1).astype("float64")
        singular = np.linalg.svd(pixels - pixels.mean(axis=0), compute_uv=False)
        np.testing.assert_allclose(deviations, singular[:2] / 10, rtol=1e-4)

    def test_t_sne(self, digits):
        (axes,) = is_sound(plots.t_sne(digits, most=60, perplexity=8), panels=1)
        assert sum(len(line.get_xdata()) for line in axes.lines) == 60
        assert len(legend(axes)) == 10

    def test_many_classes_and_large_images(self, rng):
        labels = np.arange(50) % 25
        images = rng.integers(0, 255, (50, 70, 64, 3), np.uint8)
        large = data.Dataset("large", images, labels, images[:0], labels[:0], tuple(f"class {i}" for i in range(25)))
        (axes,) = is_sound(plots.principal_components(large), panels=1)
        assert len(legend(axes)) == 10 and axes.get_legend().get_title().get_text() == "10 of 25 classes"
        assert sum(len(line.get_xdata()) for line in axes.lines) == 20
        with pytest.raises(ArgumentError, match="The test part of large has 0"):
            plots.t_sne(large, "test")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"classes": ["eleven"]}, "Unknown class of digits 'eleven'"),
            ({"classes": []}, "must name 1 to 20 classes. Got 0"),
            ({"part": "rest"}, "Unknown part of a data set 'rest'"),
            ({"most": 2}, "`most` must be at least 4. Got most=2"),
            ({"most": 20, "perplexity": 20}, "between 0 and the 20 images. Got perplexity=20"),
        ],
    )
    def test_what_can_not_be_drawn(self, digits, options, message):
        with pytest.raises(ArgumentError, match=message):
            plots.t_sne(digits, **options)


class TestBenchmarks:
    ROWS = (
        {"name": "a", "operations": 2e9, "figures": {"float": {"seconds": 0.5}, "xnor": Figure(0.01, 50.0)}},
        {"name": "b", "operations": 1e9, "figures": {"float": {"seconds": 0.5}}},
    )

    def test_bars_below_the_ceiling(self):
        (axes,) = is_sound(plots.benchmark_bars(self.ROWS, ceilings={"popcount": 250.0}), panels=1)
        assert [bar.get_height() for bar in axes.patches] == [4.0, 2.0, 200.0]
        assert list(axes.lines[0].get_ydata()) == [250.0, 250.0] and axes.get_ylim()[1] > 250
        assert below(axes) == ["popcount", "float", "xnor"]
        (axes,) = is_sound(plots.benchmark_bars(self.ROWS, {"xnor": "XNOR"}), panels=1)
        assert len(axes.patches) == 1

    def test_growth(self):
        panels = {"channels": ([64, 128], {"float": [1e-4, 4e-4], "xnor": [1e-5, 2e-5]})}
        (axes,) = is_sound(plots.growth(panels), panels=1)
        assert list(axes.lines[1].get_ydata()) == pytest.approx([10, 20])

    def test_what_can_not_be_drawn(self):
        with pytest.raises(ArgumentError, match=r"Unknown engine 'xnorr'. Did you mean xnor"):
            plots.benchmark_bars(self.ROWS, {"xnorr": "XNOR"})
        with pytest.raises(ArgumentError, match="`rows` is empty"):
            plots.benchmark_bars([])
        with pytest.raises(ArgumentError, match="'xnor' has 1 figures for 2 layers"):
            plots.throughput(["a", "b"], {"xnor": [1.0]}, {})


@pytest.fixture(scope="module")
def pictures():
    """The script that draws the pictures of docs/pictures.md."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestPage:
    def test_every_function_has_its_picture(self, pictures):
        drawn = "\n".join(code for code, picture in pictures.blocks() if picture)
        functions = {name for name in plots.__all__ if callable(getattr(plots, name)) and name[0].islower()}
        assert functions == set(re.findall(r"plots\.(\w+)\(", drawn))

    def test_the_pictures_are_there(self, pictures):
        named = {picture for _, picture in pictures.blocks() if picture}
        files = {f"pictures/{path.name}": path for path in (ROOT / "docs" / "pictures").iterdir()}
        assert named == set(files)
        assert sum(path.stat().st_size for path in files.values()) < 1_500_000

    def test_its_code_draws_them(self, pictures, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("bnn_tf.training.speed._SECONDS", 0.01)
        drawn = pictures.draw(tmp_path, epochs=1)
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
        assert len(drawn) == len(list((ROOT / "docs" / "pictures").iterdir()))


def test_a_comparison_gives_what_trade_off_takes():
    row = {
        "binary_weights": 8, "float_weights": 2, "packed_bytes": 9, "float_bytes": 40, "train_seconds": 1.0,
        "top_5": 1.0, "loss": 0.1, "images_per_second_composed": None, "history": HISTORY, "diverged": None,
        "model_file": None, "model": "lenet", "data": "digits", "width": 1,
    }  # fmt: skip
    grid = training.grid.Grid(("lenet",), ("digits",), ("float", "bwn"), (1,), (0, 1))
    rows = [
        training.Row(**row, scheme=scheme, seed=seed, accuracy=accuracy, images_per_second=speed)
        for scheme, seed, accuracy, speed in (("float", 0, 0.9, 100.0), ("float", 1, 0.8, 300.0), ("bwn", 0, 0.7, None))
    ]
    comparison = training.Comparison(grid, {}, {}, "float32", "keras", {}, rows)
    networks = comparison.networks()
    assert networks == {
        "float": {"accuracy": pytest.approx(0.85), "packed_bytes": 9, "latency": 1 / 200, "group": "float"},
        "bwn": {"accuracy": 0.7, "packed_bytes": 9, "latency": None, "group": "bwn"},
    }
    is_sound(plots.trade_off(json.loads(json.dumps(networks))), panels=2)
