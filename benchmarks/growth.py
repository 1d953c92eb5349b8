"""How the cost grows with channels, image, batch and kernel: ours and TensorFlow's convolution, in one process."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import run
from benchmarks.layers import GROWTH
from bnn_tf.bench import BASELINE

NAMES = (BASELINE, "xnor", "bwn")


def measure(out: Path, rounds: int, threads: int, pin: bool) -> dict[str, Any]:
    """Measures and writes growth.json into `out`: rows as those of the table, with what grows and its value."""
    engine = run.graphs_engine(NAMES, threads, pin)
    plan = run.Plan((), (), (threads,), rounds, (), {}, pin=pin)
    results: dict[str, Any] = {"about": run.about(rounds, pin), "threads": threads, "rows": []}
    try:
        results["about"]["versions"] = {str(engine): engine.ask(do="hello")["versions"]}
        with tempfile.TemporaryDirectory(prefix="bnn_tf-") as scratch:
            for kind, (values, cell_of) in GROWTH.items():
                for value in values:
                    layer, batch = cell_of(value)
                    row = run.cell(plan, [engine], layer, batch, threads, Path(scratch))
                    results["rows"].append({"grows": kind, "value": value, **row})
                    print(run.describe(row), file=sys.stderr, flush=True)
    finally:
        engine.close()
    run.finish(results["about"])
    run.save(results, out / "growth.json")
    return results
