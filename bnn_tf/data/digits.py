"""The handwritten digits that come with scikit-learn: 1797 real images of 8×8 pixels, no download.

Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998 (its test
part).
"""

from pathlib import Path

import numpy as np

from bnn_tf.data.dataset import Dataset
from bnn_tf.data.registry import register

# Part of the definition of the set: the published accuracies are those of this split.
_SPLIT_SEED = 0


@register("digits", "1,797 handwritten digits, 8×8×1, from scikit-learn; a third is held out")
def digits(folder: Path) -> Dataset:
    """Pixels 0..16; a third is held out for testing, drawn once and for all, with each class in proportion."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8, 1).astype(np.uint8)
    x_train, x_test, y_train, y_test = train_test_split(
        images, y.astype(np.int64), test_size=1 / 3, stratify=y, random_state=_SPLIT_SEED
    )
    return Dataset("digits", x_train, y_train, x_test, y_test, tuple("0123456789"))
