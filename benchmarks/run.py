"""Who is asked for what, and when; what is kept of the answers.

A cell is a layer at a batch and a number of threads. All engines prepare it, each output is compared with the
definition, and then they are timed in turn, one at a time, round by round: the machine may be busy with other things,
and what two engines need one after the other can still be compared.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import definition
from benchmarks.ceilings import Ceilings
from benchmarks.engine import ROOT, Engine, EngineError
from benchmarks.layers import LAYERS
from bnn_tf.bench import BASELINE, Figure, Layer, figures, tensors
from bnn_tf.errors import ArgumentError
from bnn_tf.machine import cpu_name

OURS = ("xnor", "bwn", "xnor_float_kernel", "bwn_float_kernel")
PEERS = {"openvino": ("openvino", "openvino_binary"), "larq": ("larq",)}

_SECONDS = 2.0  # of a cell's time for one op: a slow one gets fewer rounds


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        layers, batches, threads: the cells are all combinations.
        rounds: of each cell.
        isas: instruction sets that this package's ops are forced to, each in a process.
        peers: engines of other projects, by the interpreter that runs them: "openvino", "larq".
        composed: also the ops composed of TensorFlow's.
        pin: an engine runs on as many processors as it has threads.
    """

    layers: Sequence[Layer]
    batches: Sequence[int]
    threads: Sequence[int]
    rounds: int
    isas: Sequence[str]
    peers: dict[str, str]
    composed: bool = True
    pin: bool = True


def run(plan: Plan, path: Path, resume: bool = False) -> dict[str, Any]:
    """Measures, prints each cell, and writes `path` after each: what is there already is kept with `resume`.

    Returns:
        What the file holds: "about", "ceilings", "inner_loops", "two_threads" and "rows".

    Raises:
        ArgumentError: a ValueError, where `resume` would mix two builds.
    """
    measured: dict[str, Any] = {"ceilings": {}, "inner_loops": [], "two_threads": [], "rows": []}
    results = {"about": about(plan.rounds, plan.pin), **measured}
    ceilings = Ceilings()
    if resume and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["about"]["ops_sha256"] != results["about"]["ops_sha256"]:
            raise ArgumentError(
                f"{path} was measured with another build of the ops. Leave --resume out, or use another --out."
            )
        results |= {key: before[key] for key in measured if key in before}
        results["about"]["resumed"] = [*before["about"].get("resumed", []), before["about"]["date"]]
        ceilings.best = results["ceilings"]
    done = {(row["name"], row["batch"], row["threads"]) for row in results["rows"]}
    # In whichever order cells are measured, and measured again.
    order = [*(layer.name for layer in (*LAYERS, *plan.layers)), *(row["name"] for row in results["rows"])]
    if not ceilings.available:
        print("No build/bnn_bench (CMake: -DBNN_TF_BENCH=ON): the figures stand without the machine's ceilings.")
    with tempfile.TemporaryDirectory(prefix="bnn_tf-") as scratch:
        for threads in plan.threads:
            engines = _engines(plan, threads)
            try:
                greet(engines, results)
                for layer in plan.layers:
                    for batch in plan.batches:
                        if (layer.name, batch, threads) in done:
                            continue
                        ceilings.measure(cpus(threads))
                        row = cell(plan, engines, layer, batch, threads, Path(scratch))
                        results["rows"].append(row)
                        results["rows"].sort(key=lambda row: (row["threads"], order.index(row["name"])))
                        results["ceilings"] = ceilings.best
                        save(results, path)
                        print(describe(row), flush=True)
            finally:
                for engine in engines:
                    engine.close()
    if not results["inner_loops"]:
        results["inner_loops"] = ceilings.inner_loops(cpus(1)[0])
    if not results["two_threads"] and max(plan.threads) > 1:
        results["two_threads"] = ceilings.two_threads(plan.isas[0], cpus(2))
    finish(results["about"])
    save(results, path)
    return results


def cpus(threads: int) -> list[int]:
    """As many processors as threads, the last ones: the first is where a system does its own work."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def _engines(plan: Plan, threads: int) -> list[Engine]:
    tensorflow = (BASELINE, *(["composed_xnor"] if plan.composed else []))
    engines = [graphs_engine(tensorflow, threads, plan.pin)]
    engines += [graphs_engine(OURS, threads, plan.pin, isa) for isa in plan.isas]
    pinned = cpus(threads) if plan.pin else None
    return engines + [Engine(peer, PEERS[peer], python, cpus=pinned) for peer, python in plan.peers.items()]


def graphs_engine(names: Sequence[str], threads: int, pin: bool, isa: str = "") -> Engine:
    """TensorFlow graphs, with this package's ops forced to an instruction set or not."""
    variables = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = dict.fromkeys(variables, str(threads)) | ({"BNN_TF_ISA": isa} if isa else {})
    return Engine("graphs", names, sys.executable, isa, environment, cpus(threads) if pin else None)


def greet(engines: list[Engine], results: dict[str, Any]) -> None:
    """Starts them; those that can't are left out, and the results say why."""
    versions, missing = results["about"].setdefault("versions", {}), results["about"].setdefault("missing", {})
    for engine in list(engines):
        try:
            versions[str(engine)] = engine.ask(do="hello")["versions"]
        except EngineError as error:
            print(f"Left out: {error}")
            missing[str(engine)] = str(error)
            engine.close()
            engines.remove(engine)


def cell(plan: Plan, engines: list[Engine], layer: Layer, batch: int, threads: int, scratch: Path) -> dict[str, Any]:
    x, kernel = tensors(layer, batch)
    where = definition.positions(layer, batch)
    failed: dict[str, str] = {}
    timed: list[tuple[Engine, str]] = []
    # Kept until the end of the run: a peer converts a layer once, for all numbers of threads.
    folder = scratch / re.sub(r"\W+", "-", f"{layer.name} {batch}")
    folder.mkdir(exist_ok=True)
    for name, array in (("x", x), ("kernel", kernel), ("positions", where)):
        np.save(folder / f"{name}.npy", array)
    task = {**dataclasses.asdict(layer), "batch": batch, "threads": threads, "folder": str(folder)}
    del task["network"]
    for engine in engines:
        # A float kernel is what training has, in batches.
        names = [name for name in engine.names if batch > 1 or not name.endswith("float_kernel")]
        try:
            answer = engine.ask(do="prepare", task=task, names=names)
        except EngineError as error:
            failed |= {engine.figure(name): str(error) for name in names}
            continue
        failed |= {engine.figure(name): reason for name, reason in answer["failed"].items()}
        for name in names:
            if name in answer["failed"]:
                continue
            y = np.load(folder / f"{answer['pid']}-{name}.npy")
            wrong = definition.errors(name, layer, x, kernel, where, y)
            if wrong:
                failed[engine.figure(name)] = wrong
            else:
                timed.append((engine, name))
    rounds = timed_rounds(plan.rounds, timed, failed)
    return {
        "network": layer.network,
        "name": layer.name,
        "layer": dataclasses.asdict(layer),
        "batch": batch,
        "threads": threads,
        "operations": layer.operations(batch),
        "figures": {name: dataclasses.asdict(figure) for name, figure in figures(rounds).items()},
        "rounds": rounds,
        "failed": failed,
    }


def timed_rounds(
    count: int, timed: list[tuple[Engine, str]], failed: dict[str, str], longest: float = _SECONDS
) -> dict[str, list[float]]:
    """Seconds for each figure, round by round, the engines in turn; what takes `longest` in all gets fewer rounds."""
    measured: dict[str, list[float]] = {}
    left = {(engine, name): count for engine, name in timed}
    for number in range(count):
        for engine, name in timed:
            if number >= left[engine, name]:
                continue
            start = time.monotonic()
            try:
                seconds = engine.ask(do="time", name=name)["seconds"]
            except EngineError as error:
                figure = engine.figure(name)
                failed[figure] = str(error)
                left[engine, name] = 0
                measured = {f: v for f, v in measured.items() if f != figure and not f.startswith(f"{figure}/")}
                continue
            took = time.monotonic() - start
            left[engine, name] = min(left[engine, name], max(1, int(longest / took)))
            for part, value in seconds.items():
                measured.setdefault(engine.figure(name, part), []).append(float(f"{value:.5g}"))
    return measured


def figure_of(row: dict[str, Any], name: str) -> Figure | None:
    """A figure of a row of the results; None where it has failed or was not asked for."""
    found = row["figures"].get(name)
    return Figure(**found) if found else None


def describe(row: dict[str, Any]) -> str:
    """A row in a few words, for whoever watches."""
    words = [f"{row['network']} {row['name']}, batch {row['batch']}, {_threads(row)}:"]
    for name in row["figures"]:
        figure = Figure(**row["figures"][name])
        times = "" if figure.times_as_fast is None else f" ({figure.times_as_fast:.2f}x)"
        words.append(f"{name} {figure.seconds * 1e6:.1f} us{times},")
    words += [f"{name} FAILED: {reason};" for name, reason in row["failed"].items()]
    return " ".join(words).rstrip(",;")


def _threads(row: dict[str, Any]) -> str:
    return f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}"


def own_failures(results: dict[str, Any]) -> list[str]:
    """What should not have failed: the ops of this package, and TensorFlow's."""
    return [
        f"{row['name']}, batch {row['batch']}, {_threads(row)}: {name}: {reason}"
        for row in results["rows"]
        for name, reason in row["failed"].items()
        if not name.startswith(tuple(PEERS))
    ]


def about(rounds: int, pin: bool, program: str = "benchmarks") -> dict[str, Any]:
    """What makes a figure an address."""
    try:
        from bnn_tf import _build_info

        compiler = _build_info.COMPILER
    except ImportError:
        compiler = None
    ops = ROOT / "bnn_tf" / "_tf_ops.so"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "started": time.time(),
        "command": shlex.join(["python", "-m", program, *_without_paths(sys.argv[1:])]),
        "commit": _git("rev-parse", "HEAD"),
        "changed": _git("status", "--porcelain", "--", "bnn_tf", "cc_ops", "benchmarks"),
        "ops_sha256": hashlib.sha256(ops.read_bytes()).hexdigest()[:16] if ops.exists() else None,
        "compiler": compiler,
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "rounds": rounds,
        "pinned": pin,
    }


def finish(about: dict[str, Any]) -> None:
    """How long it took."""
    about["seconds"] = round(time.time() - about.pop("started"))


def _without_paths(arguments: Sequence[str]) -> list[str]:
    """Whose folders a peer's interpreter lies in is nobody's business."""
    return [Path(argument).name if Path(argument).is_absolute() else argument for argument in arguments]


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def save(results: dict[str, Any], path: Path) -> None:
    """As JSON, a row a line; all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, value in results.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in value)
            lines.append(f" {json.dumps(key)}: [\n{rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    part = path.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    part.replace(path)


def median_ratio(row: dict[str, Any], fast: str, slow: str) -> float | None:
    """How many times as fast one figure is as another: the median of the rounds' ratios."""
    pairs = zip(row["rounds"].get(slow, []), row["rounds"].get(fast, []), strict=False)
    ratios = [a / b for a, b in pairs if a > 0 and b > 0]
    return statistics.median(ratios) if ratios else None
