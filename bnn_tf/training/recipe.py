"""How long, how fast and with which means to train: everything about a training but the network and the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from bnn_tf.errors import ArgumentError, unknown_name

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adadelta", "adam", "adamw")
BINARY_OPTIMIZERS = (*OPTIMIZERS, "bop")
SCHEDULES = ("constant", "cosine", "plateau")
BALANCED = "balanced"


@dataclass(frozen=True)
class Recipe:
    """By default Adam with a learning rate that falls to 0 along a half cosine: what float and binary networks both do
    well with.

    Attributes:
        epochs: int, at least 1.
        batch_size: int, images a step.
        learning_rate: float, at the start; the rates of a step schedule stand in its place.
        optimizer: "sgd", "momentum" (SGD with momentum), "nesterov" (with Nesterov's), "adadelta", "adam" or "adamw".
        schedule: "constant", "cosine", "plateau", or steps as "epoch:rate,...", "0:0.1,14:0.02,29:0.004" say.
        warmup_epochs: over how many epochs the rate rises from nearly 0 to what the schedule says; may be a fraction.
        momentum: of "momentum" and "nesterov".
        weight_decay: the share of the learning rate by which float kernels shrink a step; binary kernels, biases and
            normalisations never do. None is the optimizer's own: 0.004 for "adamw", otherwise 0.
        binary_optimizer: for the latent kernels of binary layers: one of the optimizers, or "bop". None is `optimizer`.
        binary_learning_rate: at the start, for the latent kernels; Bop's gamma. None is `learning_rate`, 1e-4 for Bop.
        bop_threshold: beyond which Bop flips a weight.
        layer_rates: for layers whose name matches a pattern ("fc*"), by how much their learning rate is multiplied.
        frozen: patterns of the names of layers that aren't trained.
        class_weights: None, "balanced" (1 over the number of images of the class, times what makes the mean over the
            images 1), or a weight for each class.
        label_smoothing: 0..1, the share of each label that is spread over all classes.
        temperature: of distillation, positive.
        mix: the share of the teacher in the loss, 0..1; see `losses.Crossentropy`.
        early_stopping: stops after so many epochs without a lower `val_loss`; None never does.
        plateau_patience: epochs without a lower `val_loss` after which the schedule "plateau" lowers the rate.
        plateau_factor: what it then multiplies it by.
        augment: what is done to training images, in this order; see `bnn_tf.data`.

    Raises:
        ArgumentError: a ValueError, for a value out of range.
    """

    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    momentum: float = 0.9
    weight_decay: float | None = None
    binary_optimizer: str | None = None
    binary_learning_rate: float | None = None
    bop_threshold: float = 1e-8
    layer_rates: Mapping[str, float] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    class_weights: str | tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    temperature: float = 4.0
    mix: float = 0.5
    early_stopping: int | None = None
    plateau_patience: int = 5
    plateau_factor: float = 0.1
    augment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "temperature", "plateau_patience"):
            _check(self, name, lambda value: value > 0, "must be positive")
        for name in ("binary_learning_rate", "early_stopping"):
            _check(self, name, lambda value: value is None or value > 0, "must be positive, or None")
        for name in ("warmup_epochs", "bop_threshold"):
            _check(self, name, lambda value: value >= 0, "can't be negative")
        _check(self, "weight_decay", lambda value: value is None or value >= 0, "can't be negative")
        for name in ("momentum", "label_smoothing"):
            _check(self, name, lambda value: 0 <= value < 1, "must lie in 0..1, below 1")
        _check(self, "mix", lambda value: 0 <= value <= 1, "must lie in 0..1")
        _check(self, "plateau_factor", lambda value: 0 < value < 1, "must lie between 0 and 1")
        _check(self, "layer_rates", lambda rates: all(rate >= 0 for rate in rates.values()), "can't be negative")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        if self.binary_optimizer is not None and self.binary_optimizer not in BINARY_OPTIMIZERS:
            raise unknown_name("optimizer for binary kernels", self.binary_optimizer, BINARY_OPTIMIZERS)
        if isinstance(self.class_weights, str) and self.class_weights != BALANCED:
            raise unknown_name("kind of class weights", self.class_weights, [BALANCED])
        self.steps  # noqa: B018  It raises where the schedule is neither a name nor a list of steps.

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """The step schedule as (first epoch, rate) pairs; none for another schedule."""
        return () if self.schedule in SCHEDULES else _parsed(self.schedule)

    @property
    def peak(self) -> float:
        """The learning rate that the schedule starts from, warm-up aside."""
        return self.steps[0][1] if self.steps else self.learning_rate


def _check(recipe: Recipe, name: str, accept: Any, demand: str) -> None:
    value = getattr(recipe, name)
    if not accept(value):
        raise ArgumentError(f"Recipe: `{name}` {demand}. Got {name}={value}.")


def _parsed(schedule: str) -> tuple[tuple[float, float], ...]:
    if ":" not in schedule:
        raise unknown_name("schedule", schedule, [*SCHEDULES, "0:0.1,14:0.02"])
    try:
        pairs = tuple((float(epoch), float(rate)) for epoch, rate in (step.split(":") for step in schedule.split(",")))
    except ValueError:
        raise ArgumentError(
            f"Recipe: a step schedule is a list of epoch:rate, as 0:0.1,14:0.02. Got {schedule!r}."
        ) from None
    epochs = [epoch for epoch, _ in pairs]
    if epochs[0] != 0 or any(later <= earlier for earlier, later in pairwise(epochs)):
        raise ArgumentError(f"Recipe: the epochs of a step schedule must rise from 0. Got {schedule!r}.")
    if any(rate <= 0 for _, rate in pairs):
        raise ArgumentError(f"Recipe: the rates of a step schedule must be positive. Got {schedule!r}.")
    return pairs


# Small sets take more and smaller steps. Accuracies reached with these stand in the README.
_RECIPES = {"digits": Recipe(epochs=20, batch_size=32), "mnist": Recipe(epochs=3)}


def recipe_for(
    data: str,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    **others: Any,
) -> Recipe:
    """The recipe for a data set, with what isn't None in place of its own values.

    Args:
        data: the data set's name.
        epochs, batch_size, learning_rate, **others: see `Recipe`.

    Raises:
        ArgumentError: a ValueError, for a value out of range.

    Example:

    >>> recipe_for("digits", epochs=3, optimizer="momentum").batch_size
    32
    """
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, **others}
    return replace(_RECIPES.get(data, Recipe()), **{name: value for name, value in given.items() if value is not None})
