"""Ctrl-C during a training."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import keras


class Interruption(keras.callbacks.Callback):
    """Ends `fit` with KeyboardInterrupt after the batch in which Ctrl-C is pressed; pressed twice, at once.

    Without it, Python raises KeyboardInterrupt wherever the program happens to be. In a finalizer, of which TensorFlow
    has many, that is printed and forgotten, and the training goes on; while a graph is traced, it turns into
    another error.

    It is both the callback and the context manager around `fit` and what belongs to it. Outside of the main thread, and
    where the program handles Ctrl-C in its own way, it does nothing.
    """

    def __enter__(self) -> "Interruption":
        self._presses = 0
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._active = in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._active:
            signal.signal(signal.SIGINT, self._on_press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if error is None:
            self._raise()  # pressed after the last batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends here if Ctrl-C was pressed."""
        self._raise()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Likewise."""
        self._raise()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Likewise; the last of the callbacks does so after the epoch has been saved."""
        self._raise()

    def _on_press(self, number: int, frame: FrameType | None) -> None:
        self._presses += 1
        if self._presses > 1:
            self._raise()

    def _raise(self) -> None:
        if self._presses:
            raise KeyboardInterrupt
