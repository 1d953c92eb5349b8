"""setuptools' build backend, asking for TensorFlow only where its ops are to be built.

BNN_TF_RUNTIME_ONLY=1 in the environment leaves the ops out: then neither the build nor the package needs TensorFlow.
"""

import os
from typing import Any

from setuptools.build_meta import *  # noqa: F403

# Its ops are compiled against it; a custom op serves the minor version that it was built for.
TENSORFLOW = "tensorflow==2.21.*"
RUNTIME_ONLY = "BNN_TF_RUNTIME_ONLY"


def runtime_only() -> bool:
    """Whether the runtime of packed models is wanted alone."""
    value = os.environ.get(RUNTIME_ONLY, "0")
    if value not in ("", "0", "1"):
        raise SystemExit(f"{RUNTIME_ONLY} must be 1 for the runtime alone, or 0. Got {value!r}.")
    return value == "1"


def _requirements(config_settings: Any = None) -> list[str]:
    return [] if runtime_only() else [TENSORFLOW]


# What the front end is to install besides pyproject.toml's `requires`.
get_requires_for_build_wheel = _requirements
get_requires_for_build_editable = _requirements
get_requires_for_build_sdist = _requirements
