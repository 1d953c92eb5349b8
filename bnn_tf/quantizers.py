"""Sign functions that can be trained through.

Every quantizer computes the same forward pass, exactly,

    sign(u) = +1 if u >= 0 else -1           (so -0 gives +1 and NaN gives -1)

and differs in the pseudo-gradient that replaces d sign(u)/du in the backward pass. `get` finds one by name, so that
`BinaryConv2D(64, 3, ste="approx_sign")` works; a subclass of `Quantizer` brings one of your own.
"""

import math
from typing import Any, ClassVar

import keras
from keras import ops

_PACKAGE = "bnn_tf"


class Quantizer:
    """A sign with a pseudo-gradient: the base of all quantizers.

    A subclass gives itself a `name` and overrides `pseudo_gradient`; with arguments, `get_config` too. Registered with
    `keras.saving.register_keras_serializable`, it is saved with the layers that use it.

    Attributes:
        name: the lower-case name that `get` knows it by.
        scale_gradient: whether the scale alpha = mean |w| of a layer that binarizes its weights with this quantizer is
            differentiated (as XNOR-Net does) or held constant.

    Example:

    >>> class TriangleSign(Quantizer):
    ...     name = "triangle_sign"
    ...     def pseudo_gradient(self, u):
    ...         return keras.ops.maximum(1 - keras.ops.abs(u), 0)
    >>> y = TriangleSign()(np.array([-0.5, 0.0, 2.0], "float32"))   # -1, 1, 1
    """

    name: ClassVar[str] = "quantizer"
    scale_gradient: ClassVar[bool] = True

    def pseudo_gradient(self, u: Any) -> Any:
        """What stands for d sign(u)/du: a tensor of the shape and dtype of `u`."""
        raise NotImplementedError(f"{type(self).__name__} must override `pseudo_gradient`.")

    def sign(self, u: Any) -> Any:
        """Exactly +1 or -1 for each element of `u`, differentiated with the pseudo-gradient."""

        @ops.custom_gradient
        def forward(u: Any) -> Any:
            def backward(*args: Any, upstream: Any = None) -> Any:
                if upstream is None:
                    (upstream,) = args
                return ops.multiply(upstream, self.pseudo_gradient(u))

            return ops.where(ops.greater_equal(u, 0), ops.ones_like(u), ops.negative(ops.ones_like(u))), backward

        return forward(ops.convert_to_tensor(u))

    def __call__(self, u: Any) -> Any:
        """The quantized `u`."""
        return self.sign(u)

    @property
    def variables(self) -> list[keras.Variable]:
        """What changes in the course of training; a layer that holds the quantizer tracks these."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Quantizer":
        """The inverse of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Identity(Quantizer):
    """The plain straight-through estimator: the gradient passes as it is.

    Pseudo-gradient: `1`.

    Source: Bengio, Léonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
    Computation", 2013.
    """

    name = "identity"

    def pseudo_gradient(self, u: Any) -> Any:
        return ops.ones_like(u)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class SteSign(Quantizer):
    """The clipped straight-through estimator: the gradient of the hard tanh. Also known as "clip".

    Pseudo-gradient: `1 if |u| <= 1 else 0`.

    Source: Courbariaux, Hubara, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks: Training Deep Neural Networks
        with
    Weights and Activations Constrained to +1 or -1", 2016.
    """

    name = "ste_sign"

    def pseudo_gradient(self, u: Any) -> Any:
        return ops.cast(ops.less_equal(ops.abs(u), 1), u.dtype)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ApproxSign(Quantizer):
    """The gradient of a piecewise quadratic approximation of the sign.

    Pseudo-gradient: `2 - 2|u| if |u| <= 1 else 0`.

    Source: Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net: Enhancing the Performance of 1-bit CNNs With Improved
    Representational Capability and Advanced Training Algorithm", ECCV 2018.
    """

    name = "approx_sign"

    def pseudo_gradient(self, u: Any) -> Any:
        return ops.relu(2 - 2 * ops.abs(u))


@keras.saving.register_keras_serializable(package=_PACKAGE)
class SwishSign(Quantizer):
    """The gradient of SignSwish, `2 σ(βu) (1 + βu (1 - σ(βu))) - 1`.

    Pseudo-gradient: `β (2 - βu tanh(βu/2)) / (1 + cosh(βu))`.

    Args:
        beta: float, the steepness; positive.

    Source: Darabi, Belbahri, Courbariaux, Partovi Nia, "BNN+: Improved Binary Network Training", 2018.
    """

    name = "swish_sign"

    def __init__(self, beta: float = 5.0):
        if not beta > 0:
            raise ValueError(f"SwishSign: `beta` must be positive. Got beta={beta}. The paper uses 5.")
        self.beta = float(beta)

    def pseudo_gradient(self, u: Any) -> Any:
        # 1 / (1 + cosh z) = 2 σ(z) σ(-z), which doesn't overflow; beyond 80 the product is 0 in float32, and inf * 0 is
        # not.
        z = ops.clip(self.beta * u, -80.0, 80.0)
        return self.beta * (2 - z * ops.tanh(z / 2)) * 2 * ops.sigmoid(z) * ops.sigmoid(-z)

    def get_config(self) -> dict[str, Any]:
        return {"beta": self.beta}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class MagnitudeAwareSign(Quantizer):
    """A sign scaled by the mean magnitude, where the scale counts as a constant: for weights.

    Formula: `alpha sign(w)` with `alpha[o] = mean |w[..., o]|`. In a layer the scale is the layer's own (`scaling`);
        what
    this quantizer adds is that no gradient flows through it.

    Pseudo-gradient: `1 if |w| <= 1 else 0`, of the sign; times alpha, held constant.

    Source: Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net: Enhancing the Performance of 1-bit CNNs With Improved
    Representational Capability and Advanced Training Algorithm", ECCV 2018, section 3.3.
    """

    name = "magnitude_aware_sign"
    scale_gradient = False

    def pseudo_gradient(self, u: Any) -> Any:
        return ops.cast(ops.less_equal(ops.abs(u), 1), u.dtype)

    def __call__(self, u: Any) -> Any:
        u = ops.convert_to_tensor(u)
        alpha = ops.mean(ops.abs(u), axis=tuple(range(len(u.shape) - 1)), keepdims=True)
        return ops.multiply(ops.stop_gradient(alpha), self.sign(u))


PROGRESS = "quantizer_progress"


class Annealed(Quantizer):
    """A quantizer whose pseudo-gradient sharpens while training proceeds: the base of `Ede` and `ReSte`.

    `progress` runs from 0 (start of training) to 1 (end). Set it, or let the `Anneal` callback do so.

    Args:
        progress: float in 0..1, where it stands at first.
    """

    def __init__(self, progress: float = 0.0):
        self._progress = keras.Variable(
            _checked_progress(progress), dtype="float32", trainable=False, autocast=False, name=PROGRESS
        )

    @property
    def progress(self) -> float:
        """How far training has come, 0..1."""
        return float(ops.convert_to_numpy(self._progress))

    @progress.setter
    def progress(self, value: float) -> None:
        self._progress.assign(_checked_progress(value))

    @property
    def variables(self) -> list[keras.Variable]:
        return [self._progress]

    def get_config(self) -> dict[str, Any]:
        return {"progress": self.progress}


def _checked_progress(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(
            f"`progress` must lie in 0..1. Got progress={value}. It is the share of training that is done."
        )
    return float(value)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Ede(Annealed):
    """The error decay estimator: from the identity, nearly, to the sign, nearly.

    Pseudo-gradient: `k t (1 - tanh²(t u))`, the derivative of `k tanh(t u)`, with
    `t = t_min (t_max / t_min)^progress` and `k = max(1/t, 1)`.

    Args:
        progress: float in 0..1, how far training has come (see `Anneal`).
        t_min: float, `t` at the start; positive.
        t_max: float, `t` at the end; at least `t_min`.

    Source: Qin, Gong, Liu, Shen, Wei, Yu, Song, "Forward and Backward Information Retention for Accurate Binary Neural
    Networks" (IR-Net), CVPR 2020.
    """

    name = "ede"

    def __init__(self, progress: float = 0.0, t_min: float = 0.1, t_max: float = 10.0):
        if not 0 < t_min <= t_max:
            raise ValueError(
                f"Ede: expected 0 < t_min <= t_max. Got t_min={t_min} and t_max={t_max}. The paper uses 0.1 and 10."
            )
        super().__init__(progress)
        self.t_min, self.t_max = float(t_min), float(t_max)

    def pseudo_gradient(self, u: Any) -> Any:
        progress = ops.cast(ops.convert_to_tensor(self._progress), u.dtype)
        t = self.t_min * ops.exp(progress * math.log(self.t_max / self.t_min))
        k = ops.maximum(1 / t, 1)
        return k * t * (1 - ops.square(ops.tanh(t * u)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "t_min": self.t_min, "t_max": self.t_max}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ReSte(Annealed):
    """The rectified straight-through estimator: the derivative of a power function that bends towards the sign.

    Pseudo-gradient: the derivative `|u|^((1-o)/o) / o` of `sign(u) |u|^(1/o)`; where `|u| < m`, in which it explodes,
    the slope `m^((1-o)/o)` of the chord through the origin; `0` where `|u| > t`. The power `o` grows linearly with
    progress, from 1 (the identity) to `o_end`.

    Args:
        progress: float in 0..1, how far training has come (see `Anneal`).
        o_end: float, the power at the end; at least 1.
        t: float, beyond which the gradient is 0; positive.
        m: float, below which the chord is used; positive.

    Source: Wu, Zheng, Liu, Zheng, "Estimator Meets Equilibrium Perspective: A Rectified Straight Through Estimator for
    Binary Neural Networks Training", ICCV 2023.
    """

    name = "reste"

    def __init__(self, progress: float = 0.0, o_end: float = 3.0, t: float = 1.5, m: float = 0.1):
        if not (o_end >= 1 and t > 0 and m > 0):
            raise ValueError(
                f"ReSte: expected o_end >= 1, t > 0 and m > 0. Got o_end={o_end}, t={t}, m={m}. The paper uses 3, 1.5 "
                "and 0.1."
            )
        super().__init__(progress)
        self.o_end, self.t, self.m = float(o_end), float(t), float(m)

    def pseudo_gradient(self, u: Any) -> Any:
        progress = ops.cast(ops.convert_to_tensor(self._progress), u.dtype)
        o = 1 + progress * (self.o_end - 1)
        magnitude = ops.abs(u)
        slope = ops.power(ops.maximum(magnitude, self.m), (1 - o) / o)
        slope = ops.where(ops.less(magnitude, self.m), slope, slope / o)
        return ops.where(ops.less_equal(magnitude, self.t), slope, ops.zeros_like(u))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "o_end": self.o_end, "t": self.t, "m": self.m}


class Anneal(keras.callbacks.Callback):
    """A callback that moves every annealed quantizer of a model from 0 to 1 over the epochs of `fit`.

    Epoch e of n trains at progress e / (n - 1): the first at 0, the last at 1.

    Args:
        epochs: int, over how many epochs to anneal; those of `fit` by default.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), bnn_tf.layers.BinaryDense(2, ste="ede")])
    >>> model.compile("sgd", "mse")
    >>> model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=3, verbose=0, callbacks=[Anneal()])
    """

    def __init__(self, epochs: int | None = None):
        super().__init__()
        if epochs is not None and epochs < 1:
            raise ValueError(
                f"Anneal: `epochs` must be at least 1. Got epochs={epochs}. Leave it out to use those of `fit`."
            )
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the progress of each annealed quantizer in the model."""
        epochs = self.epochs or self.params["epochs"]
        progress = min(epoch / max(epochs - 1, 1), 1.0)
        for variable in self.model.non_trainable_variables:
            if variable.name == PROGRESS:
                variable.assign(progress)


_QUANTIZERS: dict[str, type[Quantizer]] = {
    cls.name: cls for cls in (Identity, SteSign, ApproxSign, SwishSign, MagnitudeAwareSign, Ede, ReSte)
}
_ALIASES = {"clip": SteSign}


def names() -> list[str]:
    """The names that `get` knows, without aliases."""
    return list(_QUANTIZERS)


def get(identifier: str | dict[str, Any] | Quantizer | None) -> Quantizer:
    """The quantizer that `identifier` means.

    Args:
        identifier: a name (see `names`; "clip" is "ste_sign"), a `Quantizer` (returned as it is), what `serialize`
            returned, or `None` for the plain straight-through estimator.

    Returns:
        A `Quantizer`.

    Raises:
        ValueError: for an unknown name or anything else.

    Example:

    >>> get("approx_sign")
    ApproxSign()
    """
    if identifier is None:
        return Identity()
    if isinstance(identifier, Quantizer):
        return identifier
    if isinstance(identifier, str):
        cls = _QUANTIZERS.get(identifier) or _ALIASES.get(identifier)
        if cls is not None:
            return cls()
    elif isinstance(identifier, dict):
        quantizer = keras.saving.deserialize_keras_object(identifier)
        if isinstance(quantizer, Quantizer):
            return quantizer
    known = ", ".join(f'"{name}"' for name in (*_QUANTIZERS, *_ALIASES))
    raise ValueError(
        f"Unknown quantizer {identifier!r}. Expected one of {known}, or an instance of bnn_tf.quantizers.Quantizer."
    )


def serialize(quantizer: Quantizer) -> str | dict[str, Any]:
    """What stands for `quantizer` in a layer's config: its name where that says all, else its Keras config."""
    cls = _QUANTIZERS.get(quantizer.name)
    if cls is type(quantizer) and quantizer.get_config() == cls().get_config():
        return quantizer.name
    return keras.saving.serialize_keras_object(quantizer)
