"""Public weights for the float forms: from a file of arrays by layer, or from Keras Applications.

A file from elsewhere is data: what it says is checked against the network, and no code in it is run.
"""

import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

from bnn_tf.errors import ArgumentError

Weights = str | os.PathLike[str]

# What a pickled dictionary of arrays is made of, in the files of NumPy 1 and 2 and of Python 2 and 3.
_HARMLESS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),
} | {
    (f"numpy.{core}.multiarray", "_reconstruct"): lambda kind, shape, dtype: np.ndarray(shape, dtype)
    for core in ("core", "_core")
}


class _Unpickler(pickle.Unpickler):
    """Refuses whatever isn't an array."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return _HARMLESS[module, name]


def read_arrays(network: str, path: Weights) -> dict[str, list[np.ndarray]]:
    """Reads a `.npy` file that holds a dictionary, layer → [weights, biases], such as `bvlc_alexnet.npy`.

    Such a file is a pickle, which could run any code: this reader makes nothing but arrays.

    Args:
        network: who asks, for the error.
        path: of the file.

    Returns:
        The dictionary.

    Raises:
        ArgumentError: a ValueError, for a file that isn't there or holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            arrays = _unpickled(file)
        return {str(layer): [np.asarray(array) for array in values] for layer, values in arrays.items()}
    except Exception as error:  # a broken pickle may raise any
        raise ArgumentError(
            f"{network}: can't read the weights {os.fspath(path)!r}: {error}. Expected a .npy file of a dictionary, "
            "layer → [weights, biases], such as the public bvlc_alexnet.npy."
        ) from error


def _unpickled(file: BinaryIO) -> dict[str, Any]:
    major, _ = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    _, _, dtype = read_header(file)
    if not dtype.hasobject:
        raise ValueError(f"it holds one array of {dtype}")
    content = _Unpickler(file, encoding="latin1").load()
    found = content.item() if isinstance(content, np.ndarray) and content.size == 1 else content
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


def set_weights(network: str, layer: keras.Layer, values: list[np.ndarray], *, hint: str) -> None:
    """Gives a layer its weights.

    Raises:
        ArgumentError: a ValueError, where the shapes differ; `hint` says what would fit.
    """
    expected = [tuple(variable.shape) for variable in layer.weights]
    found = [tuple(value.shape) for value in values]
    if found != expected:
        raise ArgumentError(
            f"{network}: the pretrained weights of layer {layer.name!r} have the shapes {found}, the network's have "
            f"{expected}. {hint}"
        )
    layer.set_weights(values)


def check_float(network: str, scheme: str) -> None:
    """Raises an ArgumentError where pretrained weights are asked for in a binary form."""
    if scheme != "float":
        raise ArgumentError(
            f"{network}: pretrained weights are those of the float form. Got scheme={scheme!r}. Build it with "
            f'scheme="float" and make its binary twin with bnn_tf.binarize(model, {scheme!r}).'
        )


def application(network: str, name: str, weights: Weights, **options: Any) -> keras.Model:
    """A model of Keras Applications with its weights.

    Args:
        network: who asks, for the error.
        name: of the function in `keras.applications`, "VGG16" for one.
        weights: "imagenet", which Keras downloads, or the path of a weights file.
        **options: what that function takes besides.

    Returns:
        The model.

    Raises:
        ArgumentError: a ValueError, where the weights can't be had.
    """
    try:
        return getattr(keras.applications, name)(weights=os.fspath(weights), **options)
    except Exception as error:  # Keras raises a bare Exception where the download fails
        raise ArgumentError(
            f"{network}: can't load the weights {os.fspath(weights)!r}: {error} Expected 'imagenet', which Keras "
            "downloads once and keeps in ~/.keras/models, or the path of a file with the weights of "
            f"keras.applications.{name}: without a network, fetch it elsewhere and pass weights=PATH."
        ) from error
