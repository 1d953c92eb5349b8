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
def progress_bar(label: str) -> Iterator[keras.callbacks.Callback]:
    """A callback for `fit` that shows the progress; on leaving, by an exception too, the terminal is as it was."""
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(label, progress)


class _Bar(keras.callbacks.Callback):
    """Moves one task of a rich progress display, a step a batch."""

    def __init__(self, label: str, progress: Progress):
        super().__init__()
        self._label, self._progress = label, progress
        self._task = progress.add_task(label, total=None, status="")
        self._accuracy = ""

    def on_train_begin(self, logs: Logs = None) -> None:
        steps = self.params["steps"]
        self._progress.update(self._task, total=steps * self.params["epochs"] if steps else None)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._progress.update(self._task, description=f"{self._label} {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._show(logs, advance=1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._accuracy = f", test accuracy {float((logs or {})['val_accuracy']):.2%}"
        self._show(logs)

    def _show(self, logs: Logs, advance: int = 0) -> None:
        status = f"loss {float((logs or {}).get('loss', 0)):.3f}{self._accuracy}"
        self._progress.update(self._task, advance=advance, status=status)


class _Lines(keras.callbacks.Callback):
    """Prints a line after each epoch."""

    def __init__(self, label: str):
        super().__init__()
        self._label = label

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        print(
            f"{self._label} epoch {epoch + 1}/{self.params['epochs']}: loss {float(logs['loss']):.3f}, "
            f"test accuracy {float(logs['val_accuracy']):.2%}, {time.perf_counter() - self._start:.1f} s",
            file=sys.stderr,
            flush=True,
        )
