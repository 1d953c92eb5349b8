"""Other ways out: SavedModels with the C++ ops, and plain float models for platforms without them.

exporter    `export`: checks, and writes in a format
floats      a model in plain float ops that computes what the binary one does
serving     a model as a TensorFlow function, SavedModel and LiteRT
onnx_model  the nodes of a packed model as ONNX; onnx_rules: each of them; onnx_graph: what they become
"""

from bnn_tf.exporting.exporter import FORMATS, Exported, export
from bnn_tf.exporting.floats import float_twin

__all__ = ["FORMATS", "Exported", "export", "float_twin"]
