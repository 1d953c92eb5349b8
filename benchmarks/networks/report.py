"""The tables about whole networks, for docs/benchmarks.md."""

from typing import Any

from benchmarks.run import median_ratio

_LEGEND = {
    "packed": "packed",
    "tensorflow": "TensorFlow float",
    "openvino": "OpenVINO float32",
    "openvino_int8": "OpenVINO int8",
    "larq": "Larq Compute Engine",
    "composed": "TensorFlow, the binary network in float ops",
}
_NONE = "–"
_TEXT = """Batch 1, from float images to logits, a call from Python included; milliseconds, and how many times as fast
the packed model is. TensorFlow: a traced function, with its weights frozen where that is faster. Larq Compute Engine
runs its own form of the network, BinaryResNetE18. Weights are random, and so are the images that OpenVINO's int8
network is calibrated on by NNCF; the outputs of packed, TensorFlow and OpenVINO float are compared with Keras'."""


def text(results: dict[str, Any]) -> str:
    """What is under the page's heading."""
    parts = [
        _TEXT,
        times(results),
        "Bytes of the weights, of the file for packed models:",
        sizes(results),
        left_out(results),
    ]
    return "\n\n".join(part for part in parts if part)


def times(results: dict[str, Any]) -> str:
    """Milliseconds of every figure, a row for each network and number of threads."""
    names = [name for name in _LEGEND if any(name in row["figures"] for row in results["rows"])]
    lines = [["network", "input", "beside", "threads", *(_LEGEND[name] for name in names)]]
    for row in results["rows"]:
        size = "×".join(map(str, row["input"]))
        lines.append([row["network"], size, row["beside"], str(row["threads"]), *(_cell(row, name) for name in names)])
    return _markdown(lines, left=3)


def sizes(results: dict[str, Any]) -> str:
    """Bytes of every network."""
    lines = [["network", "packed", "packed, float16", "its weights as float32", "packed is 1/"]]
    for network in dict.fromkeys(row["network"] for row in results["rows"]):
        row = next(row for row in results["rows"] if row["network"] == network)
        packed, own = row["bytes"]["packed"], row["bytes"]["own_float"]
        lines.append([network, f"{packed:,}", f"{row['float16_bytes']:,}", f"{own:,}", f"{own / packed:.1f}"])
    return _markdown(lines, left=1)


def left_out(results: dict[str, Any]) -> str:
    """What was not timed, and why."""
    lines = [f"* {engine} was left out: {reason}" for engine, reason in results["about"].get("missing", {}).items()]
    lines += [
        f"* {row['network']}, {row['threads']} threads: {name}: {reason}"
        for row in results["rows"]
        for name, reason in row["failed"].items()
    ]
    return "\n".join(lines)


def _cell(row: dict[str, Any], name: str) -> str:
    figure = row["figures"].get(name)
    if figure is None:
        return _NONE
    milliseconds = f"{figure['seconds'] * 1e3:.2f}"
    ratio = None if name == "packed" else median_ratio(row, "packed", name)
    return milliseconds if ratio is None else f"{milliseconds} ({ratio:.1f}×)"


def _markdown(lines: list[list[str]], left: int) -> str:
    head, *rest = lines
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rest))
