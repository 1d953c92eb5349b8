"""Loading TensorFlow without its chatter."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from bnn_tf import loading, missing

# What TensorFlow's C++ logging writes while it loads, before TF_CPP_MIN_LOG_LEVEL has any effect on it.
_NOISE = re.compile(r"[IWE]\d{4} \d\d:|WARNING: All log messages before absl|\d{4}-\d\d-\d\d \S+ [IWE] ")


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """While TensorFlow loads, drops its chatter from standard error and keeps everything else; set
    TF_CPP_MIN_LOG_LEVEL yourself to see all of it.

    Raises:
        MissingPartError: where the runtime of packed models is installed alone.
    """
    if loading.runtime_only():
        missing.check("bnn_tf.ops", "this command")
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    # The C++ side writes to the descriptor itself.
    original = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
            import keras

            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401  Keras loads it, sooner or later, whatever its backend.
            keras.ops.zeros(())  # The first tensor makes TensorFlow look for GPUs, and say so.
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            sys.stderr.writelines(line for line in captured if not _NOISE.match(line))
