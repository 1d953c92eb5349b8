"""Benchmarks: that they measure what they say. No test asks for a speed."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from bnn_tf import bench, cli, plots
from bnn_tf.bench import Layer

if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # benchmarks/ is not part of the package

from benchmarks import definition, report, run, worker
from benchmarks.ceilings import Ceilings
from benchmarks.engine import Engine, EngineError
from benchmarks.layers import GROWTH, LAYERS
from benchmarks.worker import Task

TINY = Layer("test", (5, 6, 8), 16, (3, 2), stride=2)
DENSE = Layer("test", (1, 1, 40), 24, None)
GROUPS = Layer("test", (4, 4, 8), 16, (3, 3), groups=2)


class TestLayer:
    def test_names_are_unique(self):
        names = [layer.name for layer in LAYERS]
        assert len(names) == len(set(names)) and len(names) > 20

    def test_name(self):
        assert TINY.name == "5x6x8, 3x2/2, 16"
        assert DENSE.name == "dense 40, 24"
        assert GROUPS.name == "4x4x8, 3x3, 16, 2 groups"

    def test_operations(self):
        assert TINY.operations(2) == 2 * 2 * (3 * 3) * (3 * 2 * 8 * 16)
        assert DENSE.operations(3) == 2 * 3 * 40 * 24
        assert GROUPS.operations(1) == 2 * 16 * 3 * 3 * 4 * 16

    def test_select(self):
        assert bench.select([TINY, DENSE], None) == [TINY, DENSE]
        assert bench.select([TINY, DENSE], ["dense"]) == [DENSE]
        with pytest.raises(ValueError, match=r"No layer '9x9'. There are: 5x6x8, 3x2/2, 16; dense 40, 24\."):
            bench.select([TINY, DENSE], ["5x6", "9x9"])

    def test_growth_has_layers_for_all_values(self):
        for values, cell_of in GROWTH.values():
            assert all(layer.operations(batch) > 0 for layer, batch in map(cell_of, values))


@pytest.mark.parametrize("layer", [TINY, DENSE, GROUPS], ids=lambda layer: layer.name)
@pytest.mark.parametrize("name", [name for name in bench.OPS if name != bench.BASELINE])
class TestCheck:
    def test_right_ops_pass(self, name, layer):
        bench.check(name, layer)

    def test_a_wrong_op_is_caught(self, name, layer):
        _, kernel = bench.tensors(layer, 1)
        right = bench.make_op(name, layer, kernel)
        with pytest.raises(AssertionError, match=name):
            bench.check(name, layer, lambda x: right(x) * 1.001)


class TestRepeated:
    def test_unknown_op(self):
        with pytest.raises(ValueError, match=r"No op 'xor'\. There are: xnor, "):
            bench.make_op("xor", TINY, bench.tensors(TINY, 1)[1])

    def test_is_linear(self):
        assert bench.is_linear({0: 100e-6, 1: 1.1e-3, 4: 4.1e-3, 12: 12.1e-3})
        assert bench.is_linear({0: 100e-6, 1: 130e-6, 4: 136e-6, 12: 152e-6})  # tiny, beside the call
        assert bench.is_linear({0: 1e-4, 1: 0.2})
        assert not bench.is_linear({0: 100e-6, 1: 1.1e-3, 4: 1.1e-3, 12: 1.1e-3})  # it runs once
        assert not bench.is_linear({0: 100e-6, 1: 1.1e-3, 4: 4.1e-3, 12: 4.1e-3})  # it runs four times
        assert not bench.is_linear({0: 0.0, 1: 1e-3, 4: 4e-3, 12: 40e-3})  # repetitions disturb each other

    def test_all_repetitions_are_in_the_graph_that_runs(self):
        x, kernel = bench.tensors(TINY, 1)
        repeated = bench.Repeated(bench.make_op("xnor", TINY, kernel), x)
        for count, graph in repeated._graphs.items():
            ops = [node.op for node in graph.graph.as_graph_def().node]
            assert ops.count("BinaryConvInput2DPacked") == count
        assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
        assert repeated.seconds() >= 0

    def test_an_op_that_runs_once_is_refused(self):
        """What an optimizer that sees equal ops would do."""
        kept = []
        weights = tf.random.normal((400, 400))

        def once_a_graph(x):
            if not kept or kept[-1].graph is not x.graph:
                kept.append(tf.linalg.matmul(x @ weights, weights))
            return kept[-1]

        with pytest.raises(bench.NotLinearError, match=r"must grow with the repetitions\. Got, in us .*, 1: "):
            bench.Repeated(once_a_graph, np.ones((400, 400), np.float32))


class TestCompare:
    def test_figures(self):
        figures = bench.figures({"tensorflow": [4.0, 6.0, 5.0], "xnor": [1.0, 2.0, 1.0], "slow": [8.0], "none": []})
        assert figures["xnor"] == bench.Figure(1.0, 4.0)
        assert figures["slow"] == bench.Figure(8.0, 0.5)
        assert figures["tensorflow"].times_as_fast == 1 and "none" not in figures
        assert bench.figures({"xnor": [1.0]})["xnor"].times_as_fast is None

    def test_rounds_of_no_time_do_not_count(self):
        figures = bench.figures({"tensorflow": [0.0, 4.0, 6.0], "xnor": [1.0, 0.0, 2.0], "bwn": [0.0, 0.0, 0.0]})
        assert figures == {"tensorflow": bench.Figure(5.0, 1.0), "xnor": bench.Figure(1.5, 3.0)}

    def test_what_was_not_measured_is_a_dash_in_the_table(self):
        rounds = {"a": {"tensorflow": [4e-6], "xnor": [1e-6]}, "b": {"tensorflow": [0.0], "xnor": [1e-6]}}
        rows = {layer: bench.figures(of) for layer, of in rounds.items()}
        assert bench.table(rows).split("\n")[-1].split() == ["b", "-", "1.0", "-"]

    def test_a_long_run_must_once_be_longer_than_a_short_one(self, monkeypatch):
        monkeypatch.setattr(worker, "SECONDS", 0)
        times = iter([0, 5, 5, 9, 9, 12, 12, 19])  # short and long in turn: 5, 4, then 3, 7
        assert worker.slope(lambda count: None, 1, 3, lambda: next(times)) == (4 - 3) / 2

    def test_table(self):
        lines = bench.table(
            {"a": {"tensorflow": bench.Figure(2e-6, 1.0), "xnor": bench.Figure(4e-6, 0.5)}}
        ).splitlines()
        assert lines[0].split() == ["layer", "tensorflow", "us", "xnor", "us", "xnor", "x"]
        assert lines[1].split() == ["a", "2.0", "4.0", "0.50"]

    def test_compare(self):
        figures = bench.compare(TINY, 2, bench.ops_for(2), rounds=1)
        assert list(figures) == ["tensorflow", "xnor", "bwn", "xnor_float_kernel", "bwn_float_kernel"]
        assert all(figure.seconds >= 0 for figure in figures.values())

    def test_command(self, tmp_path, capsys):
        path = tmp_path / "bench.json"
        assert cli.main(["bench", "--layers", "8x8x64", "--json", str(path)]) == 0
        out = capsys.readouterr().out
        assert out.startswith("layer") and "\n8x8x64, 3x3, 64 " in out and "times as fast" in out
        saved = json.loads(path.read_text())
        assert set(saved["layers"]["8x8x64, 3x3, 64"]) == {"tensorflow", "xnor", "bwn"} and saved["environment"]["cpu"]

    def test_command_without_such_a_layer(self, capsys):
        assert cli.main(["bench", "--layers", "9x9"]) == 2
        assert "No layer '9x9'" in capsys.readouterr().err


class TestDefinition:
    """The benchmark's own formulas, against the ops and against wrong results."""

    @pytest.mark.parametrize("layer", [TINY, DENSE, GROUPS], ids=lambda layer: layer.name)
    @pytest.mark.parametrize("name", bench.OPS)
    def test_ops(self, name, layer):
        x, kernel = bench.tensors(layer, 3)
        where = definition.positions(layer, 3)
        y = bench.make_op(name, layer, kernel)(tf.constant(x)).numpy()
        image, row, column = where.T
        seen = y[image] if layer.kernel is None else y[image, row, column]
        assert definition.errors(name, layer, x, kernel, where, seen) == ""
        wrong = seen.copy()
        wrong[2, 5] *= 1.001
        assert "wrong result: " in definition.errors(name, layer, x, kernel, where, wrong)
        wrong[2, 5] = np.nan
        assert "nan" in definition.errors(name, layer, x, kernel, where, wrong)
        assert "wrong shape" in definition.errors(name, layer, x, kernel, where, seen[1:])

    @pytest.mark.parametrize(("name", "outside"), [("openvino_binary", -1), ("larq", 1)])
    def test_padding_with_a_sign(self, name, outside):
        from bnn_tf import ops

        x, kernel = bench.tensors(TINY, 1)
        where = definition.positions(TINY, 1)
        y = ops.binary_conv_input2d(x, kernel, 2, scaling="none", input_scaling=False, pad_value=outside).numpy()
        assert definition.errors(name, TINY, x, kernel, where, y[tuple(where.T)]) == ""

    def test_padding_of_the_peers(self):
        for image, stride in (((5, 6, 8), 2), ((14, 14, 8), 2), ((8, 8, 8), 1)):
            task = Task(image, 16, (3, 2), stride, 1, 1, 1, "")
            (top, left), (bottom, right) = task.padding()
            taken = tf.nn.conv2d(
                np.zeros((1, *image)), np.zeros((3, 2, 8, 1)), stride, [[0, 0], [top, bottom], [left, right], [0, 0]]
            )
            assert taken.shape[1:3] == (-(-image[0] // stride), -(-image[1] // stride))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """(folder, plan, results) of two tiny layers, with a peer that isn't there."""
    folder = tmp_path_factory.mktemp("benchmarks")
    plan = run.Plan([TINY, DENSE], [1], [1], 2, ["portable"], {"larq": sys.executable}, pin=False)
    return folder, plan, run.run(plan, folder / "layers.json")


class TestRun:
    def test_figures(self, results):
        _, _, of = results
        assert run.own_failures(of) == []
        for row in of["rows"]:
            assert set(row["figures"]) == {"tensorflow", "composed_xnor", "xnor/portable", "bwn/portable"}
            assert all(len(rounds) == 2 for rounds in row["rounds"].values())

    def test_a_missing_peer_is_told(self, results):
        folder, _, of = results
        assert "larq" in of["about"]["missing"]
        assert "larq was left out" in report.write_tables(of, folder)

    def test_tables_and_pictures(self, results):
        folder, _, of = results
        assert TINY.name in report.write_tables(of, folder)
        assert (folder / "layers-batch1-threads1.png").exists() and (folder / "layers.md").exists()

    def test_two_threads(self, results):
        folder, _, of = results
        assert of["two_threads"] == [] and "Two threads" not in report.write_tables(of, folder)
        two = [{"layer": "7x7x512", "one": 100.0, "shared": 50.0, "apart": 125.0}]
        text = report.write_tables(of | {"two_threads": two}, folder)
        assert "| 7x7x512 | 100.0 | 50.0 | 2.00× | 125.0 | 1.60× |" in text

    def test_resume_measures_only_what_is_missing(self, results):
        folder, plan, of = results
        again = run.run(plan, folder / "layers.json", resume=True)
        assert again["rows"] == json.loads(json.dumps(of["rows"])) and again["about"]["resumed"]

    def test_a_cell_that_is_measured_again_stands_where_it_stood(self, results, tmp_path):
        _, plan, of = results
        kept = {**of, "rows": of["rows"][1:]}
        (tmp_path / "layers.json").write_text(json.dumps(kept))
        again = run.run(plan, tmp_path / "layers.json", resume=True)
        assert [row["name"] for row in again["rows"]] == [row["name"] for row in of["rows"]]

    def test_a_peer_that_dies(self):
        engine = Engine("nothing", ["x"], sys.executable)
        for reason in ("No module named", "No module named", "No module named", "is not started again"):
            with pytest.raises(EngineError, match=reason):
                engine.ask(do="hello")
        with pytest.raises(EngineError, match="no/such/python"):
            Engine("larq", ["x"], "no/such/python").ask(do="hello")

    def test_a_silent_peer(self):
        engine = Engine("graphs", ["xnor"], sys.executable)
        with pytest.raises(EngineError, match="didn't answer in time"):
            engine.ask(timeout=0.01, do="hello")
        engine.close()

    @pytest.mark.skipif(not Ceilings().available, reason="build/bnn_bench isn't built (CMake: -DBNN_TF_BENCH=ON)")
    def test_two_threads_are_timed(self):
        from bnn_tf import ops

        cpus = sorted(os.sched_getaffinity(0))[-2:]
        if len(cpus) < 2:
            pytest.skip("There is one processor.")
        rows = Ceilings().two_threads(ops.backend_info()["isa"], cpus, runs=1)
        assert [row["layer"] for row in rows] == ["56x56x64", "28x28x128", "14x14x256", "7x7x512"]
        assert all(set(row) == {"layer", "one", "shared", "apart"} and min(list(row.values())[1:]) > 0 for row in rows)

    def test_ceilings_without_their_program(self, tmp_path):
        ceilings = Ceilings(tmp_path / "missing")
        ceilings.measure([0])
        assert not ceilings.available and ceilings.best == {} and ceilings.inner_loops(0) == []
        assert ceilings.two_threads("avx512", [0, 1]) == []


def test_pictures():
    bars = plots.throughput(["a", "b"], {"float": [1.0, None], "xnor": [5.0, 6.0]}, {"popcount": 9.0})
    assert len(bars.axes[0].patches) == 3 and len(bars.axes[0].lines) == 1
    panels = plots.growth({"n": ([1, 2], {"float": [1.0, 2.0]}), "m": ([1, 2], {"float": [1.0, 2.0]})})
    assert [axes.get_xlabel() for axes in panels.axes] == ["n", "m"]
