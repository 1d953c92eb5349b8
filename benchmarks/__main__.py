"""`python -m benchmarks`: reads arguments, measures, tells."""

import argparse
import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path

from benchmarks import growth, report, run
from benchmarks.engine import ROOT
from benchmarks.layers import LAYERS, QUICK
from bnn_tf.bench import select
from bnn_tf.errors import UserError

RESULTS = ROOT / "results" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code: 1 where an op of this package was wrong or couldn't be timed."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.set_defaults(run=_table)
    parser.add_argument("--quick", action="store_true", help="few layers, batch 1, one thread, no peers: a minute")
    parser.add_argument("--layers", nargs="+", metavar="PART", help="only layers with such a part in their names")
    parser.add_argument("--batch", nargs="+", type=int, metavar="N", help="images; default: 1 32")
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="default: 1 2")
    parser.add_argument("--rounds", type=int, help="of each cell; default: 5, with --quick 3")
    parser.add_argument("--isa", nargs="+", metavar="NAME", help="instruction sets; default: all of this machine's")
    parser.add_argument(
        "--openvino-python", metavar="PATH", help="an interpreter that has openvino; default: this one if so"
    )
    parser.add_argument("--larq-python", metavar="PATH", help="an interpreter that has larq_compute_engine")
    parser.add_argument("--no-pin", action="store_true", help="let the engines run on all processors")
    parser.add_argument("--resume", action="store_true", help="keep the cells that the folder has already")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="default: results/benchmarks")

    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    grow = commands.add_parser("growth", help="how the cost grows with channels, image, batch and kernel")
    grow.add_argument("--rounds", type=int, default=3)
    grow.add_argument("--threads", type=int, default=1)
    grow.add_argument("--no-pin", action="store_true")
    grow.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    grow.set_defaults(run=_growth)
    tell = commands.add_parser("report", help="the tables, pictures and docs/benchmarks.md from what was measured")
    tell.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    tell.set_defaults(run=_report)
    return parser


def _table(options: argparse.Namespace) -> int:
    peers = {}
    if not options.quick:
        if options.openvino_python or util.find_spec("openvino"):
            peers["openvino"] = options.openvino_python or sys.executable
        if options.larq_python:
            peers["larq"] = options.larq_python
    plan = run.Plan(
        layers=select(QUICK if options.quick else LAYERS, options.layers),
        batches=options.batch or ([1] if options.quick else [1, 32]),
        threads=options.threads or ([1] if options.quick else [1, 2]),
        rounds=options.rounds or (3 if options.quick else 5),
        isas=options.isa or _isas()[: 1 if options.quick else None],
        peers=peers,
        composed=not options.quick,
        pin=not options.no_pin,
    )
    results = run.run(plan, options.out / "layers.json", options.resume)
    print()
    print(report.write_tables(results, options.out))
    failures = run.own_failures(results)
    for failure in failures:
        print(f"benchmarks: FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _isas() -> list[str]:
    from bnn_tf import ops

    return ops.backend_info()["available_isas"]


def _growth(options: argparse.Namespace) -> int:
    results = growth.measure(options.out, options.rounds, options.threads, not options.no_pin)
    print(report.write_growth(results, options.out))
    return 0


def _report(options: argparse.Namespace) -> int:
    report.write_all(options.out, ROOT / "docs" / "benchmarks.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
