"""TensorFlow's side of the C++ ops: calling them, and their gradients, which are C++ ops too.

The estimators "identity" and "clip" are attributes of an op, so that its gradient works wherever a graph goes: TF1
sessions, SavedModels, `tf.gradients`. Any other quantizer hands its pseudo-gradient to the gradient op as a tensor.
"""

import functools
from typing import Any

import keras

from bnn_tf.arguments import BinaryInput, PackedKernel, packed_gradient_error
from bnn_tf.geometry import Window
from bnn_tf.quantizers import Identity, Quantizer, SteSign

_CONV = ("strides", "padding", "explicit_paddings", "dilations", "groups", "scaling")
_ATTRIBUTES = {
    "BinaryConv2D": _CONV,
    "BinaryConvInput2D": (*_CONV, "input_scaling", "pad_value"),
    "BinaryDense": ("scaling",),
    "BinaryDenseInput": ("scaling", "input_scaling"),
}
_FUNCTIONS = {
    "BinaryConv2D": "binary_conv2d",
    "BinaryConvInput2D": "binary_conv_input2d",
    "BinaryDense": "binary_dense",
    "BinaryDenseInput": "binary_dense_input",
}
_ATTRIBUTE_STES: dict[type, str] = {Identity: "identity", SteSign: "clip"}


def _ste(quantizer: Quantizer) -> str:
    return _ATTRIBUTE_STES.get(type(quantizer), "custom")


class NativeOps:
    """The ops of a loaded library.

    Args:
        library: what `tf.load_op_library` returned.
    """

    def __init__(self, library: Any):
        self.library = library

    def register_gradients(self) -> None:
        """Tells TensorFlow the gradients of the ops; once a process."""
        import tensorflow as tf

        for op in _ATTRIBUTES:
            tf.RegisterGradient(op)(functools.partial(self._gradient_of_node, op))
            tf.RegisterGradient(f"{op}Packed")(functools.partial(_refuse_gradient, op))

    def pack_kernel(self, kernel: Any, groups: int, scaling: str) -> tuple[Any, Any]:
        """(bits, alpha) of a float kernel."""
        return tuple(self.library.binary_pack_kernel(kernel, groups=groups, scaling=scaling))

    def call(
        self,
        op: str,
        x: Any,
        kernel: Any,
        scaling: str,
        quantizer: Quantizer,
        window: Window | None,
        binary_input: BinaryInput | None,
    ) -> Any:
        """Runs `op`, differentiably unless the kernel is packed. Without a window it is a dense one."""
        attributes: dict[str, Any] = {}
        if window is not None:
            attributes |= {
                "strides": window.strides,
                "padding": window.padding.upper(),
                "explicit_paddings": window.explicit_padding if window.padding == "explicit" else (),
                "dilations": window.dilations,
                "groups": window.groups,
            }
        if binary_input is not None:
            attributes |= {"input_scaling": binary_input.scaling}
            attributes |= {"pad_value": binary_input.pad_value} if window is not None else {}
        if isinstance(kernel, PackedKernel):
            run = self._function(op, "_packed")
            return run(x, kernel.bits, kernel.alpha, kernel_shape=kernel.shape, **attributes)

        attributes["scaling"] = scaling
        stes = {"ste": _ste(quantizer)} | ({} if binary_input is None else {"input_ste": _ste(binary_input.quantizer)})
        if "custom" not in stes.values():
            return self._function(op)(x, kernel, **attributes, **stes)
        return self._call_with_pseudo_gradients(op, x, kernel, attributes, stes, quantizer, binary_input)

    def _function(self, op: str, suffix: str = "") -> Any:
        return getattr(self.library, _FUNCTIONS[op] + suffix)

    def _call_with_pseudo_gradients(
        self,
        op: str,
        x: Any,
        kernel: Any,
        attributes: dict[str, Any],
        stes: dict[str, str],
        quantizer: Quantizer,
        binary_input: BinaryInput | None,
    ) -> Any:
        @keras.ops.custom_gradient
        def forward(x: Any, kernel: Any) -> Any:
            def backward(dy: Any) -> tuple[Any, Any]:
                pseudo = {}
                if stes["ste"] == "custom":
                    pseudo["kernel_pseudo"] = quantizer.pseudo_gradient(kernel)
                if binary_input is not None and stes["input_ste"] == "custom":
                    pseudo["x_pseudo"] = binary_input.quantizer.pseudo_gradient(x)
                options = {**attributes, **stes, "scale_gradient": quantizer.scale_gradient}
                return self._gradient(op, x, kernel, dy, options, **pseudo)

            # The forward pass is the same for all estimators: the op's default ones stand in.
            return self._function(op)(x, kernel, **attributes), backward

        return forward(x, kernel)

    def _gradient(
        self, op: str, x: Any, kernel: Any, dy: Any, options: dict[str, Any], **pseudo: Any
    ) -> tuple[Any, Any]:
        nothing = keras.ops.zeros((0,), dtype="float32")
        tensors = {"kernel_pseudo": nothing} | ({"x_pseudo": nothing} if "input_ste" in options else {}) | pseudo
        return tuple(self._function(op, "_grad")(x=x, kernel=kernel, dy=dy, **tensors, **options))

    def _gradient_of_node(self, op: str, node: Any, dy: Any) -> tuple[Any, Any]:
        stes = ("ste", "input_ste") if "input_scaling" in _ATTRIBUTES[op] else ("ste",)
        options = {name: node.get_attr(name) for name in (*_ATTRIBUTES[op], *stes)}
        return self._gradient(op, node.inputs[0], node.inputs[1], dy, options)


def _refuse_gradient(op: str, *_: Any) -> None:
    raise packed_gradient_error(op)
