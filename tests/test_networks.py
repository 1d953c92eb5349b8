"""`python -m benchmarks.networks`: a tiny network through the engines that are here. No test asks for a speed."""

import json
import sys

from conftest import ROOT

if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # benchmarks/ is not part of the package

from benchmarks import report as page
from benchmarks.networks import measure, report
from benchmarks.networks.__main__ import main
from benchmarks.networks.cases import CASES, EXPECTED, UNCHECKED
from bnn_tf import models


def test_cases_are_networks():
    for case in CASES:
        assert {case.network, case.beside} <= set(models.list_models())
        assert set(case.figures) <= {*EXPECTED, *UNCHECKED}
    assert len({case.name for case in CASES}) == len(CASES)


def test_a_tiny_network_without_an_engine_that_was_asked_for(tmp_path, capsys):
    options = ["--tiny", "--threads", "1", "--rounds", "2", "--no-pin", "--openvino-python", "/nowhere/python", "--out"]
    assert main([*options, str(tmp_path)]) == 1
    results = json.loads((tmp_path / "networks.json").read_text(encoding="utf-8"))
    assert list(results["about"]["missing"]) == ["network_openvino"]
    (row,) = results["rows"]
    assert row["failed"] == {} and set(row["figures"]) == {"packed", "tensorflow", "composed"}
    assert row["bytes"]["packed"] < row["bytes"]["own_float"] and row["input"] == [28, 28, 1]
    assert results["about"]["cpu"] and results["about"]["command"].startswith("python -m benchmarks.networks")
    printed = capsys.readouterr().out
    assert "lenet xnor, 1 thread: packed " in printed
    assert printed.splitlines()[-1].endswith("/nowhere/python: No such file or directory")

    text = report.text(results)
    assert "| lenet xnor | 28×28×1 | lenet | 1 | " in text and "TensorFlow float" in text
    assert page._networks(tmp_path).startswith("## Networks\n\n")
    assert page._networks(tmp_path / "none") == ""


def test_every_failure_is_told():
    row = {"network": "lenet", "threads": 1, "failed": {}}
    assert report.left_out({"about": {}, "rows": [row]}) == ""
    for name in (*EXPECTED, *UNCHECKED):
        failed = report.left_out({"about": {}, "rows": [{**row, "failed": {name: "it ended"}}]})
        assert failed == f"* lenet, 1 threads: {name}: it ended"


def test_a_wrong_output_is_not_timed(tmp_path):
    import numpy as np

    np.save(tmp_path / "binary.npy", np.ones((1, 4)))
    np.save(tmp_path / "7-packed.npy", np.ones((1, 4)) * [1, 1, 1, 1.01])
    assert measure._wrong("packed", tmp_path, 7) == "wrong result: off by 0.01 of the largest output"
    np.save(tmp_path / "7-packed.npy", np.ones((1, 3)))
    assert measure._wrong("packed", tmp_path, 7) == "wrong shape: (1, 3) instead of (1, 4)"
