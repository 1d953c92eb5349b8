"""Data sets of images from the publishers' own files, in batches, augmented.

>>> from bnn_tf import data
>>> digits = data.load("digits")
>>> digits.x_train.shape, digits.classes
((1198, 8, 8, 1), 10)
>>> x, y = digits.batches("train", 64, seed=1, epoch=0, augment=["crop:1", "rotation:10"])[0]
"""

from bnn_tf.data import cifar as cifar
from bnn_tf.data import digits as digits
from bnn_tf.data import flowers as flowers
from bnn_tf.data import folder as folder
from bnn_tf.data import mnist as mnist
from bnn_tf.data.augmentation import AUGMENTATIONS, Augmentation, augmentation, predict_ten_crops, ten_crops
from bnn_tf.data.dataset import Dataset, Images
from bnn_tf.data.files import DataFileError, MissingDataError, data_folder
from bnn_tf.data.folder import load_folder
from bnn_tf.data.images import ImageFiles
from bnn_tf.data.pipeline import Batches
from bnn_tf.data.registry import Source, list_datasets, load, source

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Batches",
    "DataFileError",
    "Dataset",
    "ImageFiles",
    "Images",
    "MissingDataError",
    "Source",
    "augmentation",
    "data_folder",
    "list_datasets",
    "load",
    "load_folder",
    "predict_ten_crops",
    "source",
    "ten_crops",
]
