"""Pictures of networks, trainings, data sets and benchmarks.

Each function returns a matplotlib `Figure` and needs no display; `figure.savefig(path)` saves it. Colour-blind readers
can tell the colours apart, and markers, line styles and hatches stand beside them, for prints in grey. What they look
like: docs/pictures.md.
"""

from bnn_tf.plots.classes import class_scores, confusion_matrix
from bnn_tf.plots.comparing import Panels as Panels
from bnn_tf.plots.comparing import accuracies, trade_off
from bnn_tf.plots.curves import MOST_CURVES as MOST_CURVES
from bnn_tf.plots.curves import learning_curves, learning_curves_by_row, sign_flips
from bnn_tf.plots.datasets import class_counts, principal_components, t_sne
from bnn_tf.plots.features import feature_maps
from bnn_tf.plots.filters import kernels, scales
from bnn_tf.plots.gradients import pseudo_gradients
from bnn_tf.plots.histograms import weight_histograms
from bnn_tf.plots.speed import benchmark_bars, growth, throughput

__all__ = [
    "accuracies",
    "benchmark_bars",
    "class_counts",
    "class_scores",
    "confusion_matrix",
    "feature_maps",
    "growth",
    "kernels",
    "learning_curves",
    "learning_curves_by_row",
    "principal_components",
    "pseudo_gradients",
    "scales",
    "sign_flips",
    "t_sne",
    "throughput",
    "trade_off",
    "weight_histograms",
]
