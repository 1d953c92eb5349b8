"""What every builder starts from: the input, the schemes of the first, inner and last layers, and seeded weights.

A builder reads as the table in its paper does:

    net = Network("lenet5", scheme, input_shape, classes, smallest=28, **options)
    x = net.conv(net.inputs, 6, 5, scheme=net.first, name="conv1")
    x = keras.layers.MaxPooling2D(2, name="pool1")(x)
    ...
    return net.model(net.output(x))

so that the binary forms are not copies: `net.conv` makes whatever layer the scheme says.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import keras

from bnn_tf.errors import ArgumentError, unknown_name
from bnn_tf.models.blocks import Seeds, batch_norm, conv_block, dense_block, output_layer, scaled
from bnn_tf.models.schemes import FLOAT, Scheme, get_scheme

ImageShape = tuple[int, int, int]
Value = TypeVar("Value")


class Options(TypedDict, total=False):
    """What every builder takes besides its scheme, `input_shape` and `classes`.

    Attributes:
        width: what the numbers of feature maps and hidden units are multiplied by; by default 1.
        binarize_first: whether the scheme also holds for the first layer, which is float otherwise.
        binarize_last: the same for the last layer.
        seed: of the initial weights and the dropout; by default 0.
        scaling, ste, input_scaling, input_ste: of every binary layer that has them (see `bnn_tf.layers`), instead of
            the network's own choice.
    """

    width: float
    binarize_first: bool
    binarize_last: bool
    seed: int
    scaling: str | None
    ste: Any
    input_scaling: bool | None
    input_ste: Any


class Network:
    """A network in the making.

    Args:
        name: the network's registered name.
        scheme: "float", "bwn", "dorefa" or "xnor".
        input_shape: (height, width, channels) of an image.
        classes: how many, at least 1.
        smallest: the least height and width that its strides and poolings leave something of.
        initializer: makes a kernel's initializer from a seed; by default Glorot's uniform one, Keras' own choice.
        multiple: what every number of feature maps stays divisible by: the groups of grouped convolutions.
        width, binarize_first, binarize_last, seed: see `Options`.
        **layer_options: `scaling`, `ste`, `input_scaling`, `input_ste`: see `Options`.

    Attributes:
        inputs: the input tensor, `[batch, height, width, channels]`.
        classes: as given.
        first, inner, last: the schemes of the first layer, of those between, and of the last.
        seeds: for initializers and dropout.

    Raises:
        ArgumentError: a ValueError, for an unknown scheme or an argument out of range.

    Example:

    >>> net = Network("tiny", "xnor", (8, 8, 1), classes=10, smallest=3)
    >>> x = keras.layers.GlobalAveragePooling2D()(net.conv(net.inputs, 16, 3, scheme=net.first, name="conv1"))
    >>> model = net.model(net.output(x))
    """

    def __init__(
        self,
        name: str,
        scheme: str,
        input_shape: ImageShape,
        classes: int,
        *,
        smallest: int,
        initializer: Callable[[int], keras.initializers.Initializer] = lambda seed: keras.initializers.GlorotUniform(
            seed
        ),
        multiple: int = 1,
        width: float = 1.0,
        binarize_first: bool = False,
        binarize_last: bool = False,
        seed: int = 0,
        **layer_options: Any,
    ):
        self.inner = get_scheme(scheme).with_options(**layer_options)
        self.first = self.inner if binarize_first else FLOAT
        self.last = self.inner if binarize_last else FLOAT
        _check_input(name, input_shape, smallest)
        _check_classes(name, classes)
        if not width > 0:
            raise ArgumentError(f"{name}: `width` must be positive. Got width={width}.")
        self.classes = classes
        self.seeds = Seeds(seed)
        self.inputs = keras.Input(input_shape, name="image")
        self._name = name
        self._width = width
        self._multiple = multiple
        self._initializer = initializer
        self._layer_options = layer_options

    def scheme(self, name: str) -> Scheme:
        """Another scheme, with those of this network's layer options that it has."""
        other = get_scheme(name)
        return other.with_options(**{key: self._layer_options.get(key) for key in other.options})

    def maps(self, count: int) -> int:
        """`count` feature maps of the published network, at `width` times as many; never none."""
        return scaled(count, self._width, self._multiple)

    def kernel(self) -> keras.initializers.Initializer:
        """An initializer with the next seed."""
        return self._initializer(self.seeds.next())

    def conv(
        self,
        x: Any,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        name: str,
        scheme: Scheme | None = None,
        **options: Any,
    ) -> Any:
        """A convolution of `filters` published feature maps with its normalisation and ReLU: `blocks.conv_block`."""
        options.setdefault("kernel_initializer", self.kernel())
        return conv_block(x, scheme or self.inner, self.maps(filters), kernel_size, name=name, **options)

    def dense(self, x: Any, units: int, *, name: str, scheme: Scheme | None = None, **options: Any) -> Any:
        """A dense layer of `units` published units with its normalisation and ReLU: `blocks.dense_block`."""
        options.setdefault("kernel_initializer", self.kernel())
        return dense_block(x, scheme or self.inner, self.maps(units), name=name, **options)

    def dropout(
        self, x: Any, rate: float | None, *, name: str, usual: float = 0.5, before: Scheme | None = None
    ) -> Any:
        """Drops a share of `x` in training.

        Args:
            x: features.
            rate: the share, 0 <= rate < 1. By default the usual one, and nothing where signs are taken next: a batch
                norm that learnt from features of which some were zero and the others larger has thresholds that don't
                suit inference, which drops nothing.
            name: of the layer.
            usual: the share that the published network drops.
            before: the scheme of the next layer with weights, by default that of the layers between first and last.
        """
        seed = self.seeds.next()
        if rate is None:
            rate = 0.0 if (before or self.inner).binary_input else usual
        return keras.layers.Dropout(rate, seed=seed, name=name)(x)

    def output(self, x: Any, *, name: str = "logits", **options: Any) -> Any:
        """The last layer: features to logits."""
        options.setdefault("kernel_initializer", self.kernel())
        return output_layer(x, self.last, self.classes, name=name, **options)

    def output_map(self, x: Any, *, name: str = "logits_map") -> Any:
        """The last layer as a convolution of 1×1: feature maps to a map of logits."""
        if self.last.binary_input:
            x = batch_norm(f"{name}_bn")(x)
        return self.last.conv(self.classes, 1, name=name, kernel_initializer=self.kernel())(x)

    def model(self, outputs: Any) -> keras.Model:
        """The model from `inputs` to `outputs`, named after the network and its scheme."""
        return keras.Model(self.inputs, outputs, name=f"{self._name}_{self.inner.name}")


def choose(kind: str, name: str, known: Mapping[str, Value]) -> Value:
    """What an option's `name` stands for; an ArgumentError gives the names that are known.

    Example:

    >>> choose("padding", "same", {"valid": 16, "same": 12})
    12
    """
    if name not in known:
        raise unknown_name(kind, name, known)
    return known[name]


def _check_input(name: str, input_shape: ImageShape, smallest: int) -> None:
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ArgumentError(
            f"{name}: `input_shape` must be (height, width, channels), each at least 1. Got {tuple(input_shape)}."
        )
    height, width, _ = input_shape
    if min(height, width) < smallest:
        raise ArgumentError(
            f"{name}: an image must be at least {smallest}×{smallest}. Got {height}×{width}. Resize or pad it."
        )


def _check_classes(name: str, classes: int) -> None:
    if not isinstance(classes, int) or classes < 1:
        raise ArgumentError(f"{name}: `classes` must be a whole number, at least 1. Got classes={classes!r}.")
