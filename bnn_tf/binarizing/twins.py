"""From any float Keras model to its binary twin: the same graph and names, with binary layers where they can be."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from bnn_tf.binarizing.planning import Plan
from bnn_tf.binarizing.report import Report
from bnn_tf.binarizing.selecting import Selector
from bnn_tf.cloning import Copies, copy_own_weights, copy_weights, rebuilt, unbuilt
from bnn_tf.errors import ArgumentError
from bnn_tf.layers import WeightClip
from bnn_tf.models.blocks import batch_norm
from bnn_tf.models.schemes import Scheme

_COMMON = ("activation", "use_bias", "bias_initializer", "bias_regularizer", "bias_constraint", "activity_regularizer")
_KERNEL = ("initializer", "regularizer", "constraint")
_CONV = ("strides", "padding", "dilation_rate")


def binarize(
    model: keras.Model,
    scheme: str,
    skip: Selector | Iterable[Selector] = (),
    *,
    binarize_first: bool = False,
    binarize_last: bool = False,
    depthwise: bool = False,
    normalize: bool = False,
    report: Callable[[Report], object] | None = None,
) -> keras.Model:
    """The binary twin of a float model, with its weights: to fine-tune, or to see at once what binarizing costs.

    `Conv2D` becomes `BinaryConv2D` or `BinaryConvInput2D` and `Dense` becomes `BinaryDense` or `BinaryDenseInput`, as
    the scheme says, wherever they stand in the graph: in nested models, shared, or in `TimeDistributed`. Strides,
    padding, dilations, groups, biases, activations, initializers, regularizers, names, `trainable` and dtype policies
    stay. The float kernel becomes the latent one as it is, so each twin computes its formula on that very kernel. A
    kernel with no constraint gets the scheme's `WeightClip`, whose limit is the largest weight where that is above 1:
    clipped to 1, the twin's alpha would change in the first training step.

    All else is copied. Depthwise convolutions, with so few weights a channel, stay float unless asked; so do layers
    that have no twin (of one or three dimensions, transposed, separable, of a class derived from Keras', channels
    first) and those that other layers make and call for themselves. The report names each of them and says why.

    Args:
        model: a built Sequential or functional model. It stays as it is.
        scheme: "bwn", "dorefa" or "xnor"; "float" gives a plain copy.
        skip: layers to leave float: a name, which may be a pattern ("conv5_*") or that of a model inside this one; a
            compiled regular expression, to be found in the path ("inner/conv1"); a layer class; a function from a
            layer to bool; or a list of these.
        binarize_first: whether to binarize those layers, too, that no other layer with a kernel comes before.
        binarize_last: the same for those that none comes after.
        depthwise: whether to binarize depthwise convolutions, as convolutions with a group for each channel.
        normalize: for "xnor": whether to put a new BatchNormalization ("..._sign_bn") before each binary layer.
        report: is called with the `Report` of what became of each layer with a kernel: `print` shows it as a table, a
            list's `append` keeps it. Without binarizing, `plan` of `bnn_tf.binarizing` returns it.

    Returns:
        A `keras.Model` of the same kind, not compiled.

    Raises:
        ArgumentError: a ValueError, for a model that isn't built or a subclassed one, an unknown scheme, a `skip` that
            matches nothing (it gives the nearest names), `normalize` with another scheme, and where nothing can be
            binarized.

    "xnor" keeps only the signs of a layer's input. After a ReLU they are all +1, which the report remarks: such a
    network needs a BatchNormalization before each sign, as those of `bnn_tf.models` have and `normalize` adds. It
    starts as the identity; training gives it its statistics. A dropout before a sign, which the report remarks too,
    makes it another one in training than at inference: leave it out of the model, or set its rate to 0.

    Example:

    >>> parts = [keras.layers.Conv2D(4, 3, name=name) for name in ("first", "second", "third", "last")]
    >>> model = keras.Sequential([keras.Input((12, 12, 3)), *parts])
    >>> twin = bnn_tf.binarize(model, "bwn", skip="third", report=print)
    >>> [type(layer).__name__ for layer in twin.layers]
    ['Conv2D', 'BinaryConv2D', 'Conv2D', 'Conv2D']

    Source: Rastegari et al., "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", 2016.
    """
    plan = Plan(model, scheme, skip, binarize_first, binarize_last, depthwise, normalize)
    if plan.scheme.binary_weights and not plan.report.converted:
        raise ArgumentError(
            f"binarize: model {model.name!r} has nothing to binarize. Got {plan.report.reasons()}. Expected a "
            "Conv2D or Dense between the first and the last layer. Set binarize_first or binarize_last, or skip less."
        )
    twin = _Twins(plan, normalize).of_model(model)
    if report:
        report(plan.report)
    return twin


class _Twins(Copies):
    """Copies with binary layers in place of those that the plan converts."""

    def __init__(self, plan: Plan, normalize: bool):
        super().__init__()
        self._plan = plan
        self._normalize = normalize
        self._norms: dict[int, keras.Layer] = {}

    def copy(self, operation: Any) -> Any:
        """The binary twin, or a copy."""
        if id(operation) not in self._plan.converted:
            return rebuilt(operation)
        twin = _twin(self._plan.scheme, operation)
        if self._normalize:
            self._norms[id(twin)] = batch_norm(f"{operation.name}_sign_bn")
        return twin

    def before(self, copy: Any) -> list[keras.Layer]:
        """The normalisation of a twin's input."""
        inner = copy.layer if type(copy) is keras.layers.TimeDistributed else copy
        return [self._norms[id(inner)]] if id(inner) in self._norms else []

    def transfer(self, layer: keras.Layer, copy: keras.Layer) -> None:
        """The kernel, in the twin's shape, and the bias; all weights of a copy."""
        if id(layer) not in self._plan.converted:
            copy_weights(layer, copy)
            return
        copy.kernel.assign(keras.ops.reshape(layer.kernel, copy.kernel.shape))
        if layer.use_bias:
            copy.bias.assign(layer.bias)
        for old, new in zip(
            layer._flatten_layers(include_self=False), copy._flatten_layers(include_self=False), strict=True
        ):
            copy_own_weights(old, new)  # an activation with weights


def _twin(scheme: Scheme, layer: Any) -> keras.Layer:
    """A binary layer of the same arguments, with no weights yet."""
    # A fresh copy's activation and initializers are no one else's.
    plain = rebuilt(layer, unbuilt)
    options = {name: getattr(plain, name) for name in (*_COMMON, "name", "trainable")} | {"dtype": plain.dtype_policy}
    prefix = "depthwise" if isinstance(plain, keras.layers.DepthwiseConv2D) else "kernel"
    options |= {f"kernel_{name}": getattr(plain, f"{prefix}_{name}") for name in _KERNEL}
    if options["kernel_constraint"] is None:
        del options["kernel_constraint"]
        largest = float(np.max(np.abs(keras.ops.convert_to_numpy(layer.kernel)), initial=0))
        if largest > 1:
            options["kernel_constraint"] = WeightClip(largest)
    if isinstance(plain, keras.layers.Dense):
        return scheme.dense(plain.units, **options)
    options |= {name: getattr(plain, name) for name in _CONV}
    if isinstance(plain, keras.layers.DepthwiseConv2D):
        channels, multiplier = layer.kernel.shape[2:]
        return scheme.conv(channels * multiplier, plain.kernel_size, groups=channels, **options)
    return scheme.conv(plain.filters, plain.kernel_size, groups=plain.groups, **options)
