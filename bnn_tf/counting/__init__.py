"""What a model weighs and computes: `bnn_tf.summary`, layer by layer, and the rules that it counts by.

size        weights and the bytes that they take
macs        multiply-accumulates, and the hook for layers of one's own; rules: those of Keras' layers
trace       every call of a layer in one pass of a model
summary     all of it as a table, a dict and JSON
"""

from bnn_tf.counting.macs import Macs, register_macs
from bnn_tf.counting.size import Size, model_size
from bnn_tf.counting.summary import LayerSummary, Summary, summary

__all__ = ["LayerSummary", "Macs", "Size", "Summary", "model_size", "register_macs", "summary"]
