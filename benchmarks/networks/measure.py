"""Asks the engines for whole networks, in turn, round by round, and keeps what they say."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import run
from benchmarks.engine import ROOT, Engine, EngineError
from benchmarks.networks.cases import EXPECTED, Case
from bnn_tf.bench import Figure, figures

# Of an output's largest value; sums of thousands of floats, layer after layer, in another order.
_TOLERANCE = 1e-3
_ENGINES = {
    "network_packed": ("packed",),
    "network_tensorflow": ("tensorflow", "composed"),
    "network_openvino": ("openvino", "openvino_int8"),
    "network_larq": ("larq",),
}
_LONGEST = 30.0  # seconds of a case's time for one figure
_PATIENCE = 600.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        cases, threads: the rows are all combinations.
        rounds: of each row.
        peers: engines of other projects, by the interpreter that runs them: "network_openvino", "network_larq".
        pin: an engine runs on as many processors as it has threads.
    """

    cases: Sequence[Case]
    threads: Sequence[int]
    rounds: int
    peers: dict[str, str]
    pin: bool = True


def measure(plan: Plan, path: Path) -> dict[str, Any]:
    """Measures, prints each row, and writes `path` after each.

    Returns:
        What the file holds: "about" and "rows".
    """
    results: dict[str, Any] = {"about": run.about(plan.rounds, plan.pin, "benchmarks.networks"), "rows": []}
    with tempfile.TemporaryDirectory(prefix="bnn_tf-") as scratch:
        for number, case in enumerate(plan.cases):
            folder = Path(scratch) / str(number)
            made = _made(case, folder)
            for threads in plan.threads:
                engines = _engines(plan, case, threads)
                try:
                    run.greet(engines, results)
                    row = _row(plan, case, made, engines, threads, folder)
                finally:
                    for engine in engines:
                        engine.close()
                results["rows"].append(row)
                run.save(results, path)
                print(describe(row), flush=True)
    run.finish(results["about"])
    run.save(results, path)
    return results


def _made(case: Case, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    (folder / "case.json").write_text(json.dumps(dataclasses.asdict(case)), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.networks.making", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case.name} can't be made: {done.stderr.strip()[-2000:]}")
    return json.loads((folder / "made.json").read_text(encoding="utf-8"))


def _engines(plan: Plan, case: Case, threads: int) -> list[Engine]:
    variables = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = dict.fromkeys(variables, str(threads))
    pinned = run.cpus(threads) if plan.pin else None
    pythons = {"network_packed": sys.executable, "network_tensorflow": sys.executable, **plan.peers}
    return [
        Engine(module, names, pythons[module], environment=environment, cpus=pinned)
        for module, of in _ENGINES.items()
        if module in pythons and (names := [name for name in of if name in case.figures])
    ]


def _row(
    plan: Plan, case: Case, made: dict[str, Any], engines: list[Engine], threads: int, folder: Path
) -> dict[str, Any]:
    failed: dict[str, str] = {}
    timed: list[tuple[Engine, str]] = []
    task = {"threads": threads, "folder": str(folder)}
    for engine in engines:
        try:
            answer = engine.ask(_PATIENCE, do="prepare", task=task, names=engine.names)
        except EngineError as error:
            failed |= {name: str(error) for name in engine.names}
            continue
        failed |= answer["failed"]
        for name in engine.names:
            if name not in failed and (wrong := _wrong(name, folder, answer["pid"])):
                failed[name] = wrong
            if name not in failed:
                timed.append((engine, name))
    rounds = run.timed_rounds(plan.rounds, timed, failed, _LONGEST)
    return {
        "network": case.name,
        "beside": case.beside,
        **made,
        "batch": 1,
        "threads": threads,
        "figures": {name: dataclasses.asdict(figure) for name, figure in figures(rounds).items()},
        "rounds": rounds,
        "failed": failed,
    }


def _wrong(name: str, folder: Path, process: int) -> str:
    """How an output differs from what Keras gave; "" where it doesn't, or where there is nothing to compare it with."""
    if name not in EXPECTED:
        return ""
    y, expected = np.load(folder / f"{process}-{name}.npy"), np.load(folder / f"{EXPECTED[name]}.npy")
    if y.shape != expected.shape:
        return f"wrong shape: {y.shape} instead of {expected.shape}"
    error = float(np.abs(y - expected).max() / np.abs(expected).max())
    return "" if error <= _TOLERANCE else f"wrong result: off by {error:.2g} of the largest output"


def describe(row: dict[str, Any]) -> str:
    """A row in a few words, for whoever watches."""
    words = [f"{row['network']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}:"]
    for name, of in row["figures"].items():
        figure = Figure(**of)
        times = run.median_ratio(row, "packed", name)
        beside = "" if name == "packed" or times is None else f" (packed {times:.2f}x)"
        words.append(f"{name} {figure.seconds * 1e3:.2f} ms{beside},")
    words += [f"{name} FAILED: {reason};" for name, reason in row["failed"].items()]
    return " ".join(words).rstrip(",;")
