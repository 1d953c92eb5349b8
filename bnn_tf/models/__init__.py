"""Classic networks, each in float and in every binary scheme.

>>> from bnn_tf import models
>>> model = models.build("lenet", scheme="xnor", input_shape=(8, 8, 1), classes=10)
"""

from bnn_tf.models.lenet import lenet
from bnn_tf.models.network import Network, Options
from bnn_tf.models.registry import build, check_name, list_models
from bnn_tf.models.schemes import SCHEMES, Scheme
from bnn_tf.models.size import Size, model_size

__all__ = [
    "SCHEMES",
    "Network",
    "Options",
    "Scheme",
    "Size",
    "build",
    "check_name",
    "lenet",
    "list_models",
    "model_size",
]
