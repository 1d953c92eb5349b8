"""What an engine must give before it is timed: the formulas, at some positions, in float64.

float      sum x * w
bwn        alpha * sum x * sign(w)
xnor       K * alpha * sum sign(x) * sign(w)
integers   sum sign(x) * sign(w), with a value of the engine's own outside the image
"""

from collections.abc import Mapping

import numpy as np

from bnn_tf.bench import Layer

# What each op computes: (formula, what the input's sign is outside the image).
FORMULAS: Mapping[str, tuple[str, int]] = {
    "tensorflow": ("float", 0),
    "openvino": ("float", 0),
    "bwn": ("bwn", 0),
    "bwn_float_kernel": ("bwn", 0),
    "xnor": ("xnor", 0),
    "xnor_float_kernel": ("xnor", 0),
    "composed_xnor": ("xnor", 0),
    "openvino_binary": ("integers", -1),
    "larq": ("integers", 1),
}


def positions(layer: Layer, batch: int, count: int = 40, seed: int = 0) -> np.ndarray:
    """(image, row, column) of outputs to look at: corners, and others at random."""
    rows, columns = layer.output
    corners = [(0, 0, 0), (0, 0, columns - 1), (0, rows - 1, 0), (batch - 1, rows - 1, columns - 1)]
    drawn = np.random.default_rng(seed).integers((0, 0, 0), (batch, rows, columns), (count, 3))
    return np.concatenate([np.array(corners), drawn])


def errors(name: str, layer: Layer, x: np.ndarray, kernel: np.ndarray, where: np.ndarray, y: np.ndarray) -> str:
    """What is wrong with the output `y` [positions, filters] of the op called `name`; "" where nothing is."""
    expected, tolerance = _expected(name, layer, x, kernel, where)
    if y.shape != expected.shape:
        return f"wrong shape: {y.shape} instead of {expected.shape}"
    wrong = ~(np.abs(y - expected) <= tolerance)  # NaN is wrong
    if not wrong.any():
        return ""
    first = tuple(np.argwhere(wrong)[0])
    position = ", ".join(str(i) for i in where[first[0]])
    return (
        f"wrong result: {wrong.mean():.0%} of the outputs looked at; at ({position}, {first[1]}) {y[first]:.6g} "
        f"instead of {expected[first]:.6g}"
    )


def _expected(
    name: str, layer: Layer, x: np.ndarray, kernel: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray | float]:
    """Values, and how far from them rounding may lead."""
    formula, outside = FORMULAS[name]
    if layer.kernel is None:
        x, kernel = x[:, None, None], kernel[None, None]
    signs = np.where(kernel >= 0, 1.0, -1.0)
    windows = _windows(layer, kernel.shape[:2], x, 0.0, where)
    if formula in ("xnor", "integers"):
        inputs = _windows(layer, kernel.shape[:2], np.where(x >= 0, 1.0, -1.0), float(outside), where)
    else:
        inputs = windows
    weights = kernel.astype(np.float64) if formula == "float" else signs
    total, size = (_sums(f(inputs), f(weights), layer.groups) for f in (lambda a: a, np.abs))
    if formula == "integers":
        return total, 0.0
    scale = np.ones_like(total)
    if formula in ("bwn", "xnor"):
        scale *= np.abs(kernel.astype(np.float64)).mean(axis=(0, 1, 2))
    if formula == "xnor":
        channels = windows.reshape(*windows.shape[:3], layer.groups, -1)
        mean = np.abs(channels).mean(axis=(1, 2, 4))  # the mean over channels, then over the window: K
        scale *= np.repeat(mean, kernel.shape[3] // layer.groups, axis=1)
    return total * scale, 1e-5 * size * scale


def _windows(layer: Layer, kernel: tuple[int, int], x: np.ndarray, outside: float, where: np.ndarray) -> np.ndarray:
    """[positions, kh, kw, channels], float64."""
    taken = np.full((len(where), *kernel, x.shape[3]), outside)
    before = [
        max(0, (out - 1) * layer.stride + k - size) // 2
        for out, k, size in zip(layer.output, kernel, x.shape[1:3], strict=True)
    ]
    for index, (image, *position) in enumerate(where):
        inside, from_x = [], []
        for axis in range(2):
            start = position[axis] * layer.stride - before[axis]
            low, high = max(0, start), min(x.shape[1 + axis], start + kernel[axis])
            inside.append(slice(low - start, high - start))
            from_x.append(slice(low, high))
        taken[index, inside[0], inside[1]] = x[image, from_x[0], from_x[1]]
    return taken


def _sums(windows: np.ndarray, weights: np.ndarray, groups: int) -> np.ndarray:
    """[positions, filters]"""
    filters = weights.shape[3] // groups
    parts = [
        np.tensordot(image, weights[..., group * filters : (group + 1) * filters], 3)
        for group, image in enumerate(np.split(windows, groups, axis=3))
    ]
    return np.concatenate(parts, axis=1)
