"""What TFLearn's tests share: a graph of its own for each, and a session in it.

A file of tests names this in `pytest_plugins`: a second conftest.py would hide the first from `import`.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from conftest import SEED

from bnn_tf.frontends.tflearn import tflearn


@pytest.fixture(autouse=True)
def graph():
    """A new graph, seeded."""
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(SEED)
        np.random.seed(SEED)
        yield graph


@pytest.fixture
def run(graph):
    """Runs tensors in a session of the test's graph; its variables are initialised at the first call."""
    with tf.Session(graph=graph) as session:
        started = []

        def run(tensors, feed=None):
            if not started:
                started.append(session.run(tf.global_variables_initializer()))
            return session.run(tensors, feed)

        run.session = session
        yield run


@pytest.fixture
def image():
    """Makes an input of images, of unknown batch size."""
    return lambda *shape: tflearn.input_data([None, *shape])
