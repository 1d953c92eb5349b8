"""What every notebook begins with: the switch, data sets that may be missing, and how pictures are shown.

    from start import THOROUGH, load

`BNN_TF_THOROUGH=1` in the environment is the switch; README.md says what it does.
"""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
THOROUGH = os.environ.get("BNN_TF_THOROUGH") == "1"

sys.path.append(str(ROOT))  # the plans and tables of `experiments`, and bnn_tf itself where it isn't installed

from matplotlib_inline.backend_inline import set_matplotlib_formats  # noqa: E402

from bnn_tf import data  # noqa: E402
from bnn_tf.commands.quiet import quiet_tensorflow  # noqa: E402

# bnn_tf.plots returns figures: one that is a cell's last value, or is given to `display`, is shown as this says.
set_matplotlib_formats("png", dpi=72)

os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # or there would be no quiet
with quiet_tensorflow():
    # From 3 on nothing is logged: what oneDNN leaves to other libraries is logged as an error. Python raises its own.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras  # noqa: F401

# TensorFlow advises against predicting with many models in one program, which is what notebooks are for; it sets its
# level when it is imported. matplotlib says that it lists the fonts when it runs for the first time.
for chatter in ("tensorflow", "matplotlib.font_manager"):
    logging.getLogger(chatter).setLevel(logging.ERROR)


def load(name: str, train: int | None = None, test: int | None = None, **options: Any) -> data.Dataset:
    """A data set, or so many images of it; the digits where its files aren't on the machine.

    Args:
        name: what `bnn_tf.data.load` takes; or a folder of class folders, inside that of the data sets.
        train, test: how many images to draw for the fast form; all by default, and in the thorough form, which also
            downloads what is missing where that can be had.
        **options: of `bnn_tf.data.load`.
    """
    found = _load(name, options)
    if found is None:
        print(f"The data set {name} isn't on this machine, so the digits stand in for it: 8×8 pixels, grey.")
        found = data.load("digits")
    return found if THOROUGH else _drawn(_drawn(found, "train", train), "test", test)


def _load(name: str, options: dict[str, Any]) -> data.Dataset | None:
    folder = data.data_folder()
    if name not in data.list_datasets():
        return data.load(str(folder / name), **options) if (folder / name).is_dir() else None
    source = data.source(name)
    here = all((folder / file).exists() or (folder / file.removesuffix(".gz")).exists() for file in source.files)
    if not here and not (THOROUGH and source.downloaded):
        return None
    try:
        return data.load(name, **options)
    except data.MissingDataError:  # nor can they be downloaded
        return None


def _drawn(dataset: data.Dataset, part: str, count: int | None) -> data.Dataset:
    if count is None or count >= dataset.count(part):
        return dataset
    chosen = np.sort(np.random.default_rng(0).choice(dataset.count(part), count, replace=False))
    images, labels = dataset.images(part)[chosen], dataset.labels(part)[chosen]
    return replace(dataset, **{f"x_{part}": images, f"y_{part}": labels})
