"""What TFLearn 0.5.0 asks for and today's TensorFlow, Pillow, NumPy and SciPy no longer have.

Each shim is a function that gives one thing back under its old name, and only where that is missing: with libraries
that still have it, nothing is touched. `activate` applies them and imports TFLearn; nothing else does.
"""

import gc
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any

from bnn_tf.errors import UserError


class MissingTFLearnError(UserError, ImportError):
    """TFLearn isn't installed."""


def activate() -> Any:
    """TFLearn's module, imported and working.

    The process computes in TensorFlow 1 from then on: graphs and sessions, as TFLearn itself decides on import.

    Raises:
        MissingTFLearnError: an ImportError that says how to install it.
    """
    check_installed()
    keras_in_use = keras_models_exist()
    for shim in BEFORE_IMPORT:
        shim()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # Its sources compare strings with `is not`.
        _forget_failed_import()
        tflearn = importlib.import_module("tflearn")
    for shim in AFTER_IMPORT:
        shim()
    if keras_in_use:
        warnings.warn(
            "bnn_tf.frontends.tflearn: TFLearn switches this process to TensorFlow 1, and Keras models were already "
            "built in it: they will no longer train or predict. Use each in a process of its own; "
            "bnn_tf.frontends.checkpoints carries weights from one to the other.",
            RuntimeWarning,
            stacklevel=2,
        )
    return tflearn


def keras_models_exist() -> bool:
    """Whether a Keras model was built in this process, and is still in use."""
    keras = sys.modules.get("keras")
    return keras is not None and any(issubclass(type(each), keras.Model) for each in gc.get_objects())


def check_installed() -> None:
    """Raises a MissingTFLearnError where TFLearn isn't installed."""
    spec = importlib.util.find_spec("tflearn")
    if spec is None or spec.origin is None:  # A folder of that name is found, too.
        raise MissingTFLearnError(
            "bnn_tf.frontends.tflearn needs TFLearn, which isn't installed. Install it: pip install 'bnn_tf[tflearn]'"
        )


def _forget_failed_import() -> None:
    """An `import tflearn` that failed, before the shims, leaves some of its modules behind."""
    if "tflearn" not in sys.modules:
        for name in [name for name in sys.modules if name.startswith("tflearn.")]:
            del sys.modules[name]


# Before TFLearn is imported.


def nest_is_sequence() -> None:
    """`tensorflow.python.util.nest.is_sequence`, which is now called `is_nested`: for the recurrent layers."""
    from tensorflow.python.util import nest

    _give(nest, "is_sequence", lambda: nest.is_nested)


def checkpoint_reader() -> None:
    """`tensorflow.python.pywrap_tensorflow.NewCheckpointReader`: for `tflearn.utils.read_tensor_in_checkpoint`."""
    import tensorflow as tf
    from tensorflow.python import pywrap_tensorflow

    _give(pywrap_tensorflow, "NewCheckpointReader", lambda: tf.compat.v1.train.NewCheckpointReader)


def pillow_antialias() -> None:
    """`PIL.Image.ANTIALIAS`, which is now called `LANCZOS`: for the loaders of image folders."""
    from PIL import Image

    _give(Image, "ANTIALIAS", lambda: Image.Resampling.LANCZOS)


def numpy_lib_pad() -> None:
    """`numpy.lib.pad`, which is `numpy.pad`: for random crops."""
    import numpy as np

    _give(np.lib, "pad", lambda: np.pad)


def _give(module: Any, name: str, value: Callable[[], Any]) -> None:
    if not hasattr(module, name):
        setattr(module, name, value())


BEFORE_IMPORT = (nest_is_sequence, checkpoint_reader, pillow_antialias, numpy_lib_pad)


# After it: functions of TFLearn's own that would import what is gone.


def contrib_initializers() -> None:
    """`xavier` and `variance_scaling`, of `tf.contrib`: for `residual_block`, `resnext_block` and others by default."""
    if not _has_contrib():
        from tflearn import initializations

        initializations.xavier = _xavier
        initializations.variance_scaling = _variance_scaling


def uniform_scaling_of_a_shape() -> None:
    """`uniform_scaling(shape=...)`, which asks for `tf.random_ops`."""
    import tensorflow.compat.v1 as tf
    from tflearn import initializations

    if not hasattr(tf, "random_ops"):
        initializations.uniform_scaling = _uniform_scaling


AFTER_IMPORT = (contrib_initializers, uniform_scaling_of_a_shape)

_MODES = ("FAN_IN", "FAN_OUT", "FAN_AVG")


def _has_contrib() -> bool:
    try:
        return importlib.util.find_spec("tensorflow.contrib") is not None
    except (ImportError, ValueError):
        return False


def _xavier(uniform: bool = True, seed: int | None = None, dtype: Any = None) -> Any:
    """Glorot's initializer; the arguments are those of `tflearn.initializations.xavier`."""
    return _variance_scaling(1.0, "FAN_AVG", uniform, seed, dtype)


def _variance_scaling(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None, dtype: Any = None
) -> Any:
    """An initializer of variance `factor / n`; the arguments are those of `tflearn.initializations.variance_scaling`.

    The normal distribution is cut off at two deviations and widened in return, so that its variance is what it says.
    """
    import tensorflow.compat.v1 as tf

    dtype = tf.as_dtype(tf.float32 if dtype is None else dtype)
    if not dtype.is_floating:
        raise TypeError(f"Cannot create initializer for non-floating point type {dtype.name}.")
    if mode not in _MODES:
        raise TypeError(f"Unknown mode {mode} [{', '.join(_MODES)}].")
    distribution = "uniform" if uniform else "truncated_normal"
    return tf.variance_scaling_initializer(factor, mode.lower(), distribution, seed=seed, dtype=dtype)


def _uniform_scaling(shape: Any = None, factor: float = 1.0, dtype: Any = None, seed: int | None = None) -> Any:
    """`tflearn.initializations.uniform_scaling`: an initializer, or with a shape the tensor."""
    import tensorflow.compat.v1 as tf

    dtype = tf.as_dtype(tf.float32 if dtype is None else dtype)
    if not shape:
        return tf.uniform_unit_scaling_initializer(seed=seed, dtype=dtype)
    inputs = 1
    for size in shape[:-1]:
        inputs *= int(size)
    limit = (3 / inputs) ** 0.5 * factor
    return tf.random_uniform(shape, -limit, limit, dtype, seed=seed)
