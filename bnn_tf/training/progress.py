"""How far a training has come: a bar on a terminal, a line an epoch elsewhere; both on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Logs = dict[str, Any] | None


@contextmanager
def progress_bar(label: str, images: int, first_epoch: int = 0) -> Iterator[keras.callbacks.Callback]:
    """A callback for `fit` that shows the progress; on leaving, by an exception too, the terminal is as it was.

    Args:
        label: what stands in front.
        images: of an epoch.
        first_epoch: the number of the first epoch, from 0.
    """
    if not sys.stderr.isatty():
        yield _Lines(label, images)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(label, images, first_epoch, progress)


class _Rate(keras.callbacks.Callback):
    """Measures the images a second of the epoch under way, validation excluded."""

    def __init__(self, label: str, images: int):
        super().__init__()
        self._label, self._images = label, images

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start, self._share, self._rate = time.perf_counter(), 0.0, 0.0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._share = (batch + 1) / self.params["steps"]
        self._rate = self._share * self._images / max(time.perf_counter() - self._start, 1e-9)


class _Bar(_Rate):
    """Moves one task of a rich progress display, a step a batch."""

    def __init__(self, label: str, images: int, first_epoch: int, progress: Progress):
        super().__init__(label, images)
        self._first_epoch, self._progress = first_epoch, progress
        self._task = progress.add_task(label, total=None, status="")
        self._accuracy = ""

    def on_train_begin(self, logs: Logs = None) -> None:
        epochs = self.params["epochs"] - self._first_epoch
        self._progress.update(self._task, total=self.params["steps"] * epochs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_begin(epoch)
        self._progress.update(self._task, description=f"{self._label} {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(batch)
        self._show(logs, advance=1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._accuracy = f", test accuracy {float((logs or {})['val_accuracy']):.2%}"
        self._show(logs)

    def _show(self, logs: Logs, advance: int = 0) -> None:
        status = f"loss {float((logs or {}).get('loss', 0)):.3f}{self._accuracy}, {self._rate:,.0f} images/s"
        self._progress.update(self._task, advance=advance, status=status)


class _Lines(_Rate):
    """Prints a line after each epoch."""

    def __init__(self, label: str, images: int):
        super().__init__(label, images)
        self._begun: float | None = None
        self._done = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_begin(epoch)
        self._begun = self._begun or self._start

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        now, epochs = time.perf_counter(), self.params["epochs"]
        self._done += 1
        left = (now - (self._begun or now)) / self._done * (epochs - epoch - 1)
        print(
            f"{self._label} epoch {epoch + 1}/{epochs}: loss {float(logs['loss']):.3f}, "
            f"test accuracy {float(logs['val_accuracy']):.2%}, {now - self._start:.1f} s, "
            f"{self._rate:,.0f} images/s, {_duration(left)} left",
            file=sys.stderr,
            flush=True,
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
