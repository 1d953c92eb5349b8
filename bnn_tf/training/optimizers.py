"""The optimizer that a recipe asks for: one, or one for each group of weights that want to be treated alike.

    latent kernels of binary layers    their own optimizer and rate, never a weight decay: only their signs count
    float kernels                      the recipe's optimizer, with weight decay
    biases, normalisations             the recipe's optimizer

each split further where `layer_rates` gives some layers another learning rate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.training.arrays import array
from bnn_tf.training.bop import Bop
from bnn_tf.training.recipe import Recipe
from bnn_tf.training.schedules import rate_of
from bnn_tf.training.selection import flat_layers, matching

_ADAMW_DECAY = 0.004
_BOP_RATE = 1e-4


@keras.saving.register_keras_serializable(package="bnn_tf")
class Grouped(keras.optimizers.MultiOptimizer):
    """Keras' optimizer of optimizers, that also has a learning rate, its default optimizer's, and is saved once.

    Args:
        optimizer_map: a `keras.optimizers.OptimizerMap`; its keys are patterns of the variables' paths.
        **options: those of `keras.optimizers.MultiOptimizer`.
    """

    @property
    def learning_rate(self) -> Any:
        """That of the default optimizer."""
        return self._optimizer_map.default_optimizer.learning_rate

    def save_own_variables(self, store: Any) -> None:
        """Saves what isn't the inner optimizers', which Keras saves by themselves."""
        for index, variable in enumerate(self._variables):
            store[str(index)] = array(variable)

    def load_own_variables(self, store: Any) -> None:
        """The inverse of `save_own_variables`."""
        for index, variable in enumerate(self._variables):
            variable.assign(store[str(index)])


def make_optimizer(model: keras.Model, recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer for a model's trainable weights.

    Args:
        model: a built model.
        recipe: names the optimizers, their rates and the weight decay.
        steps_per_epoch: int, what the schedule's epochs count in.

    Returns:
        A plain Keras optimizer where all weights are treated alike, otherwise a `Grouped` one. It is built.

    Raises:
        ArgumentError: a ValueError, for a pattern of `layer_rates` that no layer's name matches.

    Example:

    >>> make_optimizer(bnn_tf.models.lenet("xnor"), Recipe(binary_optimizer="bop"), steps_per_epoch=100).optimizers
    """
    groups: dict[_Treatment, list[str]] = {}
    for name, treatment in _treatments(model, recipe).items():
        groups.setdefault(treatment, []).append(name)
    optimizers = [(_optimizer(treatment, recipe, steps_per_epoch), names) for treatment, names in groups.items()]
    # What most weights use comes last: it is the default.
    *others, (default, _) = sorted(optimizers, key=lambda pair: len(pair[1]))
    if not others:
        optimizer = default
    else:
        # What stands before the layer's name in a variable's path isn't the same in a model that is loaded again.
        patterns = {f"(.*/)?({'|'.join(map(re.escape, names))})": other for other, names in others}
        optimizer = Grouped(keras.optimizers.OptimizerMap(default, patterns))
    optimizer.build(model.trainable_variables)
    return optimizer


def leaves(optimizer: Any) -> list[Any]:
    """The optimizers that really move weights: those inside a loss scale and inside a group.

    Example:

    >>> [leaf.name for leaf in leaves(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()))]
    ['sgd']
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(inner, "optimizers", [inner]))


@dataclass(frozen=True)
class _Treatment:
    optimizer: str
    learning_rate: float
    weight_decay: float


def _treatments(model: keras.Model, recipe: Recipe) -> Mapping[str, _Treatment]:
    """How each trainable variable is treated, by the names of layer and variable."""
    binary = recipe.binary_optimizer or recipe.optimizer
    binary_rate = recipe.binary_learning_rate or (_BOP_RATE if binary == "bop" else recipe.peak)
    decay = recipe.weight_decay
    if decay is None:
        decay = _ADAMW_DECAY if recipe.optimizer == "adamw" else 0.0
    factors = _factors(model, recipe.layer_rates)
    treatments: dict[str, _Treatment] = {}
    for layer in flat_layers(model):
        factor = factors.get(id(layer), 1.0)
        for variable in layer.trainable_variables:
            if isinstance(layer, BinaryLayer) and variable is layer.kernel:
                treatment = _Treatment(binary, binary_rate * factor, 0.0)
            else:
                is_kernel = len(variable.shape) > 1
                treatment = _Treatment(recipe.optimizer, recipe.peak * factor, decay if is_kernel else 0.0)
            treatments.setdefault(f"{layer.name}/{variable.name}", treatment)
    return treatments


def _factors(model: keras.Model, rates: Mapping[str, float]) -> dict[int, float]:
    """The factor of the learning rate of each layer that a pattern names; the first pattern counts."""
    factors: dict[int, float] = {}
    for pattern, factor in rates.items():
        for layer in matching(model, pattern, "layer_rates"):
            factors.setdefault(id(layer), factor)
    return factors


def _optimizer(treatment: _Treatment, recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    rate = rate_of(recipe, steps_per_epoch, treatment.learning_rate)
    decay = treatment.weight_decay or None
    match treatment.optimizer:
        case "sgd":
            return keras.optimizers.SGD(rate, weight_decay=decay)
        case "momentum" | "nesterov" as name:
            return keras.optimizers.SGD(rate, recipe.momentum, nesterov=name == "nesterov", weight_decay=decay)
        case "adadelta":
            return keras.optimizers.Adadelta(rate, weight_decay=decay)
        case "adamw":
            return keras.optimizers.AdamW(rate, weight_decay=treatment.weight_decay)
        case "bop":
            return Bop(rate, recipe.bop_threshold)
        case _:
            return keras.optimizers.Adam(rate, weight_decay=decay)
