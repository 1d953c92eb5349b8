"""Values of tensors and variables, whatever the Keras backend."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt


def array(value: Any) -> npt.NDArray[Any]:
    """A copy of a tensor or a variable as a NumPy array; half precision becomes float32.

    Example:

    >>> array(keras.Variable([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    tensor = keras.ops.convert_to_tensor(value)
    if keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16"):
        tensor = keras.ops.cast(tensor, "float32")
    return np.array(keras.ops.convert_to_numpy(tensor))
