"""OpenVINO on the CPU: the float network of a SavedModel in float32, and in int8 through NNCF.

The int8 network is calibrated on random images, as random as the weights, and runs with OpenVINO's own choice of
precision for what is not int8.
"""

import os
from typing import Any

import numpy as np
import openvino as ov

from benchmarks.worker import NetworkTask, Timed, median_seconds, serve

CORE = ov.Core()
_CALIBRATION_IMAGES = 32


class OpenVino(Timed):
    """ "openvino" or "openvino_int8"."""

    def __init__(self, name: str, task: NetworkTask):
        self._clock, x = task.clock, task.load("x")
        model = _float(task, x.shape) if name == "openvino" else _int8(task, x.shape)
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": task.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        if name == "openvino":
            options["INFERENCE_PRECISION_HINT"] = "f32"
        self._request = CORE.compile_model(model, "CPU", options).create_infer_request()
        self._x = x  # the tensor only points to it
        self._request.set_input_tensor(ov.Tensor(x, shared_memory=True))

    def output(self) -> np.ndarray:
        self._request.infer()
        return self._request.get_output_tensor().data.copy()

    def seconds(self) -> "dict[str, float]":
        return {"": median_seconds(self._request.infer, self._clock)}


def _float(task: NetworkTask, shape: "tuple[int, ...]") -> ov.Model:
    model = ov.convert_model(task.path("float"))
    model.reshape(list(shape))
    return model


def _int8(task: NetworkTask, shape: "tuple[int, ...]") -> ov.Model:
    """Calibration takes a minute: what one did serves all numbers of threads."""
    path = task.path("int8.xml")
    if not os.path.exists(path):
        import nncf

        rng = np.random.default_rng(1)
        images = [rng.standard_normal(shape, np.float32) for _ in range(_CALIBRATION_IMAGES)]
        quantized = nncf.quantize(_float(task, shape), nncf.Dataset(images), subset_size=_CALIBRATION_IMAGES)
        ov.save_model(quantized, path, compress_to_fp16=False)
    return CORE.read_model(path)


def versions() -> "dict[str, str]":
    found = {"openvino": ov.__version__}
    try:
        import nncf
    except ImportError:
        return found
    return {**found, "nncf": nncf.__version__}


if __name__ == "__main__":
    serve(OpenVino, versions, NetworkTask)
