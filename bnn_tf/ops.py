"""The binary ops: float tensors in, float tensors out, bits in between.

    y = alpha * conv(x, sign(w))                      binary_conv2d, binary_dense
    y = K * alpha * conv(sign(x), sign(w))            binary_conv_input2d, binary_dense_input

`sign(u) = +1 if u >= 0 else -1`: -0 gives +1, NaN gives -1. On the TensorFlow backend C++ ops compute on packed bits;
on Keras' other backends, and where they can't be loaded, `composed` does the same with Keras ops.

Environment: `BNN_TF_ISA` forces an instruction set (portable, avx2, avx512, ...), `BNN_TF_THREADING` says whose threads
compute (tensorflow, openmp), `BNN_TF_DISABLE_OPS=1` takes the composed path.
"""

import contextlib
import contextvars
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from bnn_tf import composed, geometry, loading, quantizers
from bnn_tf.arguments import (
    BinaryInput,
    PackedKernel,
    Padding,
    Pair,
    Shape,
    Ste,
    packed_gradient_error,
    read_floats,
    read_integer,
    read_window,
)
from bnn_tf.composed import packed_shape
from bnn_tf.geometry import Window, static_shape
from bnn_tf.native import NativeOps
from bnn_tf.quantizers import Quantizer

__all__ = [
    "PackedKernel",
    "backend_info",
    "binary_conv2d",
    "binary_conv_input2d",
    "binary_dense",
    "binary_dense_input",
    "check_options",
    "composed_path",
    "conv_output_shape",
    "pack_kernel",
    "packed_shape",
    "read_window",
]


def binary_conv2d(
    x: Any,
    kernel: Any,
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
    scaling: str = "channel",
    ste: Ste = "identity",
    data_format: str = "channels_last",
) -> Any:
    """Convolution of a float input with binary weights.

    Formula: `y[n,p,q,o] = alpha[o] * sum_{i,j,c} x[n, p*s+i*d-top, q*s+j*d-left, c] * sign(kernel[i,j,c,o])`, with x =
        0 outside
    the image, in float32.

    Args:
        x: float tensor or array [batch, height, width, channels].
        kernel: float tensor or array [kh, kw, channels / groups, filters], or what `pack_kernel` returned.
        strides: int or pair, along height and width.
        padding: "same" or "valid", as TensorFlow defines them, or the explicit pairs ((top, bottom), (left, right)).
        dilations: int or pair.
        groups: int; divides channels and filters.
        scaling: alpha: "channel" is the mean of |kernel| over each filter, "tensor" over the whole kernel, "none" is 1.
            A packed kernel has its own.
        ste: the quantizer of the kernel, that is its pseudo-gradient: a name known to `bnn_tf.quantizers.get`, or an
            instance.
        data_format: "channels_last"; there is no other.

    Returns:
        A tensor [batch, new_height, new_width, filters] of the dtype of `x`.

    Raises:
        ValueError: for arguments that don't fit together; on the C++ path `tf.errors.InvalidArgumentError` where that
            shows only in a running graph.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    >>> kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 16)).astype("float32")
    >>> binary_conv2d(x, kernel, strides=2).shape   # (1, 4, 4, 16)

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016
        (BWN).
    """
    op = "BinaryConv2D"
    check_options(op, scaling, data_format=data_format)
    return _conv(op, x, kernel, read_window(op, strides, padding, dilations, groups), scaling, quantizers.get(ste))


def binary_conv_input2d(
    x: Any,
    kernel: Any,
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
    scaling: str = "channel",
    ste: Ste = "identity",
    input_scaling: bool = True,
    pad_value: int = 0,
    input_ste: Ste = "clip",
    data_format: str = "channels_last",
) -> Any:
    """Convolution of the input's signs with binary weights.

    Formula: `y[n,p,q,o] = K[n,p,q] * alpha[o] * sum_{i,j,c} sign(x)[n, p*s+i*d-top, q*s+j*d-left, c] *
        sign(kernel[i,j,c,o])`. The sum
    is an exact integer. With A the mean of |x| over the channels (of a group), K is A convolved with the constant
    kernel 1 / (kh * kw), zero outside the image.

    Args:
        x, kernel, strides, padding, dilations, groups, scaling, ste, data_format: see `binary_conv2d`.
        input_scaling: bool; without it, K is 1.
        pad_value: what sign(x) is outside the image: 0, -1 or +1.
        input_ste: the quantizer of the input.

    Returns:
        A tensor [batch, new_height, new_width, filters] of the dtype of `x`.

    Raises:
        ValueError: see `binary_conv2d`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    >>> kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 16)).astype("float32")
    >>> y = binary_conv_input2d(x, kernel, scaling="none", input_scaling=False)   # integers in -27..27

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016.
    """
    op = "BinaryConvInput2D"
    check_options(op, scaling, pad_value, data_format)
    window = read_window(op, strides, padding, dilations, groups)
    binary_input = BinaryInput(bool(input_scaling), int(pad_value), quantizers.get(input_ste))
    return _conv(op, x, kernel, window, scaling, quantizers.get(ste), binary_input)


def binary_dense(x: Any, kernel: Any, scaling: str = "channel", ste: Ste = "identity") -> Any:
    """Matrix product of a float input with binary weights.

    Formula: `y[..., o] = alpha[o] * sum_c x[..., c] * sign(kernel[c, o])`.

    Args:
        x: float tensor or array [..., channels] of at least 2 dimensions.
        kernel: float tensor or array [channels, units], or what `pack_kernel` returned.
        scaling, ste: see `binary_conv2d`.

    Returns:
        A tensor [..., units] of the dtype of `x`.

    Raises:
        ValueError: see `binary_conv2d`.

    Example:

    >>> binary_dense(np.ones((2, 3), "float32"), -np.ones((3, 4), "float32"))   # all -3
    """
    check_options("BinaryDense", scaling)
    return _dense("BinaryDense", x, kernel, scaling, quantizers.get(ste))


def binary_dense_input(
    x: Any,
    kernel: Any,
    scaling: str = "channel",
    ste: Ste = "identity",
    input_scaling: bool = True,
    input_ste: Ste = "clip",
) -> Any:
    """Matrix product of the input's signs with binary weights.

    Formula: `y[..., o] = beta * alpha[o] * sum_c sign(x)[..., c] * sign(kernel[c, o])`, with beta the mean of |x| over
        the row.

    Args:
        x, kernel: see `binary_dense`.
        scaling, ste: see `binary_conv2d`.
        input_scaling: bool; without it, beta is 1.
        input_ste: the quantizer of the input.

    Returns:
        A tensor [..., units] of the dtype of `x`.

    Raises:
        ValueError: see `binary_conv2d`.

    Example:

    >>> binary_dense_input(np.array([[2.0, -4.0]]), np.array([[1.0], [-1.0]]))   # beta 3, sum 2: [[6.]]
    """
    check_options("BinaryDenseInput", scaling)
    binary_input = BinaryInput(bool(input_scaling), 0, quantizers.get(input_ste))
    return _dense("BinaryDenseInput", x, kernel, scaling, quantizers.get(ste), binary_input)


def pack_kernel(kernel: Any, scaling: str = "channel", groups: int = 1) -> PackedKernel:
    """Packs a float kernel once, for inference: every op takes the result in its place.

    Args:
        kernel: float tensor or array, [kh, kw, channels / groups, filters] or [channels, units].
        scaling: see `binary_conv2d`.
        groups: int, those of the convolution.

    Returns:
        A `PackedKernel`.

    Raises:
        ValueError: for an empty kernel, or one of another rank.

    Example:

    >>> packed = pack_kernel(np.random.default_rng(0).normal(size=(3, 3, 3, 16)))
    >>> binary_conv2d(np.ones((1, 8, 8, 3), "float32"), packed).shape   # (1, 8, 8, 16)
    """
    op = "BinaryPackKernel"
    kernel, _ = read_floats(op, "kernel", kernel)
    groups = read_integer(op, "groups", groups)
    shape: Any = static_shape(kernel)
    if shape is None or len(shape) not in (2, 4) or None in shape:
        raise ValueError(
            f"{op}: the kernel must be of rank 2 or 4 and of known shape. Got shape {shape}; expected [height, width, "
            "channels / groups, filters] or [channels, units]."
        )
    check_options(op, scaling)
    if len(shape) == 4:
        _conv_output_shape(op, (None,) * 4, shape, Window(groups=groups))
    else:
        _rules.dense_geometry(op, None, None, *shape)
    if _ops_serve():
        bits, alpha = _native.pack_kernel(kernel, groups, scaling)
    else:
        _, alpha = composed.binarize_kernel(kernel, scaling, quantizers.Identity())
        bits, alpha = composed.pack_kernel(kernel, groups), keras.ops.broadcast_to(alpha, shape[-1:])
    return PackedKernel(bits, alpha, shape)


def check_options(op: str, scaling: str = "channel", pad_value: int = 0, data_format: str = "channels_last") -> None:
    """Raises a ValueError for an option that no op knows."""
    _rules.check_scaling(op, scaling)
    _rules.check_pad_value(op, read_integer(op, "pad_value", pad_value))
    if data_format != "channels_last":
        raise ValueError(
            f'{op}: `data_format` must be "channels_last", [batch, height, width, channels]. Got {data_format!r}. '
            "Move the channels to the end, with keras.ops.transpose(x, (0, 2, 3, 1)) for example."
        )


def conv_output_shape(
    op: str,
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int | None],
    strides: Pair = 1,
    padding: Padding = "same",
    dilations: Pair = 1,
    groups: int = 1,
) -> Shape:
    """The output shape of a binary convolution, `None` where it is unknown; raises a ValueError where there is none."""
    window = read_window(op, strides, padding, dilations, groups)
    return _conv_output_shape(op, input_shape, kernel_shape, window)


def backend_info() -> dict[str, Any]:
    """What computes: a dict with

    * `custom_ops`: bool, whether the C++ ops serve; `reason`: why not, where they don't;
    * `isa`: the instruction set in use (`None` without the core); `available_isas`: those of this machine, best first;
    * `threads`: how many the C++ code may use; `threading`: whose they are, "tensorflow" or "openmp"
        (BNN_TF_THREADING).

    Example:

    >>> backend_info()["custom_ops"]
    """
    info: dict[str, Any] = {
        "isa": None,
        "available_isas": [],
        "threads": 0,
        "threading": None,
        "custom_ops": _native is not None,
    }
    if _core is not None:
        info |= {"isa": _core.active_backend(), "available_isas": list(_core.supported_backends())}
        info |= {"threads": _core.threads(), "threading": "openmp"}
    if _native is not None and os.environ.get("BNN_TF_THREADING", "") in ("", "tensorflow"):
        info |= {"threads": _tensorflow_threads(), "threading": "tensorflow"}
    if _reason:
        info["reason"] = _reason
    return info


def _tensorflow_threads() -> int:
    import tensorflow as tf

    chosen = tf.config.threading.get_intra_op_parallelism_threads() or int(
        os.environ.get("TF_NUM_INTRAOP_THREADS", "0")
    )
    chosen = chosen or len(os.sched_getaffinity(0))
    return min(chosen, _core.threads()) if _core is not None and os.environ.get("OMP_NUM_THREADS") else chosen


@contextlib.contextmanager
def composed_path() -> Iterator[None]:
    """Within it the ops take the composed path, even where the C++ ops could serve: to compare the two.

    A graph keeps the path it was traced on: trace (or call eagerly) inside. Other threads are not affected.

    Example:

    >>> with composed_path():
    ...     y = binary_dense(np.ones((2, 3), "float32"), np.ones((3, 4), "float32"))
    """
    token = _composed_only.set(True)
    try:
        yield
    finally:
        _composed_only.reset(token)


_composed_only: contextvars.ContextVar[bool] = contextvars.ContextVar("composed_only", default=False)


def _ops_serve() -> bool:
    """Whether a call takes the C++ ops."""
    return _native is not None and not _composed_only.get()


def _conv_output_shape(
    op: str, input_shape: Sequence[int | None], kernel_shape: Sequence[int | None], window: Window
) -> Shape:
    geometry.check_rank(op, "x", input_shape, 4, "[batch, height, width, channels]")
    geometry.check_rank(op, "kernel", kernel_shape, 4, "[height, width, channels / groups, filters]")
    shape, _ = _rules.conv_geometry(op, tuple(input_shape), tuple(kernel_shape), *window)
    return tuple(shape)


# From arguments to an op, or to its definition.


def _conv(
    op: str,
    x: Any,
    kernel: Any,
    window: Window,
    scaling: str,
    quantizer: Quantizer,
    binary_input: BinaryInput | None = None,
) -> Any:
    x, kernel, dtype = _operands(op, x, kernel, window.groups)
    shape, kernel_shape = static_shape(x), _kernel_shape(kernel)
    output_shape = None
    if shape is not None and kernel_shape is not None:
        output_shape = _conv_output_shape(op, shape, kernel_shape, window)
    if _ops_serve():
        y = _native.call(op, x, kernel, scaling, quantizer, window, binary_input)
    elif output_shape is None:
        raise _unknown_rank(op)
    elif 0 in output_shape[1:3]:
        y = keras.ops.zeros((keras.ops.shape(x)[0], *output_shape[1:]))
    else:
        signs, alpha = _signs_and_scales(kernel, scaling, quantizer)
        if binary_input is None:
            y = composed.binary_conv2d(x, signs, alpha, window)
        else:
            y = composed.binary_conv_input2d(x, signs, alpha, window, *binary_input)
    return keras.ops.cast(y, dtype)


def _dense(
    op: str, x: Any, kernel: Any, scaling: str, quantizer: Quantizer, binary_input: BinaryInput | None = None
) -> Any:
    x, kernel, dtype = _operands(op, x, kernel, 1)
    shape, kernel_shape = static_shape(x), _kernel_shape(kernel)
    leading = None  # the sizes before the channels, where they are more than a batch
    if shape is not None and kernel_shape is not None:
        geometry.check_rank(op, "kernel", kernel_shape, 2, "[channels, units]")
        if len(shape) < 2:
            geometry.check_rank(op, "x", shape, 2, "[batch, channels]")
        _rules.dense_geometry(op, None, shape[-1], *kernel_shape)
        if len(shape) > 2:
            leading = (*keras.ops.shape(x)[:-1], kernel_shape[1])
            x = keras.ops.reshape(x, (-1, kernel_shape[0]))
    elif not _ops_serve():
        raise _unknown_rank(op)
    if _ops_serve():
        y = _native.call(op, x, kernel, scaling, quantizer, None, binary_input)
    else:
        signs, alpha = _signs_and_scales(kernel, scaling, quantizer)
        if binary_input is None:
            y = composed.binary_dense(x, signs, alpha)
        else:
            y = composed.binary_dense_input(x, signs, alpha, binary_input.scaling, binary_input.quantizer)
    return keras.ops.cast(y if leading is None else keras.ops.reshape(y, leading), dtype)


def _operands(op: str, x: Any, kernel: Any, groups: int) -> tuple[Any, Any, str]:
    """Input and kernel in float32, the latter perhaps packed, and the dtype that the result shall have."""
    x, dtype = read_floats(op, "input", x)
    if not isinstance(kernel, PackedKernel):
        return x, read_floats(op, "kernel", kernel)[0], dtype
    if kernel.bits.shape[0] != groups:
        raise ValueError(
            f"{op}: the kernel was packed for groups={kernel.bits.shape[0]}. Got groups={groups}. Pack it again with "
            f"pack_kernel(kernel, groups={groups})."
        )
    return (x if _ops_serve() else _without_gradient(op, x)), kernel, dtype


def _kernel_shape(kernel: Any) -> Shape | None:
    return kernel.shape if isinstance(kernel, PackedKernel) else static_shape(kernel)


def _signs_and_scales(kernel: Any, scaling: str, quantizer: Quantizer) -> tuple[Any, Any]:
    if isinstance(kernel, PackedKernel):
        return composed.unpack_kernel(kernel.bits, kernel.shape), kernel.alpha
    return composed.binarize_kernel(kernel, scaling, quantizer)


def _without_gradient(op: str, x: Any) -> Any:
    """`x`, and an error where it is differentiated, as the C++ ops with a packed kernel raise one."""

    @keras.ops.custom_gradient
    def forward(x: Any) -> Any:
        def backward(*_: Any, **__: Any) -> None:
            raise packed_gradient_error(op)

        return keras.ops.multiply(x, 1), backward

    return forward(x)


def _unknown_rank(op: str) -> ValueError:
    return ValueError(f"{op}: without the C++ ops, the ranks of input and kernel must be known. Set their shapes.")


# Loading.


def _load_native_ops() -> tuple[Any, str]:
    """The TensorFlow ops, with their gradients registered; or `None`, and why they are missing or don't serve."""
    if loading.disabled():
        return None, "BNN_TF_DISABLE_OPS=1 is set"
    if keras.backend.backend() != "tensorflow":
        return None, f"the Keras backend is {keras.backend.backend()}, and the C++ ops serve TensorFlow"
    import tensorflow as tf

    try:
        native = NativeOps(loading.tensorflow_ops())
    except (tf.errors.OpError, RuntimeError) as error:
        reason = str(error).strip().rstrip(".")
        warnings.warn(
            f"bnn_tf: the C++ ops can't be loaded, so the slower composed path takes over. The reason: {reason}. "
            f"Rebuild them for TensorFlow {tf.__version__} with `./build_ops.sh build` in a checkout, or with `pip "
            "install` from the sources.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None, reason
    native.register_gradients()
    if tf.config.list_physical_devices("GPU"):
        return None, "TensorFlow sees a GPU, and the C++ ops serve the CPU (CUDA_VISIBLE_DEVICES= hides it)"
    return native, ""


_core = loading.core_or_none()
_native, _reason = _load_native_ops()
# The core decides what is valid and how it is said; its Python twin speaks where it is missing.
_rules = _core if _core is not None else geometry
