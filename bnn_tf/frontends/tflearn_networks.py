"""LeNet in TFLearn, and the blocks that the schemes of `bnn_tf.models` make of a convolution or a dense layer.

Scopes are called as the layers of the Keras networks are, and initial values and normalisation are theirs, so that a
checkpoint of one is a checkpoint of the other (see `checkpoints`).
"""

from typing import Any

from bnn_tf.frontends.tflearn_layers import (
    binary_conv_2d,
    binary_conv_input_2d,
    binary_fully_connected,
    binary_fully_connected_input,
)
from bnn_tf.frontends.tflearn_parts import Sizes, tflearn
from bnn_tf.models.schemes import SCHEMES, Scheme, get_scheme


def conv_block(
    x: Any, scheme: Scheme, filters: int, size: Sizes, *, scope: str, weights_init: Any = "xavier", **window: Any
) -> Any:
    """A convolution with its normalisation and ReLU; `window` has its `strides` and `padding`.

    Example:

    >>> image = tflearn.input_data([None, 12, 12, 8])
    >>> conv_block(image, SCHEMES["bwn"], 16, 3, scope="doc/conv").shape.as_list()
    [None, 12, 12, 16]
    """
    layers = (tflearn.conv_2d, binary_conv_2d, binary_conv_input_2d)
    return _block(x, scheme, layers, (filters, size), scope, weights_init=weights_init, **window)


def dense_block(x: Any, scheme: Scheme, units: int, *, scope: str, weights_init: Any = "xavier") -> Any:
    """A dense layer with its normalisation and ReLU.

    Example:

    >>> features = tflearn.input_data([None, 12])
    >>> dense_block(features, SCHEMES["xnor"], 16, scope="doc/dense").shape.as_list()
    [None, 16]
    """
    layers = (tflearn.fully_connected, binary_fully_connected, binary_fully_connected_input)
    return _block(x, scheme, layers, (units,), scope, weights_init=weights_init)


def batch_norm(x: Any, scope: str) -> Any:
    """A batch normalisation with the momentum and the epsilon of the Keras networks."""
    return tflearn.batch_normalization(x, epsilon=1e-3, decay=0.9, stddev=0.0, scope=scope)


def lenet(incoming: Any, scheme: str = "float", classes: int = 10, *, width: float = 1.0, dropout: float = 0.5) -> Any:
    """Conv 5×5×32, max pool 2, conv 5×5×64, max pool 2, dense 1024, dropout, dense: `bnn_tf.models.lenet` in TFLearn.

    Args:
        incoming: 4-D tensor [batch, height, width, channels].
        scheme: "float", "bwn", "dorefa" or "xnor"; the first and the last layer are float.
        classes: how many.
        width: what the numbers of feature maps and hidden units are multiplied by.
        dropout: the share of hidden units that training drops, 0 <= dropout < 1.

    Returns:
        The logits [batch, classes].

    Raises:
        ArgumentError: a ValueError, for an unknown scheme.

    Example:

    >>> lenet(tflearn.input_data([None, 28, 28, 1]), "bwn").shape.as_list()
    [None, 10]

    Source: TensorFlow 1.0's tutorial "Deep MNIST for Experts", 2017.
    """
    inner, start = get_scheme(scheme), tflearn.initializations.truncated_normal(stddev=0.1)
    x = conv_block(incoming, SCHEMES["float"], _scaled(32, width), 5, scope="conv1", weights_init=start)
    x = tflearn.max_pool_2d(x, 2, padding="valid", name="pool1")
    x = conv_block(x, inner, _scaled(64, width), 5, scope="conv2", weights_init=start)
    x = tflearn.max_pool_2d(x, 2, padding="valid", name="pool2")
    x = tflearn.flatten(x, name="flatten")
    x = dense_block(x, inner, _scaled(1024, width), scope="dense1", weights_init=start)
    if dropout:
        x = tflearn.dropout(x, 1 - dropout, name="dropout")
    return tflearn.fully_connected(x, classes, weights_init=start, scope="logits")


NETWORKS = {"lenet": lenet}


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _block(x: Any, scheme: Scheme, layers: tuple[Any, ...], sizes: tuple[Any, ...], scope: str, **options: Any) -> Any:
    """float: layer, ReLU; binary weights: layer, batch norm, ReLU; binary input: batch norm, sign, layer, ReLU."""
    plain, binary, binary_of_signs = layers
    if not scheme.binary_weights:
        return plain(x, *sizes, activation="relu", scope=scope, **options)
    options |= {"bias": False, "scaling": scheme.scaling, "scope": scope}
    if scheme.binary_input:
        return binary_of_signs(batch_norm(x, f"{scope}_bn"), *sizes, activation="relu", **options)
    return tflearn.activation(batch_norm(binary(x, *sizes, **options), f"{scope}_bn"), "relu")
