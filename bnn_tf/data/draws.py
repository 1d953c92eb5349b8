"""Random numbers that belong to an image: (seed, epoch, stream, image) alone decide them.

A counter is hashed by the finisher of SplitMix64, so that a whole batch is drawn at once and a picture comes out the
same whichever batch, process or thread makes it.

Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
"""

import numpy as np
import numpy.typing as npt

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Draws:
    """Draws for a batch of images; each call gives the next, independent one.

    Args:
        seed: int from 0.
        epoch: int from 0.
        stream: tells apart those who draw for the same image.
        index: int64 `[images]`, the images' numbers in the data set.
    """

    def __init__(self, seed: int, epoch: int, stream: int, index: npt.NDArray[np.int64]):
        self._key = 0
        for word in (seed, epoch, stream):
            self._key = self._next_key(word)
        self._index = index.astype(np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return len(self._index)

    def uniform(self, low: float = 0, high: float = 1) -> npt.NDArray[np.float64]:
        """One number from `low` to below `high` for each image."""
        key = self._next_key(self._count)
        self._count += 1
        bits = _mix(self._index * np.uint64(_GOLDEN) + np.uint64(key))
        return low + (high - low) * (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, count: int) -> npt.NDArray[np.int64]:
        """One of 0..count-1 for each image."""
        return (self.uniform() * count).astype(np.int64)

    def normal(self) -> npt.NDArray[np.float64]:
        """One number of mean 0 and deviation 1 for each image, by Box and Muller."""
        radius = np.sqrt(-2 * np.log1p(-self.uniform()))
        return radius * np.cos(2 * np.pi * self.uniform())

    def _next_key(self, word: int) -> int:
        value = np.array([(self._key + (word + 1) * _GOLDEN) & _MASK], np.uint64)
        return int(_mix(value)[0])


def _mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64 bits in which each bit of the argument turns half of those of the result."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
