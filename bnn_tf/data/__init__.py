"""Data sets of images, as NumPy arrays, from the publishers' own files.

>>> from bnn_tf import data
>>> digits = data.load("digits")
>>> digits.x_train.shape, digits.classes
((1198, 8, 8, 1), 10)
"""

from bnn_tf.data import digits as digits
from bnn_tf.data import mnist as mnist
from bnn_tf.data.dataset import Dataset
from bnn_tf.data.files import DataFileError, MissingDataError, data_folder
from bnn_tf.data.registry import Source, list_datasets, load, source

__all__ = ["DataFileError", "Dataset", "MissingDataError", "Source", "data_folder", "list_datasets", "load", "source"]
