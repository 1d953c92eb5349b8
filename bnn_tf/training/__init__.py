"""Training, measuring and comparing networks.

>>> from bnn_tf import training
>>> comparison = training.compare("lenet", "digits", schemes=["float", "bwn"], epochs=5)
>>> print(comparison.table())
"""

from bnn_tf.training.comparison import Comparison, ComparisonInterrupted, Row, compare
from bnn_tf.training.fit import Evaluation, Training, evaluate, train
from bnn_tf.training.recipe import Recipe, recipe_for
from bnn_tf.training.run_folder import RunFolderError

__all__ = [
    "Comparison",
    "ComparisonInterrupted",
    "Evaluation",
    "Recipe",
    "Row",
    "RunFolderError",
    "Training",
    "compare",
    "evaluate",
    "recipe_for",
    "train",
]
