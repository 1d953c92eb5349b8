"""Reading the pickles of the CIFAR sets without running what a pickle may contain.

A pickle is a program that calls any function it names. This reader knows the few names that an array of NumPy needs,
and gives each to a stand-in here, so that not even NumPy's own constructors are called; any other name is refused.
Pickles of Python 2 and 3 and of NumPy 1 and 2 are read, protocols 0 to 5.
"""

import io
import math
import pickle
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"u1": np.uint8, "i4": np.int32, "i8": np.int64}


class PickleError(ValueError):
    """A pickle that can't be read; `truncated` where all that is wrong is that its end is missing."""

    def __init__(self, message: str, truncated: bool = False):
        super().__init__(message)
        self.truncated = truncated


def loads(content: bytes) -> Any:
    """What a pickle holds: dicts, lists, numbers, strings (those of Python 2 as bytes) and arrays.

    Raises:
        PickleError: a ValueError; for a truncated or corrupt pickle, and for one that names anything else.

    Example:

    >>> loads(pickle.dumps({b"data": np.zeros((2, 3), np.uint8)}))[b"data"].shape
    (2, 3)
    """
    try:
        return _arrays(_Reader(io.BytesIO(content), encoding="bytes").load())
    except PickleError:
        raise
    except EOFError:
        raise PickleError("it ends inside a value", truncated=True) from None
    except pickle.UnpicklingError as error:
        truncated = "truncated" in str(error) or "exhausted" in str(error)
        raise PickleError(f"{error}", truncated) from None
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        struct.error,
        MemoryError,
        RecursionError,
    ) as error:
        # Damaged bytes are another program, and this may go wrong in any way.
        raise PickleError(f"it is no pickle of arrays ({type(error).__name__}: {error})") from None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise PickleError(f"it asks for {module}.{name}, which data has no need of: don't trust its origin")
        return _STAND_INS[module, name]


class _Dtype:
    """In the place of numpy.dtype: one of the few types that are in use."""

    def __init__(self, name: str | bytes, *_: Any):
        text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        if text.lstrip("<|") not in _TYPES:
            raise PickleError(f"it has an array of type {text!r}; expected one of {', '.join(_TYPES)}")
        self.type = np.dtype(_TYPES[text.lstrip("<|")])

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|", "=", b"<", b"|", b"="):
            raise PickleError(f"it has an array of byte order {state[1]!r}")


class _Array:
    """In the place of numpy.ndarray: takes its shape, type and bytes."""

    value: npt.NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype, shape, "F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: _Dtype, shape: Any, order: str) -> npt.NDArray[Any]:
    return _array(content, dtype, shape, order)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as protocols 0 to 2 of Python 3 write them."""
    if encoding != "latin1":
        raise PickleError(f"it has bytes in the encoding {encoding!r}")
    return text.encode("latin-1")


def _array(content: Any, dtype: _Dtype, shape: Any, order: str) -> npt.NDArray[Any]:
    if isinstance(content, str):  # Protocol 0 of Python 2, read as text
        content = content.encode("latin-1")
    expected = math.prod(shape) * dtype.type.itemsize
    if len(content) != expected:
        raise PickleError(f"its array of shape {tuple(shape)} needs {expected} bytes and has {len(content)}")
    return np.frombuffer(content, dtype.type).reshape(shape, order="F" if order == "F" else "C")


def _arrays(value: Any) -> Any:
    """The dict that was read, with arrays in the place of the stand-ins."""
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    return value.value if isinstance(value, _Array) else value


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}
