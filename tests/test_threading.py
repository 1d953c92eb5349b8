"""The threads of the ops: whose they are, how many there are, and that results don't depend on them."""

import json

import pytest

THREADS = 3

# One process for each way: the environment is read once. TensorFlow's own threads are there before the first binary op.
SCRIPT = """
import hashlib
import json
import os
import threading

import numpy as np
import tensorflow as tf

from bnn_tf import ops

tf.config.threading.set_intra_op_parallelism_threads(4)
rng = np.random.default_rng(0)
x, kernel = rng.normal(size=(4, 14, 14, 64)).astype("float32"), rng.normal(size=(3, 3, 64, 96)).astype("float32")


def call():
    both = ops.binary_conv2d(x, kernel), ops.binary_conv_input2d(x, kernel)
    return hashlib.sha256(b"".join(y.numpy().tobytes() for y in both)).hexdigest()


def count():
    return len(os.listdir("/proc/self/task"))


tf.nn.conv2d(x, kernel, 1, "SAME")
before = count()
answers = [call() for _ in range(20)]
started = count() - before

callers = [threading.Thread(target=lambda: answers.extend(call() for _ in range(10))) for _ in range(4)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
print(json.dumps({"info": ops.backend_info(), "started": started, "answers": answers}))
"""


@pytest.fixture(scope="module")
def reports(run_python):
    return {
        way: json.loads(run_python(SCRIPT, BNN_TF_THREADING=way, OMP_NUM_THREADS=str(THREADS)))
        for way in ("", "tensorflow", "openmp")
    }


def test_the_way_that_is_chosen_is_the_one_reported(reports):
    chosen = {way: report["info"]["threading"] for way, report in reports.items()}
    assert chosen == {"": "tensorflow", "tensorflow": "tensorflow", "openmp": "openmp"}
    assert {report["info"]["threads"] for report in reports.values()} == {THREADS}


def test_no_way_and_no_caller_beside_another_changes_a_bit(reports):
    answers = [answer for report in reports.values() for answer in report["answers"]]
    assert len(answers) == 3 * 60
    assert len(set(answers)) == 1


def test_calls_bring_only_the_threads_of_their_way(reports):
    started = {way: report["started"] for way, report in reports.items()}
    # A team of OpenMP's has the caller as its first; TensorFlow's pool has them all already.
    assert started == {"": 0, "tensorflow": 0, "openmp": THREADS - 1}


def test_an_unknown_way_is_an_error_that_lists_the_names(run_python):
    code = """
import numpy as np
import tensorflow as tf
from bnn_tf import ops

try:
    ops.binary_dense(np.ones((2, 3), "float32"), np.ones((3, 4), "float32"))
except (ValueError, tf.errors.InvalidArgumentError) as error:
    print(error)
"""
    said = run_python(code, BNN_TF_THREADING="pthreads")
    assert 'BNN_TF_THREADING: unknown threads "pthreads". Expected one of: tensorflow, openmp' in said
