"""Which binary network stands beside which float one, and in which engines."""

import dataclasses
from typing import Any

# What an engine's figure is compared with: the output that Keras gave of the binary or of the float network.
EXPECTED = {"packed": "binary", "composed": "binary", "tensorflow": "float", "openvino": "float"}
# Figures that are compared with nothing: rounded to int8, and a network of its own.
UNCHECKED = ("openvino_int8", "larq")


@dataclasses.dataclass(frozen=True)
class Case:
    """A binary network and its float counterpart.

    Attributes:
        network: the binary one's name in `bnn_tf.models`.
        scheme: of it.
        beside: the float one's name.
        figures: what is timed.
        options: of both builders, `input_shape` say.
        options_binary: of the binary one's builder alone.
    """

    network: str
    scheme: str
    beside: str
    figures: tuple[str, ...]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    options_binary: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """For example "vgg16 bwn, last layer too"."""
        last = ", last layer too" if self.options_binary.get("binarize_last") else ""
        return f"{self.network} {self.scheme}{last}"


_FLOAT_PEERS = ("packed", "tensorflow", "openvino")
CASES = (
    Case(
        "bireal_resnet18",
        "xnor",
        "resnet18",
        (*_FLOAT_PEERS, "openvino_int8", "larq", "composed"),
        {"input_shape": (224, 224, 3)},
    ),
    Case("alexnet", "bwn", "alexnet", _FLOAT_PEERS),
    Case("vgg16", "bwn", "vgg16", _FLOAT_PEERS),
    Case("alexnet", "bwn", "alexnet", ("packed", "tensorflow"), {}, {"binarize_last": True}),
    Case("vgg16", "bwn", "vgg16", ("packed", "tensorflow"), {}, {"binarize_last": True}),
)
TINY = Case("lenet", "xnor", "lenet", ("packed", "tensorflow", "openvino_int8", "composed"), {"width": 0.25})
