"""`python -m benchmarks.networks`: reads arguments, measures, prints the tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engine import ROOT
from benchmarks.networks import measure, report
from benchmarks.networks.cases import CASES, TINY

RESULTS = ROOT / "results" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 1 where a figure that was asked for is missing or wrong."""
    options = _parser().parse_args(arguments)
    pythons = {"network_openvino": options.openvino_python, "network_larq": options.larq_python}
    plan = measure.Plan(
        cases=[TINY] if options.tiny else _chosen(options.networks),
        threads=options.threads,
        rounds=options.rounds,
        peers={module: python for module, python in pythons.items() if python},
        pin=not options.no_pin,
    )
    results = measure.measure(plan, options.out / "networks.json")
    left_out = report.left_out(results)
    print(f"\n{report.times(results)}\n\n{report.sizes(results)}\n\n{left_out}".rstrip())
    return 1 if left_out else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--networks", nargs="+", metavar="PART", help="only networks with such a part in their names")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="default: 1 2")
    parser.add_argument("--rounds", type=int, default=15, help="of each row; default: 15")
    parser.add_argument("--openvino-python", metavar="PATH", help="an interpreter that has openvino and nncf")
    parser.add_argument("--larq-python", metavar="PATH", help="an interpreter that has larq and larq_compute_engine")
    parser.add_argument("--no-pin", action="store_true", help="let the engines run on all processors")
    parser.add_argument("--tiny", action="store_true", help="one small network, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="default: results/benchmarks")
    return parser


def _chosen(parts: Sequence[str] | None) -> list:
    chosen = [case for case in CASES if not parts or any(part in case.name for part in parts)]
    if not chosen:
        raise SystemExit(f"No network {' or '.join(parts or ())}. There are: {'; '.join(case.name for case in CASES)}.")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
