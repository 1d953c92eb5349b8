"""A Jupyter kernel of this interpreter in which the warnings of bnn_tf are errors; execute.py starts it."""

import warnings

from ipykernel.kernelapp import launch_new_instance

warnings.filterwarnings("error", module=r"bnn_tf(\.|$)")
launch_new_instance()
