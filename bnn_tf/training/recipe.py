"""How long and how fast to train."""

from dataclasses import dataclass

from bnn_tf.errors import ArgumentError


@dataclass(frozen=True)
class Recipe:
    """Adam with a learning rate that falls to 0 along a half cosine: what float and binary networks both do well with.

    Attributes:
        epochs: int, at least 1.
        batch_size: int, images a step.
        learning_rate: float, at the start.
    """

    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if not value > 0:
                raise ArgumentError(f"Recipe: `{name}` must be positive. Got {name}={value}.")


# Small sets take more and smaller steps. Accuracies reached with these stand in the README.
_RECIPES = {"digits": Recipe(epochs=20, batch_size=32), "mnist": Recipe(epochs=3)}


def recipe_for(
    data: str, epochs: int | None = None, batch_size: int | None = None, learning_rate: float | None = None
) -> Recipe:
    """The recipe for a data set, with what isn't None in place of its own values.

    Raises:
        ArgumentError: a ValueError, for a value that isn't positive.
    """
    default = _RECIPES.get(data, Recipe())
    return Recipe(
        default.epochs if epochs is None else epochs,
        default.batch_size if batch_size is None else batch_size,
        default.learning_rate if learning_rate is None else learning_rate,
    )
