"""The asker's side of the conversation with an engine (`worker.py` is the other): a process, its death, its silence."""

import functools
import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class EngineError(Exception):
    """An engine can't, or has died, or is silent."""


class Engine:
    """A process that times ops.

    Args:
        label: what the table calls it: "" or an instruction set.
        module: its program, `benchmarks.engines.<module>`.
        names: the ops that it is asked for.
        python: the interpreter.
        environment: variables over the present ones.
        cpus: it may run on; None for all.
    """

    def __init__(
        self,
        module: str,
        names: Sequence[str],
        python: str,
        label: str = "",
        environment: Mapping[str, str] | None = None,
        cpus: Sequence[int] | None = None,
    ):
        self.module, self.names, self.label = module, tuple(names), label
        self._command = [python, "-m", f"benchmarks.engines.{module}"]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1", **(environment or {})}
        self._cpus = cpus
        self._process: Any = None
        self._unread = b""
        self._deaths = 0

    def __str__(self) -> str:
        return f"{self.module} {self.label}".strip()

    def figure(self, name: str, part: str = "") -> str:
        """What the results call a figure: "xnor/avx512", "openvino_binary", "openvino_binary/kernel"."""
        return "/".join(filter(None, (name, self.label, part)))

    def ask(self, timeout: float = 300.0, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            EngineError: where there is none. A dead engine is started again by the next request, three times.
        """
        if self._process is None:
            self._start()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._read_line(time.monotonic() + timeout))
        except (OSError, EngineError) as error:
            last_words = self._last_words()
            self._deaths += 1
            self.close()
            raise EngineError(f"{self}: {error}{f' ({last_words})' if last_words else ''}") from None
        if "error" in answer:
            raise EngineError(f"{self}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._errors.close()
        self._process, self._unread = None, b""

    def _start(self) -> None:
        if self._deaths >= 3:
            raise EngineError(f"{self}: it died {self._deaths} times and is not started again")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 It lives as long as the process.
        pin = None if self._cpus is None else functools.partial(os.sched_setaffinity, 0, self._cpus)
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=ROOT,
                env=self._environment,
                preexec_fn=pin,
            )
        except OSError as error:
            self._deaths += 1
            self._errors.close()
            raise EngineError(f"{self}: {self._command[0]}: {error.strerror}") from None

    def _read_line(self, until: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise EngineError("it didn't answer in time")
                part = os.read(self._process.stdout.fileno(), 65536)
                if not part:
                    raise EngineError(f"it ended with status {self._process.wait()}")
                self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""
