"""Which layer of a network becomes what, so that it takes images of any size.

Tensors are followed from the input on. At the training size each is one of

    Image     [n, h, w, c], and larger where the image is
    Flat      such an image flattened to [n, h*w*c]; the new network leaves it an image
    Vector    [n, c] or [n, 1, 1, c]; in the new network a map of such vectors, one for each window of the image

A dense layer makes a Vector of a Flat by a convolution of h×w, and of a Vector by one of 1×1.
"""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import keras

from bnn_tf import layers
from bnn_tf.cloning import Call, calls
from bnn_tf.convolutionizing.exchange import CONVOLUTIONS, Action, Pair, convolution, kept, pooling, windows
from bnn_tf.errors import ArgumentError

K = keras.layers

_GLOBAL = (K.GlobalAveragePooling2D, K.GlobalMaxPooling2D)
_POOLING = (K.AveragePooling2D, K.MaxPooling2D)
_BINARY_CONV = (
    layers.BinaryConv2D,
    layers.BinaryConvInput2D,
    layers.FrozenBinaryConv2D,
    layers.FrozenBinaryConvInput2D,
)
_CONV = (K.Conv2D, K.DepthwiseConv2D, K.SeparableConv2D, *_BINARY_CONV)
# These do the same to every number.
_ELEMENTWISE_FUNCTIONS = {
    *("elu", "exponential", "gelu", "hard_sigmoid", "hard_tanh", "leaky_relu", "linear", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "softplus", "softsign", "tanh"),
}
_ELEMENTWISE = (
    K.AlphaDropout,
    K.ELU,
    K.GaussianDropout,
    K.GaussianNoise,
    K.Identity,
    K.LeakyReLU,
    K.ReLU,
)
_MERGING = (K.Add, K.Average, K.Concatenate, K.Maximum, K.Minimum, K.Multiply, K.Subtract)
# These have an axis, which is that of the channels.
_ALONG_CHANNELS = (K.BatchNormalization, K.Concatenate, K.LayerNormalization, K.Softmax, K.UnitNormalization)


@dataclass(frozen=True)
class Image:
    """Height, width and channels at the training size; one pixel of it is `rate` apart in a denser map."""

    height: int | None
    width: int | None
    channels: int
    rate: Pair = (1, 1)


@dataclass(frozen=True)
class Flat:
    """A flattened image, and the identity of the layer that flattened it."""

    image: Image
    flatten: int


@dataclass(frozen=True)
class Vector:
    """As many channels; rank 2 or, with a height and width of 1, rank 4."""

    channels: int
    rank: int = 2


class _NeedsWindows(Exception):
    """Something has a weight for each feature of a flattened image."""


class Analysis:
    """What becomes of each layer of a model.

    Attributes:
        actions: by the layers' identities.

    Raises:
        ArgumentError: where a layer stands in the way.
    """

    def __init__(self, model: keras.Model, dense_pooling: bool):
        self._model = model
        self._calls, self._outputs = calls(model)
        self._densest: Any = self._last_pooling() if dense_pooling else None
        self._windowed: set[int] = set()
        while True:
            try:
                self._run()
                break
            except _NeedsWindows as needs:
                self._windowed.update(needs.args)

    def _run(self) -> None:
        self.actions: dict[int, Action] = {}
        self._states: dict[int, Image | Flat | Vector] = {}
        for call in self._calls:
            self._take(call)
        ends = [self._states[output] for output in self._outputs]
        if any(isinstance(end, Flat) for end in ends):
            raise self._headless("it ends in a flattened image")
        if not any(isinstance(end, Vector) for end in ends):
            raise self._headless("it takes images of any size already, or is no classifier")

    def _headless(self, found: str) -> ArgumentError:
        return ArgumentError(
            f"convolutionize: model {self._model.name!r} has no dense head: {found}. Expected dense layers after a "
            "Flatten or a global pooling."
        )

    def _take(self, call: Call) -> None:
        operation = call.operation
        if isinstance(operation, K.InputLayer):
            state = self._states.get(call.inputs[0]) or self._given(call)
            channels = state.image.channels if isinstance(state, Flat) else state.channels
            states, action = [state], kept(operation, batch_shape=(call.shapes[0][0], None, None, channels))
        else:
            inputs = [self._states[number] for number in call.inputs]
            if call.wrapper:
                _refuse(call, "is in TimeDistributed")
            if getattr(operation, "data_format", None) == "channels_first":
                _refuse(call, "has its channels first; expected channels last")
            if all(isinstance(state, Image) for state in inputs):
                states, action = self._on_images(call, inputs)
            elif any(isinstance(state, Image) for state in inputs):
                _refuse(call, "brings a whole image together with what came of each window of it")
            else:
                state, action = self._on_features(call, inputs)
                states = [state]
        if self.actions.setdefault(id(operation), action) != action:
            _refuse(call, "is shared by places that would need different layers")
        self._states.update(zip(call.outputs, states, strict=True))

    def _given(self, call: Call) -> Image:
        (shape,) = call.shapes
        if len(shape) != 4 or shape[3] is None:
            _refuse(call, f"has the shape {shape}; expected images (batch, height, width, channels)")
        return _image(shape)

    # On images.

    def _on_images(self, call: Call, inputs: list[Any]) -> tuple[list[Any], Action]:
        layer, image, shape = call.operation, inputs[0], call.shapes[0]
        if isinstance(layer, _GLOBAL):
            return self._global_pooling(call, image)
        if type(layer) is K.Flatten or (type(layer) is K.Reshape and len(shape) == 2):
            return self._flatten(call, image)
        if any(len(shape) != 4 or shape[3] is None for shape in call.shapes):
            _refuse(call, f"makes {shape} of an image; expected an image, or Flatten or a global pooling in its place")
        images = [_image(shape) for shape in call.shapes]
        if layer is self._densest:
            return [replace(images[0], rate=layer.strides)], kept(layer, strides=(1, 1), padding=_valid(call, image))
        if any(other.rate != image.rate for other in inputs):
            _refuse(
                call, "brings what is before the last pooling together with what is after it; set dense_pooling off"
            )
        changes = {} if image.rate == (1, 1) else _dilated(call, image.rate)
        return [replace(other, rate=image.rate) for other in images], kept(layer, **changes)

    def _global_pooling(self, call: Call, image: Image) -> tuple[list[Any], Action]:
        size = _size(call, image)
        vector = Vector(image.channels, len(call.shapes[0]))
        if size == (1, 1):
            return [vector], None
        if image.rate != (1, 1):
            _refuse(call, "comes after the last pooling, and can't pool what that makes denser; set dense_pooling off")
        return [vector], (pooling, size)

    def _flatten(self, call: Call, image: Image) -> tuple[list[Any], Action]:
        size = _size(call, image)
        if size == (1, 1):
            return [Vector(image.channels)], None
        if id(call.operation) in self._windowed:
            return [Vector(size[0] * size[1] * image.channels)], (windows, size, image.rate)
        return [Flat(image, id(call.operation))], None

    # On what came of images.

    def _on_features(self, call: Call, inputs: list[Any]) -> tuple[Any, Action]:
        layer, state, shape = call.operation, inputs[0], call.shapes[0]
        if type(layer) in CONVOLUTIONS:
            return self._dense(call, state)
        if _is_elementwise(layer):
            return state, kept(layer)
        if type(layer) in (K.Flatten, K.Reshape, *_GLOBAL) and shape[1:-1] in ((), (1, 1)) and _same_size(state, shape):
            return (state if isinstance(state, Flat) else Vector(state.channels, len(shape))), None
        flats = [state.flatten for state in inputs if isinstance(state, Flat)]
        vector = Vector(shape[-1] or 0, len(shape))
        if type(layer) in _CONV and _is_pointwise(layer):
            return vector, kept(layer)
        if type(layer) in (*_MERGING, *_ALONG_CHANNELS, K.Activation, K.PReLU):
            if flats:
                raise _NeedsWindows(*flats)
            return vector, kept(layer, **_for_maps(call, len(shape)))
        _refuse(call, "comes after the image was flattened or pooled; expected a layer that works on each vector alone")

    def _dense(self, call: Call, state: Flat | Vector) -> tuple[Vector, Action]:
        layer = call.operation
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            _refuse(call, "is quantized or has LoRA weights; expected plain ones")
        vector = Vector(layer.units, len(call.shapes[0]))
        if isinstance(state, Vector):
            return vector, (convolution, (1, 1), (1, 1))
        return vector, (convolution, (state.image.height, state.image.width), state.image.rate)

    def _last_pooling(self) -> Any:
        poolings: list[Any] = [call.operation for call in self._calls if type(call.operation) in _POOLING]
        strided = [pool for pool in poolings if max(pool.strides) > 1]
        if not strided:
            raise ArgumentError(
                f"convolutionize: model {self._model.name!r} has no pooling with strides to make dense. Expected a "
                "MaxPooling2D or AveragePooling2D. Set dense_pooling off."
            )
        return strided[-1]


def _image(shape: tuple[int | None, ...]) -> Image:
    _, height, width, channels = shape
    assert channels is not None
    return Image(height, width, channels)


def _refuse(call: Call, why: str) -> NoReturn:
    raise ArgumentError(
        f"convolutionize: can't make a network for images of any size: layer {call.path!r} "
        f"({type(call.operation).__name__}) {why}."
    )


def _size(call: Call, image: Image) -> Pair:
    if image.height is None or image.width is None:
        _refuse(call, "sees images of unknown size; expected a model, and models in it, made for images of one size")
    return image.height, image.width


def _same_size(state: Flat | Vector, shape: tuple[int | None, ...]) -> bool:
    return shape[-1] == state.channels if isinstance(state, Vector) else len(shape) == 2


def _is_elementwise(layer: Any) -> bool:
    if type(layer) is K.Activation:
        return getattr(layer.activation, "__name__", "") in _ELEMENTWISE_FUNCTIONS
    if type(layer) is K.Dropout:
        return layer.noise_shape is None
    return type(layer) in _ELEMENTWISE


def _is_pointwise(layer: Any) -> bool:
    return tuple(layer.kernel_size) == tuple(layer.strides) == (1, 1) and isinstance(layer.padding, str)


def _for_maps(call: Call, rank: int) -> dict[str, Any]:
    """What a layer on [n, c] or [n, 1, 1, c] must be told to do the same at each place of a map."""
    layer = call.operation
    if type(layer) is K.PReLU:
        return {"shared_axes": (1, 2)}
    if type(layer) not in _ALONG_CHANNELS:
        return {}
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if list(axes) not in ([-1], [rank - 1]):
        _refuse(call, f"works along axis {layer.axis}; expected that of the channels")
    return {"axis": -1}


# For a denser last pooling.


def _valid(call: Call, image: Image) -> str:
    """The padding that needn't be: none may depend on the size of the image."""
    layer = call.operation
    for length, size, step in zip((image.height, image.width), layer.pool_size, layer.strides, strict=True):
        if layer.padding == "same" and (length is None or (-(-length // step) - 1) * step + size > length):
            _refuse(call, "is the last pooling and pads the image; expected padding='valid' to make it dense")
    return "valid"


def _dilated(call: Call, rate: Pair) -> dict[str, Any]:
    """What changes in a layer whose input is `rate` times as dense."""
    layer = call.operation
    if type(layer) in _CONV:
        if max(layer.strides) > 1 or (layer.padding == "same" and not all(size % 2 for size in layer.kernel_size)):
            _refuse(call, "comes after the last pooling with strides or an even kernel; set dense_pooling off")
        changes = {"dilation_rate": tuple(a * b for a, b in zip(layer.dilation_rate, rate, strict=True))}
        return changes if isinstance(layer.padding, str) else changes | _wider(layer.padding, rate)
    if type(layer) is K.ZeroPadding2D:
        return _wider(layer.padding, rate)
    if type(layer) in _ALONG_CHANNELS:
        _for_maps(call, 4)
    elif type(layer) not in (*_MERGING, layers.LocalResponseNormalization) and not _is_elementwise(layer):
        _refuse(
            call, "comes after the last pooling, and isn't known to work on each pixel alone; set dense_pooling off"
        )
    return {}


def _wider(padding: Any, rate: Pair) -> dict[str, Any]:
    pairs = zip(padding, rate, strict=True)
    return {"padding": tuple(tuple(side * step for side in pair) for pair, step in pairs)}
