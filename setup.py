"""Builds the shared objects with CMake; everything else stands in pyproject.toml.

BNN_TF_RUNTIME_ONLY=1 builds the runtime of packed models alone, which needs NumPy and nothing else.
"""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "cmake"))

from build_backend import runtime_only  # noqa: E402  it is on the path since the line above

TARGETS = ("_core",) if runtime_only() else ("_core", "_tf_ops")


def tensorflow_requirement() -> str:
    """The installed TensorFlow's minor version, the one that the compiled ops will serve."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            major, minor, *_ = metadata.version(name).split(".")
        except metadata.PackageNotFoundError:
            continue
        return f"{name}=={major}.{minor}.*"
    raise SystemExit(
        f"bnn_tf is compiled against TensorFlow, and {sys.executable} has none. "
        "Install it first (pip install tensorflow), or let pip do so by leaving out --no-build-isolation; "
        "the runtime of packed models alone, with BNN_TF_RUNTIME_ONLY=1, needs none."
    )


def requirements() -> list[str]:
    """What the package needs when it is used."""
    if runtime_only():
        return ["numpy"]
    return [
        tensorflow_requirement(),
        "keras>=3.15",
        "numpy",
        "scipy",
        "pillow",
        "matplotlib",
        "jinja2",
        "rich",
        "scikit-learn",
        "threadpoolctl",
        "typing_extensions",
    ]


def version() -> str:
    """The package's, marked where it is the runtime alone: pip then knows the two apart."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "bnn_tf" / "__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("bnn_tf/__init__.py has no line __version__ = ...")
    return found[1] + ("+runtime" if runtime_only() else "")


class CMakeBuild(build_ext):
    """`bnn_tf._core` and `bnn_tf._tf_ops`, with the note of what they were built with beside them."""

    def get_ext_filename(self, fullname: str) -> str:
        # TensorFlow's library is loaded by its path: it is no Python module and has no Python's suffix.
        return "bnn_tf/_tf_ops.so" if fullname.endswith("_tf_ops") else super().get_ext_filename(fullname)

    def build_extensions(self) -> None:
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        ops = f"-DBNN_TF_OPS={'OFF' if runtime_only() else 'ON'}"
        cmake(f"-DPython_EXECUTABLE={sys.executable}", ops, "-S", ROOT, "-B", self.cmake_dir())
        cmake("--build", self.cmake_dir(), "--parallel", jobs, "--target", *TARGETS)
        cmake("--install", self.cmake_dir(), "--component", "bnn_tf", "--prefix", Path(self.build_lib).resolve())

    def copy_extensions_to_source(self) -> None:
        """Of an editable install: the objects live in the source tree."""
        cmake("--install", self.cmake_dir(), "--component", "bnn_tf", "--prefix", ROOT)

    def cmake_dir(self) -> Path:
        # Editable: kept for the next build. A wheel: its own, since pip deletes the TensorFlow that it built against.
        return ROOT / "build" if self.editable_mode else Path(self.build_temp).resolve()


def cmake(*arguments: "str | Path") -> None:
    subprocess.run(["cmake", *map(str, arguments)], check=True)


setup(
    version=version(),
    ext_modules=[Extension(f"bnn_tf.{target}", sources=[]) for target in TARGETS],
    cmdclass={"build_ext": CMakeBuild},
    install_requires=requirements(),
)
