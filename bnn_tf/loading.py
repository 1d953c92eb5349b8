"""Loads the shared objects: `bnn_tf._core`, which needs nothing but NumPy, and TensorFlow's ops.

No other file loads one. Importing this imports neither Keras nor TensorFlow, so that the runtime of packed models
starts without them.
"""

import os
from pathlib import Path
from typing import Any

DISABLE = "BNN_TF_DISABLE_OPS"


def disabled() -> bool:
    """Whether BNN_TF_DISABLE_OPS=1 asks for the composed path.

    Example:

    >>> disabled()
    """
    return os.environ.get(DISABLE) == "1"


def core() -> Any:
    """The module `bnn_tf._core`.

    Raises:
        ImportError: where it is not built, or was built for another Python or platform.

    Example:

    >>> core().supported_backends()
    """
    from bnn_tf import _core

    return _core


def runtime_only() -> bool:
    """Whether the package was installed without TensorFlow's ops, by BNN_TF_RUNTIME_ONLY=1.

    Example:

    >>> runtime_only()
    False
    """
    return _built_for() == ""


def _built_for() -> str | None:
    """The TensorFlow that the ops were built for: none where they were left out, None where nobody knows."""
    try:
        from bnn_tf._build_info import TENSORFLOW_VERSION
    except ImportError:
        return None
    return TENSORFLOW_VERSION


def tensorflow_library() -> Path:
    """The file of TensorFlow's ops, for `tf.load_op_library`; it may be missing.

    Example:

    >>> tensorflow_library().name
    '_tf_ops.so'
    """
    return Path(__file__).with_name("_tf_ops.so")


def core_or_none() -> Any:
    """The module `bnn_tf._core`, or `None` where it can't be loaded or is disabled.

    Example:

    >>> core_or_none() is None
    """
    if disabled():
        return None
    try:
        return core()
    except ImportError:
        return None


def tensorflow_ops() -> Any:
    """TensorFlow's module of the C++ ops; imports TensorFlow.

    Raises:
        RuntimeError: where they were built for another minor version of TensorFlow: custom ops have no stable ABI.
        tensorflow.errors.OpError: where they are missing, or TensorFlow can't load them.

    Example:

    >>> tensorflow_ops().binary_conv2d is not None
    """
    import tensorflow as tf

    _check_built_for(tf.__version__)
    return tf.load_op_library(str(tensorflow_library()))


def _check_built_for(version: str) -> None:
    built_for = _built_for()
    if built_for == "":
        raise RuntimeError("they were left out of this installation, by BNN_TF_RUNTIME_ONLY=1")
    if built_for is not None and built_for.split(".")[:2] != version.split(".")[:2]:
        raise RuntimeError(f"they were built for TensorFlow {built_for}, and this is {version}")
