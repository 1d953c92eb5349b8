"""From a data set to batches: the order by (seed, epoch), a share for each process, augmentation, normalisation.

A step's images follow from its number, so that a resumed run goes on with the very batches that it would have had.
Nothing here needs TensorFlow; `tf_dataset` hands the same batches to `tf.data`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from bnn_tf.data.augmentation import Augmentation, augmentation
from bnn_tf.data.dataset import Dataset
from bnn_tf.errors import ArgumentError

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
# Batches that are prepared while one is trained on.
_AHEAD = 2


def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of `count` images in an epoch: a permutation that (seed, epoch) alone decide."""
    return np.random.default_rng((seed, epoch)).permutation(count)


class Batches(Sequence[Batch]):
    """One epoch of a data set; see `Dataset.batches`."""

    def __init__(
        self,
        dataset: Dataset,
        part: str,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        augment: Augmentation | Sequence[Any] | str | None = None,
        shard: tuple[int, int] = (0, 1),
        drop_remainder: bool = False,
        shuffle: bool | None = None,
    ):
        self._images, self._labels = dataset.images(part), dataset.labels(part)
        self._dataset, self._part = dataset, part
        self._batch_size, self._seed, self._epoch, self._shard = batch_size, seed, epoch, shard
        self._augment = augmentation(augment)
        self._shuffle = part == "train" if shuffle is None else shuffle
        _check(batch_size, seed, epoch, shard)
        full, rest = divmod(len(self._labels), batch_size)
        if rest and not drop_remainder and rest < shard[1]:
            raise ArgumentError(
                f"The last batch has {rest} of {len(self._labels)} images, and {shard[1]} shards have to share it. "
                "Choose another batch size or drop_remainder=True."
            )
        self._steps = full + (rest > 0 and not drop_remainder)
        self._augment.check(dataset)

    def __len__(self) -> int:
        return self._steps

    def indices(self, step: int) -> npt.NDArray[np.int64]:
        """Which images of the part make up a step of this shard."""
        if not -self._steps <= step < self._steps:
            raise IndexError(f"step {step} of {self._steps}")
        start = step % self._steps * self._batch_size
        index, count = self._shard
        return self._order[start : start + self._batch_size][index::count]

    @overload
    def __getitem__(self, step: int) -> Batch: ...
    @overload
    def __getitem__(self, step: slice) -> list[Batch]: ...
    def __getitem__(self, step: int | slice) -> Batch | list[Batch]:
        if isinstance(step, slice):
            return [self[number] for number in range(*step.indices(self._steps))]
        chosen = self.indices(step)
        x: Any = self._images[chosen]
        if self._part == "train":
            x = self._augment(x, chosen, self._seed, self._epoch, self._dataset.statistics)
        else:
            x = self._augment.at_test(x)
        return self._dataset.normalize(x), self._labels[chosen]

    def __iter__(self) -> Iterator[Batch]:
        return self.from_step(0)

    def from_step(self, step: int) -> Iterator[Batch]:
        """The batches from that one on, each prepared by a thread while those before it are in use."""
        pool = ThreadPoolExecutor(1)
        try:
            waiting: deque[Future[Batch]] = deque()
            for number in range(step, self._steps):
                waiting.append(pool.submit(self.__getitem__, number))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        count = len(self._labels)
        return epoch_order(count, self._seed, self._epoch) if self._shuffle else np.arange(count)


def tf_dataset(dataset: Dataset, part: str, batch_size: int, epochs: int = 1, **options: Any) -> Any:
    """See `Dataset.tf_dataset`."""
    import tensorflow as tf

    if epochs < 1:
        raise ArgumentError(f"`epochs` must be at least 1. Got {epochs}.")
    first = options.pop("epoch", 0)
    options["augment"] = augmentation(options.get("augment"))
    every = [dataset.batches(part, batch_size, epoch=first + number, **options) for number in range(epochs)]
    steps = len(every[0])
    shape = options["augment"].output_shape(dataset.input_shape)

    def batch(number: Any) -> Any:
        x, y = tf.numpy_function(lambda step: every[step // steps][step % steps], [number], (tf.float32, tf.int64))
        return tf.ensure_shape(x, (None, *shape)), tf.ensure_shape(y, (None,))

    numbers = tf.data.Dataset.range(steps * epochs)
    return numbers.map(batch, num_parallel_calls=_AHEAD, deterministic=True).prefetch(_AHEAD)


def _check(batch_size: int, seed: int, epoch: int, shard: tuple[int, int]) -> None:
    if batch_size < 1:
        raise ArgumentError(f"`batch_size` must be at least 1. Got {batch_size}.")
    if seed < 0 or epoch < 0:
        raise ArgumentError(f"`seed` and `epoch` must be at least 0. Got {seed} and {epoch}.")
    index, count = shard
    if not 0 <= index < count <= batch_size:
        raise ArgumentError(
            f"`shard` must be (index, count) with 0 <= index < count, and count at most the {batch_size} images of a "
            f"batch. Got {shard}."
        )
