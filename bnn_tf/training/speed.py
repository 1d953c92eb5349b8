"""How many images a second a model takes."""

import time
from typing import Any

import keras

_SECONDS = 0.5
_BATCH = 256


def images_per_second(model: keras.Model, x: Any) -> float:
    """Inference over batches of at most 256 of the images `x`: the best of several passes, compilation excluded.

    The graph is traced anew, so a surrounding `bnn_tf.ops.composed_path()` counts. The best pass is the one that other
    programs disturbed least.
    """
    batch = x[:_BATCH]
    model.make_predict_function(force=True)
    try:
        model.predict_on_batch(batch)
        best, until = float("inf"), time.perf_counter() + _SECONDS
        while (start := time.perf_counter()) < until:
            model.predict_on_batch(batch)
            best = min(best, time.perf_counter() - start)
    finally:
        model.predict_function = None  # Whoever predicts next traces on the path of that time.
    return len(batch) / best
