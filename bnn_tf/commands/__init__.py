"""The larger commands of `bnn-tf`, a file each; `bnn_tf.cli` puts them together."""
