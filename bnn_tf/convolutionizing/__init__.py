"""Networks for images of any size: `bnn_tf.convolutionize` makes convolutions of dense heads."""

from bnn_tf.convolutionizing.copies import convolutionize

__all__ = ["convolutionize"]
