"""What the machine can do at most, measured by cc_ops/bench (CMake: -DBNN_TF_BENCH=ON) in the same run."""

import functools
import json
import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine import ROOT

BINARY = ROOT / "build" / "bnn_bench"
SHARED_LAYERS = ("56x56x64", "28x28x128", "14x14x256", "7x7x512")
_CEILING_OF = {"xnor_gemm": "xnor", "lookup_gemm": "fma"}


class Ceilings:
    """The best of all measurements of a run, for each instruction set.

    Args:
        binary: cc_ops/bench, built.
    """

    def __init__(self, binary: Path = BINARY):
        self._binary = binary
        self.best: dict[str, dict[str, dict[str, float]]] = {}

    @property
    def available(self) -> bool:
        return self._binary.exists()

    def measure(self, cpus: Sequence[int]) -> None:
        """Once on each of `cpus` at the same time: several threads can do the sum, which is less than a multiple where
        they share a core's pipes."""
        if not self.available:
            return
        sums: dict[tuple[str, str], float] = {}
        for rows in self._run("ceiling", [[cpu] for cpu in cpus], 0.0001):
            for row in rows:
                kind, isa = row["name"].removeprefix("ceiling_").split("/")
                if "Gop/s" in row:
                    sums[isa, kind] = sums.get((isa, kind), 0.0) + row["Gop/s"]
        of_threads = self.best.setdefault(str(len(cpus)), {})
        for (isa, kind), rate in sums.items():
            of_isa = of_threads.setdefault(isa, {})
            of_isa[kind] = max(of_isa.get(kind, 0.0), rate)

    def inner_loops(self, cpu: int) -> list[dict[str, Any]]:
        """The bare kernels on data in the cache: the best of three in Gop/s, and as a share of the best ceiling."""
        if not self.available:
            return []
        self.measure([cpu])
        best: dict[str, float] = {}
        for _ in range(3):
            for row in self._run("gemm", [[cpu]], 0.1)[0]:
                best[row["name"]] = max(best.get(row["name"], 0.0), row["Gop/s"])
        loops = []
        for name, rate in best.items():
            kernel, isa, _ = name.split("/")
            ceiling = self.best["1"].get(isa, {}).get(_CEILING_OF[kernel])
            if ceiling:
                loops.append({"name": name, "gops": rate, "of_ceiling": rate / ceiling})
        return loops

    def two_threads(self, isa: str, cpus: Sequence[int], runs: int = 8) -> list[dict[str, Any]]:
        """What two threads make of a call of core that they share, and of a call each that shares nothing.

        Args:
            runs: of each; a machine is seldom quiet at once.

        Returns:
            For each layer of ResNet-18 at batch 1 its name and microseconds, the least of some runs of what one call in
            fifty is quicker than: of one thread, of two that share a call, and of two with a call each.
        """
        if not self.available or len(cpus) < 2:
            return []
        shapes = "|".join(SHARED_LAYERS)
        best: dict[tuple[str, str], float] = {}
        for _ in range(runs):
            for row in self._run(f"Xnor(Conv|Apart)/{isa}/({shapes})/", [cpus], 0.1)[0]:
                op, _, layer, threads = row["name"].split("/")[:4]
                way = "apart" if op == "XnorApart" else {"threads:1": "one", "threads:2": "shared"}[threads]
                if "quick_us" in row:  # neither in what failed, nor in an older program's answer
                    best[layer, way] = min(best.get((layer, way), math.inf), row["quick_us"])
        ways = ("one", "shared", "apart")
        whole = [layer for layer in SHARED_LAYERS if all((layer, way) in best for way in ways)]
        return [{"layer": layer, **{way: best[layer, way] for way in ways}} for layer in whole]

    def _run(self, rows: str, cpus: Sequence[Sequence[int]], seconds: float) -> list[list[Mapping[str, Any]]]:
        """The rows of as many processes at the same time as there are `cpus`, each on those."""
        command = [str(self._binary), f"--benchmark_filter={rows}", "--benchmark_format=json"]
        started = [
            subprocess.Popen(
                [*command, f"--benchmark_min_time={seconds}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                preexec_fn=functools.partial(os.sched_setaffinity, 0, own),
            )
            for own in cpus
        ]
        return [json.loads(process.communicate(timeout=300)[0])["benchmarks"] for process in started]
