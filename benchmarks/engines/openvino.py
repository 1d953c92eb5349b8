"""OpenVINO on the CPU: the float32 convolution, and its BinaryConvolution.

The figure is a call of a model of the op less a call of an empty one. (Several ops in one model would not run one
after the other: OpenVINO first converts all inputs, and then no cache holds them.) The nodes' own times (PERF_COUNT)
are told beside it: whole us, and means.
Its layout is NCHW. BinaryConvolution has neither scales nor groups, and pads with -1.
"""

import numpy as np
import openvino as ov
from openvino import opset1

from benchmarks.worker import Task, Timed, serve, slope

CORE = ov.Core()
_WARM_UP, _RUNS = 10, 60  # of the nodes' times


class OpenVino(Timed):
    """A float convolution or product, "openvino", or "openvino_binary"."""

    def __init__(self, name: str, task: Task):
        self._task, self._binary = task, name == "openvino_binary"
        x, kernel = task.load("x"), task.load("kernel")
        if self._binary and task.groups > 1:
            raise NotImplementedError("BinaryConvolution has no groups")
        if self._binary and task.dense:
            x, kernel = x[:, None, None], kernel[None, None]
        self._kernel = kernel if kernel.ndim == 2 else np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        self._x = x if x.ndim == 2 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        self._y = np.zeros(
            [self._x.shape[0], task.filters, *(-(-n // task.stride) for n in self._x.shape[2:])], np.float32
        )
        # Constants and tensors only point to memory: all of it lives as long as this object.
        self._packed = np.packbits((self._kernel >= 0).ravel(), bitorder="little") if self._binary else None
        self._tensors = [ov.Tensor(array, shared_memory=True) for array in (self._x, self._y)]
        self._nothing, self._something = _empty(task), self._request()

    def output(self) -> np.ndarray:
        self._run(1)
        y = self._y.copy()
        if y.ndim == 2:
            return y
        return y[:, :, 0, 0] if self._task.dense else y.transpose(0, 2, 3, 1)

    def seconds(self) -> dict[str, float]:
        of = {"": slope(self._run, 0, 1, self._task.clock)}
        return of | self._nodes() if self._binary else of

    def _nodes(self) -> dict[str, float]:
        """All nodes' times, and the convolution's. OpenVINO gives means of all runs: from two, the later one."""
        request = self._request(perf_count=True)
        sums = []
        for runs in (_WARM_UP, _RUNS):
            for _ in range(runs):
                request.infer()
            times = {node.node_name: node.real_time.total_seconds() for node in request.get_profiling_info()}
            sums.append({name: seconds * (_WARM_UP + (runs == _RUNS) * _RUNS) for name, seconds in times.items()})
            kernels = [n.node_name for n in request.get_profiling_info() if n.node_type == "BinaryConvolution"]
        mean = {name: max(0.0, sums[1][name] - sums[0].get(name, 0.0)) / _RUNS for name in sums[1]}
        return {"nodes": sum(mean.values()), "kernel": sum(mean[name] for name in kernels)}

    def _run(self, count: int) -> None:
        (self._something if count else self._nothing).infer()

    def _request(self, perf_count: bool = False) -> ov.InferRequest:
        x = opset1.parameter(list(self._x.shape), ov.Type.f32)
        request = _compile(ov.Model([self._op(x)], [x], "op"), self._task, perf_count)
        request.set_input_tensor(self._tensors[0])
        request.set_output_tensor(self._tensors[1])
        return request

    def _bits(self) -> ov.Node:
        return ov.op.Constant(ov.Tensor(self._packed, ov.Shape(self._kernel.shape), ov.Type.u1))

    def _op(self, x: ov.Node) -> ov.Node:
        task = self._task
        if self._kernel.ndim == 2:
            return opset1.matmul(x, opset1.constant(self._kernel), False, False)
        window = ([task.stride] * 2, *(list(pad) for pad in task.padding()), [1, 1])
        if self._binary:
            signs = opset1.fake_quantize(x, 0.0, 0.0, 0.0, 1.0, levels=2)
            return opset1.binary_convolution(signs, self._bits(), *window, "xnor-popcount", -1.0)
        if task.groups > 1:
            filters, *rest = self._kernel.shape
            grouped = opset1.constant(self._kernel.reshape(task.groups, filters // task.groups, *rest))
            return opset1.group_convolution(x, grouped, *window)
        return opset1.convolution(x, opset1.constant(self._kernel), *window)


def _empty(task: Task) -> ov.InferRequest:
    x = opset1.parameter([1], ov.Type.f32)
    return _compile(ov.Model([opset1.relu(x)], [x], "nothing"), task)


def _compile(model: ov.Model, task: Task, perf_count: bool = False) -> ov.InferRequest:
    options = {
        "PERF_COUNT": perf_count,
        "INFERENCE_NUM_THREADS": task.threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return CORE.compile_model(model, "CPU", options).create_infer_request()


if __name__ == "__main__":
    serve(OpenVino, lambda: {"openvino": ov.__version__})
