"""From a network with a dense head to one for images of any size, which gives a map of predictions."""

from typing import Any

import keras

from bnn_tf.cloning import Copies, calls, check_built, check_graph
from bnn_tf.convolutionizing.analysis import Analysis
from bnn_tf.convolutionizing.exchange import make
from bnn_tf.errors import ArgumentError


def convolutionize(model: keras.Model, *, dense_pooling: bool = False) -> keras.Model:
    """A copy of a network whose dense layers are convolutions with the same weights: a larger image gives a map.

    The dense layer after `Flatten` becomes a convolution (padding "valid") as large as the feature maps that were
    flattened, later ones become convolutions of 1×1, and a global pooling becomes one of that size with stride 1.
    Binary layers stay binary, with the same scales: the K of a window is the beta of the flattened row. What has
    weights for each feature between `Flatten` and a dense layer, as the batch normalisation of "xnor" networks, sees
    every window flattened by `bnn_tf.layers.Windows`.

    At the training size the output is the original's, [n, 1, 1, classes] in place of [n, classes]. On a larger image,
    the prediction at [p, q] is the original's for the crop that starts at p and q times the product of the strides.
    That holds exactly where no layer pads: with padding "same" a crop has zeros around where the image goes on.

    Args:
        model: a built Sequential or functional model with images of one size as input, channels last, and a dense head.
            It stays as it is.
        dense_pooling: whether to give the last pooling before the head stride 1, and to dilate what follows it
            accordingly. For a stride of 2 the map is twice as dense in each direction, and map[:, ::2, ::2] is
            the one without. An image of the training size can give more than one prediction.

    Returns:
        A functional `keras.Model` from images of any height and width, not smaller than the original's, to maps of
        predictions [n, new_height, new_width, classes]; not compiled. Names stay.

    Raises:
        ArgumentError: a ValueError, for a model that isn't built or a subclassed one, one without a dense head, and
            where a layer stands in the way: one of a fixed size, a reshape, one that brings a pooled image back to a
            whole one (as squeeze and excitation does). It names the layer.

    Example:

    >>> model = bnn_tf.models.lenet("xnor", input_shape=(8, 8, 1), width=0.25)
    >>> bnn_tf.convolutionize(model)(np.ones((1, 16, 12, 1))).shape
    TensorShape([1, 3, 2, 10])

    Source: Sermanet et al., "OverFeat: Integrated Recognition, Localization and Detection using Convolutional
        Networks", 2014.
    """
    check_built("convolutionize", model)
    check_graph("convolutionize", model)
    convolutional = _Convolutional(Analysis(model, dense_pooling)).of_model(model)
    for call in calls(convolutional)[0]:
        if not set(call.shapes[0][1:3]) <= {None}:
            raise _fixed(call.path, call.operation, f"always gives {call.shapes[0]}")
    return convolutional


def _fixed(name: str, layer: Any, how: str) -> ArgumentError:
    return ArgumentError(
        f"convolutionize: can't make a network for images of any size: layer {name!r} ({type(layer).__name__}) {how}. "
        "Leave it out of the model, and do the like beforehand."
    )


class _Convolutional(Copies):
    """Copies with what the analysis puts in the place of each layer."""

    def __init__(self, analysis: Analysis):
        super().__init__()
        self._actions = analysis.actions

    def copy(self, operation: Any) -> Any:
        return make(operation, self._actions[id(operation)])

    def call(self, copy: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call(copy, *args, **kwargs)
        except Exception as error:
            raise _fixed(copy.name, copy, f"fails on them: {error}") from error

    def sequential(self, model: keras.Sequential) -> keras.Model:
        return self.functional(model)  # a Sequential model can't leave a layer out
