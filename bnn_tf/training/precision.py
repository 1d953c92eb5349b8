"""Half the bits for what floats are left: layers that are built meanwhile compute in 16 bits."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from bnn_tf.errors import unknown_name

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers built in this context follow a dtype policy; weights stay float32, and latent binary kernels compute so.

    Under "mixed_float16" Keras scales the loss, so that small gradients survive.

    Args:
        policy: "float32", "mixed_float16" or "mixed_bfloat16".

    Raises:
        ArgumentError: a ValueError, for another name.

    Example:

    >>> with precision("mixed_bfloat16"):
    ...     model = bnn_tf.models.lenet("bwn")
    """
    if policy not in PRECISIONS:
        raise unknown_name("precision", policy, PRECISIONS)
    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(earlier)
