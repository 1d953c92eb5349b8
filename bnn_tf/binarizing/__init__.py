"""Binary twins of float models: `bnn_tf.binarize`, and `plan` to see beforehand what it would do."""

from bnn_tf.binarizing.planning import plan
from bnn_tf.binarizing.report import Report, Row
from bnn_tf.binarizing.selecting import Selector
from bnn_tf.binarizing.twins import binarize

__all__ = ["Report", "Row", "Selector", "binarize", "plan"]
