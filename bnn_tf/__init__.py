"""Binary neural networks for TensorFlow that really are one bit.

Everything public is reached from here and loaded when first used: `import bnn_tf` alone imports neither TensorFlow nor
Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "binarize",
    "convolutionize",
    "data",
    "export",
    "freeze",
    "layers",
    "models",
    "ops",
    "pack",
    "plots",
    "quantizers",
    "runtime",
    "summary",
    "training",
]

if TYPE_CHECKING:
    from bnn_tf import data, layers, models, ops, plots, quantizers, runtime, training
    from bnn_tf.binarizing import binarize
    from bnn_tf.convolutionizing import convolutionize
    from bnn_tf.counting.summary import summary
    from bnn_tf.exporting import export
    from bnn_tf.freezing import freeze
    from bnn_tf.packing import pack

# Functions, by the module that they come from; the other public names are modules.
_FUNCTIONS = {
    "binarize": "binarizing",
    "convolutionize": "convolutionizing",
    "export": "exporting",
    "freeze": "freezing",
    "pack": "packing",
    "summary": "counting.summary",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"bnn_tf.{_FUNCTIONS[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"bnn_tf.{name}")
    raise AttributeError(f"module 'bnn_tf' has no attribute {name!r}. It has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted(__all__)


def _tell_what_is_missing() -> None:
    """Where the runtime of packed models is installed alone, makes importing anything else say so."""
    from bnn_tf import loading

    if loading.runtime_only():
        from bnn_tf import missing

        missing.announce()


_tell_what_is_missing()
