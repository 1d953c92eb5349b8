"""Training, measuring and comparing networks.

>>> from bnn_tf import training
>>> comparison = training.compare("lenet", "digits", schemes=["float", "bwn"], epochs=5)
>>> print(comparison.table())
"""

from bnn_tf.training.batches import input_shape
from bnn_tf.training.bop import Bop
from bnn_tf.training.comparison import Comparison, ComparisonInterrupted, compare
from bnn_tf.training.distributed import WorkerLostError, join
from bnn_tf.training.divergence import DivergedError
from bnn_tf.training.evaluation import Report, report
from bnn_tf.training.fit import Evaluation, Training, evaluate, train
from bnn_tf.training.folds import CrossValidation, cross_validate, stratified_folds
from bnn_tf.training.latent import LatentWeights
from bnn_tf.training.metrics import ClassMetrics, confusion_matrix
from bnn_tf.training.pairing import Pair
from bnn_tf.training.precision import precision
from bnn_tf.training.recipe import Recipe, recipe_for
from bnn_tf.training.rows import Row
from bnn_tf.training.run_folder import FullDiskError, RunFolderError
from bnn_tf.training.selection import freeze_layers
from bnn_tf.training.transfer import ModelFileError, WarmStart, load_model, new_head, warm_start

__all__ = [
    "Bop",
    "ClassMetrics",
    "Comparison",
    "ComparisonInterrupted",
    "CrossValidation",
    "DivergedError",
    "Evaluation",
    "FullDiskError",
    "LatentWeights",
    "ModelFileError",
    "Pair",
    "Recipe",
    "Report",
    "Row",
    "RunFolderError",
    "Training",
    "WarmStart",
    "WorkerLostError",
    "compare",
    "confusion_matrix",
    "cross_validate",
    "evaluate",
    "freeze_layers",
    "input_shape",
    "join",
    "load_model",
    "new_head",
    "precision",
    "recipe_for",
    "report",
    "stratified_folds",
    "train",
    "warm_start",
]
