"""The machine that this process runs on: its processor, and the memory that the process takes."""

import os
import platform
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def cpu_name() -> str:
    """The processor as it names itself.

    Example:

    >>> print(cpu_name())
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def cpu_count() -> int | None:
    """How many processors this process may use.

    Example:

    >>> cpu_count() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def memory_bytes() -> int | None:
    """What this process has in memory now; None where the system doesn't say.

    Example:

    >>> memory_bytes() is None or memory_bytes() > 1_000_000
    True
    """
    return _status("VmRSS")


def peak_memory_bytes() -> int | None:
    """The most that this process had in memory, since its start or `forget_peak_memory`; None where nobody knows.

    Example:

    >>> peak_memory_bytes() is None or peak_memory_bytes() > 1_000_000
    True
    """
    return _status("VmHWM")


def forget_peak_memory() -> bool:
    """Makes the present the most so far; False where the system doesn't let a process do that.

    Example:

    >>> forget_peak_memory() in (True, False)
    True
    """
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(field: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    kibibytes = (int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    found = next(kibibytes, None)
    return None if found is None else 1024 * found
