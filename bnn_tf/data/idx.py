"""The idx format of the MNIST family.

A big-endian header, then the elements, row-major:

    0, 0, type, rank | size of each dimension, uint32 each | elements

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998. Only type 0x08, unsigned bytes, is in
use.
"""

import math
import struct

import numpy as np
import numpy.typing as npt

_UINT8 = 8


class IdxError(ValueError):
    """Content that isn't what its header says; `truncated` where all that is wrong is that the end is missing."""

    def __init__(self, message: str, truncated: bool = False):
        super().__init__(message)
        self.truncated = truncated


def parse(content: bytes) -> npt.NDArray[np.uint8]:
    """The array in the decompressed content of an idx file: uint8 of the shape in its header, read-only.

    Raises:
        IdxError: a ValueError that says what is wrong with the content.
    """
    if len(content) < 4:
        raise IdxError(f"it ends inside its header, after {len(content)} bytes", truncated=True)
    zero, element_type, rank = struct.unpack(">HBB", content[:4])
    if zero != 0 or element_type != _UINT8 or not 1 <= rank <= 4:
        raise IdxError(f"it isn't an idx file of unsigned bytes: it begins with {content[:4]!r}")
    header_bytes = 4 + 4 * rank
    if len(content) < header_bytes:
        raise IdxError(f"it ends inside its header, after {len(content)} bytes", truncated=True)
    shape = struct.unpack(f">{rank}I", content[4:header_bytes])
    expected, found = math.prod(shape), len(content) - header_bytes
    if found != expected:
        size = "×".join(map(str, shape))
        raise IdxError(f"its header says {size} bytes of data, but {found} follow", truncated=found < expected)
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)
