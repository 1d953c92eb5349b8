"""Image files that read like an array: decoded, resized and cropped when they are indexed, never all at once.

    files.shape           (images, height, width, channels)
    files[[3, 1, 4]]      uint8 [3, height, width, channels]; only these three are read

An image is scaled until its short side fits, and the centre is cut out of it: no picture is distorted.
"""

import hashlib
import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from bnn_tf.data.files import DataFileError
from bnn_tf.errors import ArgumentError

# Fewer than these aren't worth starting threads for.
_ALONE = 4
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class ImageFiles:
    """Pictures of one size, in files; in the place of an array `[images, height, width, channels]` of uint8.

    Attributes:
        paths: the files, in order.
        size: (height, width) of what is cut out.
        short_side: pixels to which the shorter side is scaled before; at least the larger of `size`.
        channels: 3 for RGB, 1 for grey.
    """

    paths: tuple[Path, ...]
    size: tuple[int, int]
    short_side: int
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of the array that it stands for."""
        return (len(self.paths), *self.size, self.channels)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """As of the array that it stands for."""
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """What the array would take."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> npt.NDArray[np.uint8]:
        if isinstance(index, (int, np.integer)):
            return self._decode(self.paths[index])
        chosen = np.arange(len(self))[index]
        out = np.empty((len(chosen), *self.size, self.channels), np.uint8)

        def fill(place: int) -> None:
            out[place] = self._decode(self.paths[chosen[place]])

        if len(chosen) < _ALONE:
            for place in range(len(chosen)):
                fill(place)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without Python's lock.
                list(pool.map(fill, range(len(chosen))))
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = self[:]
        return array if dtype is None else array.astype(dtype, copy=False)

    def subset(self, chosen: npt.ArrayLike) -> "ImageFiles":
        """The files at those places, in that order; none is read."""
        return replace(self, paths=tuple(self.paths[place] for place in np.asarray(chosen, np.int64)))

    def digest(self) -> str:
        """A key that changes with any file (by path, size and time of change) and with how it is cut."""
        text = hashlib.sha256(repr((self.size, self.short_side, self.channels)).encode())
        for path in self.paths:
            status = path.stat()
            text.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return text.hexdigest()

    def _decode(self, path: Path) -> npt.NDArray[np.uint8]:
        picture = _open(path, _MODES[self.channels])
        height, width = self.size
        scale = self.short_side / min(picture.size)
        scaled = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
        if scaled != picture.size:
            picture = picture.resize(scaled, Image.Resampling.BILINEAR)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        array = np.asarray(picture.crop((left, top, left + width, top + height)))
        return array.reshape(height, width, self.channels)


def image_files(
    paths: Sequence[Path], size: int | tuple[int, int], short_side: int | None = None, channels: int = 3
) -> ImageFiles:
    """Image files as one array of pictures of the same size.

    Args:
        paths: of the files.
        size: (height, width) of what is cut out, or one number for both.
        short_side: pixels to which the shorter side is scaled before; by default 8/7 of `size`: 256 for 224.
        channels: 3 or 1.

    Returns:
        An `ImageFiles`.

    Raises:
        ArgumentError: a ValueError, for sizes that are no sizes, or a `short_side` that leaves less than `size`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ArgumentError(f"`size` must be one or two numbers from 1, height and width. Got {size!r}.")
    if short_side is None:
        short_side = round(max(height, width) * 8 / 7)
    if short_side < max(height, width):
        raise ArgumentError(f"`short_side` must be at least the {max(height, width)} of `size`. Got {short_side}.")
    if channels not in _MODES:
        raise ArgumentError(f"`channels` must be 3 (RGB) or 1 (grey). Got {channels!r}.")
    return ImageFiles(tuple(paths), (height, width), short_side, channels)


def _open(path: Path, mode: str) -> Image.Image:
    """The picture in `path`, upright, in that mode.

    Raises:
        DataFileError: names the file and tells a truncated one from one that is no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                upright = ImageOps.exif_transpose(picture)
                if "transparency" in upright.info:  # What a palette says about transparency needs four channels first.
                    upright = upright.convert("RGBA")
                return upright.convert(mode)
    except FileNotFoundError:
        raise DataFileError(f"{path} is gone: it was there when the data set was opened. Put it back.") from None
    except PermissionError:
        raise DataFileError(f"{path} may not be read. Change its permissions.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataFileError(f"{path} is refused: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow raises any of these, by format and by place of the damage.
        state = "truncated" if "truncated" in str(error) or isinstance(error, EOFError) else "no readable picture"
        raise DataFileError(f"{path} is {state}: {error}. Delete or replace it.") from None
