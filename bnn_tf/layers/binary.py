"""What the binary layers have in common: the kernel's dtype, the options of the sign, and what bits can't do."""

from typing import Any

import keras

from bnn_tf import ops, quantizers


class BinaryLayer(keras.layers.Layer):
    """Mixed in before `keras.layers.Conv2D` or `Dense`.

    The kernel is float32 whatever the dtype policy: latent weights below 1e-8 would lose their sign in float16. The op
        computes in
    float32 too and returns its input's dtype; bias and activation follow the policy.
    """

    def __init__(self, *args: Any, scaling: str = "channel", ste: Any = "identity", **kwargs: Any):
        super().__init__(*args, **kwargs)
        if getattr(self, "lora_rank", None):
            raise self._refusal("LoRA")
        self.scaling = scaling
        self.ste = quantizers.get(ste)
        self.supports_jit = not ops.backend_info()["custom_ops"]
        # Tracked, so that a saved model keeps the state of an annealed quantizer and every Keras backend sees it
        # change.
        self._quantizer_variables = list(self.ste.variables)

    def build(self, input_shape: Any) -> None:
        if self.quantization_mode:
            raise self._refusal(f"the quantized dtype policy {self.dtype_policy.name!r}")
        if input_shape[-1] is None:
            raise ValueError(
                f"{type(self).__name__}: the channels of the input must be known. Got input shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        if name == "kernel":
            kwargs |= {"dtype": "float32", "autocast": False}
        return super().add_weight(*args, name=name, **kwargs)

    @property
    def kernel_variables(self) -> list[Any]:
        """The variables of which inference needs no more than bits and scales."""
        return [self._kernel, *self._quantizer_variables]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scaling": self.scaling, "ste": quantizers.serialize(self.ste)}

    # Keras' base layers save only what they know; the plain way saves every variable.
    def save_own_variables(self, store: Any) -> None:
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        keras.layers.Layer.load_own_variables(self, store)

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Not for binary layers: raises NotImplementedError."""
        raise self._refusal("quantize()")

    def enable_lora(self, rank: int, *args: Any, **kwargs: Any) -> None:
        """Not for binary layers: raises NotImplementedError."""
        raise self._refusal("LoRA")

    def _refusal(self, what: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} ({self.name}) doesn't support {what}: its kernel is one bit a weight already. "
            "Leave this layer out."
        )


class BinaryInput(BinaryLayer):
    """The options of the layers that binarize their input as well."""

    def __init__(self, *args: Any, input_scaling: bool = True, input_ste: Any = "clip", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.input_scaling = input_scaling
        self.input_ste = quantizers.get(input_ste)
        if self.input_ste is not self.ste:
            self._quantizer_variables.extend(self.input_ste.variables)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_scaling": self.input_scaling,
            "input_ste": quantizers.serialize(self.input_ste),
        }
