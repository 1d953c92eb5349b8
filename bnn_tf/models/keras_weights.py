"""The pretrained weights of Keras Applications, for networks whose architecture is theirs.

A convolution's bias and the ε of a batch norm differ between the two; both are folded into the batch norm, exactly:

    γ (u + b - μ) / √(v + ε') + β  =  γ √((v + ε)/(v + ε')) · (u - (μ - b)) / √(v + ε) + β
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from bnn_tf.errors import ArgumentError
from bnn_tf.models.pretrained import Weights, application

# The names of a convolution: ours (its batch norm is `{name}_bn`), then Keras' and that of Keras' batch norm.
_Names = tuple[str, str, str]


def load_resnet(network: str, model: keras.Model, name: str, weights: Weights, counts: Sequence[int]) -> None:
    """Takes the weights of ResNet50, ResNet101 or ResNet152 over into `model`, of `counts` bottleneck blocks.

    Args:
        network: who asks, for the error.
        model: the network in float, which changes.
        name: of the function in `keras.applications`.
        weights: "imagenet", or the path of a file of its weights.
        counts: blocks of each stage.

    Raises:
        ArgumentError: a ValueError, where the weights can't be had or don't fit.
    """
    _take_over(network, model, application(network, name, weights), _resnet_names(counts))


def load_mobilenet_v2(network: str, model: keras.Model, weights: Weights, blocks: int) -> None:
    """Takes the weights of MobileNetV2 over into `model`; arguments and errors as for `load_resnet`."""
    _take_over(network, model, application(network, "MobileNetV2", weights), _mobilenet_names(blocks))


def _resnet_names(counts: Sequence[int]) -> Iterable[_Names]:
    yield "conv1", "conv1_conv", "conv1_bn"
    for stage, count in enumerate(counts, start=1):
        for block in range(1, count + 1):
            for ours, theirs in (("conv1", 1), ("conv2", 2), ("conv3", 3), ("shortcut", 0))[: 4 if block == 1 else 3]:
                name = f"conv{stage + 1}_block{block}_{theirs}"
                yield f"stage{stage}_block{block}_{ours}", f"{name}_conv", f"{name}_bn"


def _mobilenet_names(blocks: int) -> Iterable[_Names]:
    yield "conv1", "Conv1", "bn_Conv1"
    for block in range(blocks):
        theirs = f"block_{block}" if block else "expanded_conv"
        for part in ("expand", "depthwise", "project")[0 if block else 1 :]:
            yield f"block{block}_{part}", f"{theirs}_{part}", f"{theirs}_{part}_BN"
    yield "conv2", "Conv_1", "Conv_1_bn"


def _take_over(network: str, model: keras.Model, donor: keras.Model, names: Iterable[_Names]) -> None:
    for ours, theirs, norm in names:
        other = donor.get_layer(theirs)
        _assign_kernel(network, model.get_layer(ours), other.kernel)
        _assign_norm(model.get_layer(f"{ours}_bn"), donor.get_layer(norm), other.bias)
    logits, predictions = model.get_layer("logits"), donor.get_layer("predictions")
    if logits.kernel.shape == predictions.kernel.shape:
        logits.kernel.assign(predictions.kernel)
        logits.bias.assign(predictions.bias)


def _assign_kernel(network: str, layer: keras.Layer, kernel: Any) -> None:
    if keras.ops.size(layer.kernel) != keras.ops.size(kernel):
        raise ArgumentError(
            f"{network}: the pretrained kernel of layer {layer.name!r} has the shape {tuple(kernel.shape)}, the "
            f"network's has {tuple(layer.kernel.shape)}. It is for three channels, width=1 and stem='imagenet'."
        )
    # A depthwise kernel is [3, 3, channels, 1] in one form, [3, 3, 1, channels] in the other.
    layer.kernel.assign(keras.ops.reshape(kernel, layer.kernel.shape))


def _assign_norm(norm: keras.Layer, other: keras.Layer, bias: Any) -> None:
    ratio = keras.ops.sqrt((other.moving_variance + norm.epsilon) / (other.moving_variance + other.epsilon))
    norm.gamma.assign(other.gamma * ratio)
    norm.beta.assign(other.beta)
    norm.moving_mean.assign(other.moving_mean - (0 if bias is None else bias))
    norm.moving_variance.assign(other.moving_variance)
