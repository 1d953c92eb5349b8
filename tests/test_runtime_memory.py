"""What a packed network takes of a machine's memory, in real processes."""

import sys

import pytest

import bnn_tf
from bnn_tf import models

PEAK = """
import numpy as np
{work}
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(int(status["VmHWM"].split()[0]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resnet18_takes_less_than_60_mb(run_python, tmp_path):
    path = bnn_tf.pack(models.bireal_resnet18(), tmp_path / "net.bnn").path
    run = f"""
from bnn_tf.runtime import PackedModel
model = PackedModel({str(path)!r}, threads=2)
x = np.linspace(-1, 1, 224 * 224 * 3, dtype=np.float32).reshape(1, 224, 224, 3)
assert [np.isfinite(model.predict(x)).all() for _ in range(3)] == [True] * 3
"""
    bare, with_model = (int(run_python(PEAK.format(work=work))) for work in ("", run))
    assert with_model - bare < 60 * 1024
