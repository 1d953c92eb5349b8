"""Where figures were measured: what makes them repeatable, or explains why they can't be."""

import platform
from importlib import metadata
from typing import Any

import keras

import bnn_tf
from bnn_tf.errors import ArgumentError
from bnn_tf.machine import cpu_count, cpu_name


def environment() -> dict[str, Any]:
    """Versions, backend and processor, as JSON takes them.

    Raises:
        ArgumentError: a ValueError, where BNN_TF_ISA names what this machine doesn't have.
    """
    try:
        backend = bnn_tf.ops.backend_info()
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return {
        "bnn_tf": bnn_tf.__version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in ("tensorflow", "keras", "numpy")},
        "keras_backend": keras.backend.backend(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": cpu_count(),
        "backend": backend,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
