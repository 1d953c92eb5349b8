"""How the results are told: tables in Markdown, pictures, and the page docs/benchmarks.md made of both."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.layers import GROWTH_TITLES
from benchmarks.networks import report as networks
from benchmarks.run import OURS, figure_of, median_ratio
from bnn_tf import plots
from bnn_tf.bench import BASELINE

_PAGE = Path(__file__).with_name("page.md")
_LEGEND = {
    BASELINE: "TensorFlow float",
    "xnor": "XNOR",
    "bwn": "BWN",
    "xnor_float_kernel": "XNOR, float kernel",
    "bwn_float_kernel": "BWN, float kernel",
    "composed_xnor": "XNOR composed of TF ops",
    "openvino": "OpenVINO float",
    "openvino_binary": "OpenVINO binary",
    "openvino_binary/nodes": "its nodes",
    "openvino_binary/kernel": "its kernel",
    "larq": "Larq Compute Engine",
}
_NONE = "–"


def write_all(folder: Path, page: Path) -> None:
    """Tables and pictures beside the results in `folder`, and the page about them."""
    results = json.loads((folder / "layers.json").read_text(encoding="utf-8"))
    growth = json.loads((folder / "growth.json").read_text(encoding="utf-8"))
    tables = write_tables(results, folder)
    write_growth(growth, folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    where = os.path.relpath(folder, page.parent)
    text = Template(_PAGE.read_text(encoding="utf-8")).substitute(
        address=_address(results),
        growth_address=_address(growth),
        tables=tables,
        others=_others(folder),
        networks=_networks(folder),
        results=where,
        pictures="\n\n".join(f"![{name}]({where}/{name})" for name in _pictures(results)),
    )
    page.write_text(text, encoding="utf-8")


def _others(folder: Path) -> str:
    """What runs of their own say, in folders inside `folder`: with several threads on a quiet machine, for one."""
    texts = []
    for path in sorted(folder.glob("*/layers.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        title = path.parent.name.replace("-", " ").capitalize()
        texts.append(f"## {title}, in a run of its own\n\n{_address(results)}\n\n{write_tables(results, path.parent)}")
    return "\n".join(texts)


def _networks(folder: Path) -> str:
    """What `python -m benchmarks.networks` measured, where it did."""
    path = folder / "networks.json"
    if not path.exists():
        return ""
    results = json.loads(path.read_text(encoding="utf-8"))
    return f"## Networks\n\n{_address(results)}\n\n{networks.text(results)}\n"


def write_tables(results: dict[str, Any], folder: Path) -> str:
    """Writes layers.md and a picture for each batch and number of threads; returns the tables."""
    text = "\n\n".join(_tables(results)) + "\n"
    (folder / "layers.md").write_text(f"{_address(results)}\n\n{text}", encoding="utf-8")
    for name, (batch, threads) in _pictures(results).items():
        _picture(results, batch, threads).savefig(folder / name, dpi=110)
    return text


def write_growth(results: dict[str, Any], folder: Path) -> str:
    """Writes growth.png; returns a table of its rows."""
    panels = {}
    for kind in GROWTH_TITLES:
        rows = [row for row in results["rows"] if row["grows"] == kind]
        names = [name for name in (BASELINE, "xnor", "bwn") if all(name in row["figures"] for row in rows)]
        seconds = {_LEGEND[name]: [row["figures"][name]["seconds"] for row in rows] for name in names}
        panels[GROWTH_TITLES[kind]] = ([row["value"] for row in rows], seconds)
    threads = _threads(results["threads"])
    plots.growth(panels, f"{results['about']['cpu']}, {threads}").savefig(folder / "growth.png", dpi=110)
    lines = [["grows", "to", "TensorFlow float", "XNOR", "BWN"]]
    for row in results["rows"]:
        ours = [_both(row, name) for name in ("xnor", "bwn")]
        lines.append([row["grows"], str(row["value"]), _us(row, BASELINE), *ours])
    return _markdown(lines)


# The tables.


def _tables(results: dict[str, Any]) -> Iterable[str]:
    for batch, threads in _pictures(results).values():
        rows = [row for row in results["rows"] if (row["batch"], row["threads"]) == (batch, threads)]
        title = f"Batch {batch}, {_threads(threads)}"
        yield f"### {title}\n\nµs, and how many times as fast as TensorFlow's float op; bold where slower:"
        yield _own_table(results, rows)
        if peers := _peers_table(results, rows):
            yield peers
        if len(_isas(results)) > 1:
            yield f"Each instruction set, times as fast as TensorFlow's float op:\n\n{_isa_table(results, rows)}"
    yield _slower(results)
    yield _inner_loops(results)
    if two := _two_threads(results):
        yield two
    yield _left_out(results)


def _own_table(results: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    isa = _isas(results)[0]
    names = [name for name in OURS if any(f"{name}/{isa}" in row["figures"] for row in rows)]
    shares = {"xnor": ("xnor", "of popcount"), "bwn": ("fma", "of FMA")}
    head = ["layer", "Mop", "TensorFlow float"]
    for name in names:
        head += [_LEGEND[name], *([shares[name][1]] if name in shares else [])]
    lines = [head]
    for row in rows:
        line = [row["name"], f"{row['operations'] / 1e6:.1f}", _us(row, BASELINE)]
        for name in names:
            line.append(_both(row, f"{name}/{isa}"))
            if name in shares:
                line.append(_share(results, row, f"{name}/{isa}", shares[name][0]))
        lines.append(line)
    return _markdown(lines)


def _peers_table(results: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    isa = _isas(results)[0]
    names = ["composed_xnor", "openvino", "openvino_binary", "openvino_binary/nodes", "openvino_binary/kernel", "larq"]
    names = [name for name in names if any(name in row["figures"] for row in rows)]
    if not names:
        return ""
    binary = "openvino_binary" in names
    lines = [["layer", *(_LEGEND[name] for name in names), *(["XNOR beside OpenVINO binary"] if binary else [])]]
    for row in rows:
        ratio = median_ratio(row, f"xnor/{isa}", "openvino_binary")
        beside = [_NONE if ratio is None else f"{ratio:.2f}×"] if binary else []
        lines.append([row["name"], *(_both(row, name) for name in names), *beside])
    return _markdown(lines)


def _isa_table(results: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    isas = _isas(results)
    names = [name for name in OURS if any(f"{name}/{isas[0]}" in row["figures"] for row in rows)]
    columns = [(name, isa) for name in names for isa in isas]
    lines = [["layer", *(f"{_LEGEND[name]} {isa}" for name, isa in columns)]]
    lines += [[row["name"], *(_times(row, f"{name}/{isa}") for name, isa in columns)] for row in rows]
    return _markdown(lines)


def _slower(results: dict[str, Any]) -> str:
    """Where binary is slower than float, in so many words."""
    isa = _isas(results)[0]
    found: dict[str, list[str]] = {}
    for row in results["rows"]:
        for name in OURS:
            figure = figure_of(row, f"{name}/{isa}")
            if figure and figure.times_as_fast is not None and figure.times_as_fast < 1:
                cell = f"{_LEGEND[name]} {figure.times_as_fast:.2f}× (batch {row['batch']}, {_threads(row['threads'])})"
                found.setdefault(row["name"], []).append(cell)
    if not found:
        return f"With {isa}, no binary op is slower than TensorFlow's float one in these layers."
    lines = [f"* {layer}: {', '.join(cells)}" for layer, cells in found.items()]
    return "\n".join(
        [f"### Slower than float\n\nWith {isa}, binary is slower than TensorFlow's float op in:\n", *lines]
    )


def _inner_loops(results: dict[str, Any]) -> str:
    lines = [["threads", "instruction set", "popcount Gop/s", "FMA GFLOP/s"]]
    for threads, isas in results["ceilings"].items():
        for isa, of in isas.items():
            lines.append([threads, isa, f"{of['xnor']:.0f}", f"{of['fma']:.0f}"])
    loops = [["inner loop", "Gop/s", "of its ceiling"]]
    loops += [[row["name"], f"{row['gops']:.0f}", f"{row['of_ceiling']:.0%}"] for row in results["inner_loops"]]
    if len(lines) == 1:
        return "The ceilings were not measured: build/bnn_bench is missing."
    text = "The bare inner loops on data in the cache, one thread, for rows x run x filters:"
    return f"### Ceilings\n\n{_markdown(lines)}\n\n{text}\n\n{_markdown(loops)}"


def _two_threads(results: dict[str, Any]) -> str:
    rows = results.get("two_threads")
    if not rows:
        return ""
    lines = [["3x3 layer", "one thread, µs", "two share a call, µs", "as fast", "two calls apart, µs", "as fast"]]
    for row in rows:
        one, shared, apart = row["one"], row["shared"], row["apart"]
        times = (f"{one:.1f}", f"{shared:.1f}", f"{one / shared:.2f}×", f"{apart:.1f}", f"{2 * one / apart:.2f}×")
        lines.append([row["layer"], *times])
    text = (
        f"The bare XNOR convolution with alpha and K, {_isas(results)[0]}, batch 1, at its best, while nobody takes "
        "the processors away: one call in fifty is quicker; the least of several runs. Two calls apart, one for each "
        "thread, show what the machine gives two threads that share nothing."
    )
    return f"### Two threads\n\n{text}\n\n{_markdown(lines)}"


def _left_out(results: dict[str, Any]) -> str:
    """Engines that were missing, and layers that one of them can't do or does wrong."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in results["rows"]:
        for name, reason in row["failed"].items():
            kind = reason.split(";")[0] if reason.startswith("wrong") else reason[:160]
            kind = "wrong result" if kind.startswith("wrong") else kind
            layers = reasons.setdefault((name, kind), [])
            if row["name"] not in layers:
                layers.append(row["name"])
    lines = [f"* {engine} was left out: {reason}" for engine, reason in results["about"].get("missing", {}).items()]
    lines += [f"* {name}: {reason}: {'; '.join(layers)}" for (name, reason), layers in reasons.items()]
    return "\n".join(["### Not timed\n", *lines]) if lines else "Every engine did every layer, and right."


# Cells.


def _us(row: dict[str, Any], name: str) -> str:
    figure = figure_of(row, name)
    if figure is None:
        return "wrong" if row["failed"].get(name, "").startswith("wrong") else _NONE
    return f"{figure.seconds * 1e6:.1f}" if figure.seconds < 1e-3 else f"{figure.seconds * 1e6:.0f}"


def _times(row: dict[str, Any], name: str) -> str:
    figure = figure_of(row, name)
    if figure is None or figure.times_as_fast is None:
        return _NONE
    times = f"{figure.times_as_fast:.3g}×" if figure.times_as_fast < 100 else f"{figure.times_as_fast:.0f}×"
    return f"**{times}**" if figure.times_as_fast < 0.995 else times


def _both(row: dict[str, Any], name: str) -> str:
    us, times = _us(row, name), _times(row, name)
    return us if times == _NONE else f"{us} ({times})"


def _share(results: dict[str, Any], row: dict[str, Any], name: str, kind: str) -> str:
    figure, ceiling = figure_of(row, name), _ceiling(results, row["threads"], name.split("/")[1], kind)
    if figure is None or not ceiling:
        return _NONE
    return f"{row['operations'] * 1e-9 / figure.seconds / ceiling:.0%}"


def _ceiling(results: dict[str, Any], threads: int, isa: str, kind: str) -> float:
    return results["ceilings"].get(str(threads), {}).get(isa, {}).get(kind, 0.0)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *rest = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rest))


# Pictures.


def _pictures(results: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """File names, with their batch and threads."""
    pairs = sorted({(row["batch"], row["threads"]) for row in results["rows"]})
    return {f"layers-batch{batch}-threads{threads}.png": (batch, threads) for batch, threads in pairs}


def _picture(results: dict[str, Any], batch: int, threads: int) -> Any:
    isa = _isas(results)[0]
    rows = [row for row in results["rows"] if (row["batch"], row["threads"]) == (batch, threads)]
    names = [BASELINE, "openvino", "larq", "openvino_binary", f"bwn/{isa}", f"xnor/{isa}"]
    shown = {name: _LEGEND[name.removesuffix(f"/{isa}")] for name in names if any(figure_of(row, name) for row in rows)}
    labels = {"xnor": "at most: xor, popcount, add", "fma": "at most: FMA"}
    ceilings = {label: c for kind, label in labels.items() if (c := _ceiling(results, threads, isa, kind))}
    title = f"{results['about']['cpu']}, {isa}, batch {batch}, {_threads(threads)}, packed kernels"
    return plots.benchmark_bars(rows, shown, ceilings, title)


def _isas(results: dict[str, Any]) -> list[str]:
    found = dict.fromkeys(
        name.split("/")[1] for row in results["rows"] for name in row["figures"] if name.startswith("xnor/")
    )
    return list(found) or [""]


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _address(results: dict[str, Any]) -> str:
    """Where a figure comes from: CPU, versions, compiler, commit, command."""
    about = results["about"]
    versions: dict[str, str] = {}
    for engine, of in about.get("versions", {}).items():
        for package, version in of.items():
            # Larq has a TensorFlow of its own.
            versions.setdefault(
                f"{package} (for Larq)" if engine.endswith("larq") and package == "tensorflow" else package, version
            )
    packages = ", ".join(
        f"{package} {version}" for package, version in versions.items() if not package.startswith("bnn_tf ")
    )
    commit = (about["commit"] or "unknown")[:12] + (", with changes" if about["changed"] else "")
    sittings = about.get("resumed", [])
    begun = f", the last of {len(sittings) + 1} sittings, the first on {sittings[0][:10]}" if sittings else ""
    return (
        f"{about['date'][:10]}, {about['cpus']} CPUs of {about['cpu']}; {packages}; compiler {about['compiler']}; "
        f"commit {commit}; `{about['command']}`, {about['seconds']} s{begun}."
    )
