"""The rules about who may know whom, read from the sources."""

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
import re

import pytest
from conftest import PACKAGE, ROOT

CORE = ROOT / "cc_ops" / "core"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not path.name.startswith("_build_info"))

# A part of the package and the other parts that it may import. Every part may import `errors`.
MAY_IMPORT = {
    "": {
        "binarizing",
        "convolutionizing",
        "counting",
        "freezing",
        "ops",
        "layers",
        "quantizers",
        "models",
        "data",
        "training",
        "packing",
        "exporting",
        "plots",
        "runtime",
        "loading",
        "missing",
    },
    "errors": set(),
    "missing": set(),
    "machine": set(),
    "text": set(),
    "quantizers": set(),
    "geometry": set(),
    "arguments": {"quantizers", "geometry"},
    "composed": {"quantizers", "geometry"},
    "native": {"arguments", "quantizers", "geometry"},
    "loading": {"_core", "_build_info"},
    "runtime": {"loading", "text"},
    "latency": {"machine", "runtime", "text"},
    "ops": {"arguments", "composed", "loading", "native", "quantizers", "geometry"},
    "layers": {"ops", "quantizers"},
    "cloning": set(),
    "freezing": {"cloning", "layers"},
    "binarizing": {"cloning", "layers", "models", "text"},
    "convolutionizing": {"cloning", "layers"},
    "counting": {"layers", "text"},
    "models": {"counting", "layers", "quantizers", "text"},
    "placing": set(),
    "packing": {"cloning", "counting", "layers", "ops", "placing"},
    "exporting": {
        "placing",
        "arguments",
        "cloning",
        "composed",
        "freezing",
        "geometry",
        "layers",
        "loading",
        "ops",
        "packing",
        "quantizers",
    },
    "data": set(),
    "plots": {"composed", "data", "layers", "quantizers"},
    "frontends": {"models", "ops", "quantizers"},
    "training": {"data", "frontends", "layers", "machine", "models", "ops", "plots", "quantizers", "text"},
    "bench": {"ops", "text"},
    "reporting": {"data", "plots", "training"},
    "commands": {
        "bench",
        "counting",
        "data",
        "exporting",
        "latency",
        "loading",
        "missing",
        "models",
        "packing",
        "reporting",
        "runtime",
        "training",
    },
    "cli": {"commands"},
}

# Written with Keras alone, so that they run on each of its backends.
KERAS_ONLY = {"quantizers", "geometry", "composed", "layers", "models"}
KERAS_ONLY |= {"cloning", "counting", "freezing", "binarizing", "convolutionizing", "packing"}


def part_of(path):
    """bnn_tf/layers/conv.py belongs to `layers`, bnn_tf/ops.py to `ops`, bnn_tf/__init__.py to the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(path):
    """Every import of a file, wherever it stands, as dotted names; after `import bnn_tf`, what it takes from there."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name != "bnn_tf")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "bnn_tf":
            yield f"bnn_tf.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level_imports(path):
    """What importing the file imports: not what its functions import when they run, nor what only type checkers see."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_there_are_sources():
    assert len(MODULES) > 8
    assert len(list(CORE.rglob("*.h"))) > 8


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_who_imports_whom(path):
    part = part_of(path)
    assert part in MAY_IMPORT, f"a new part of the package: say in MAY_IMPORT what `{part}` may import"
    allowed = MAY_IMPORT[part] | {part, "errors", "__version__"}
    for name in imports(path):
        first, *rest = name.split(".")
        if first == "bnn_tf":
            assert rest and rest[0] in allowed, f"{path.name} may not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_one_file_loads_shared_objects(path):
    loaders = re.findall(
        r"load_op_library\(|load_library\(|ctypes|cffi|_tf_ops\.so|import _core|bnn_tf\._core", path.read_text()
    )
    assert not loaders or path == PACKAGE / "loading.py", loaders


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_ops_knows_tensorflow_by_name(path):
    """Quantizers, layers and models are written with Keras, so that they run on its other backends."""
    if part_of(path) in KERAS_ONLY | {"data", "ops", "native"}:
        named = [name for name in top_level_imports(path) if name.split(".")[0] in ("tensorflow", "jax", "torch")]
        assert not named, named
    if part_of(path) in KERAS_ONLY:
        assert not [name for name in imports(path) if name.split(".")[0] == "tensorflow"]


def test_importing_the_package_imports_neither_tensorflow_nor_keras(run_python):
    run_python(
        """
import sys
import bnn_tf
assert not {"tensorflow", "keras", "jax"} & set(sys.modules)
modules = {"ops", "layers", "quantizers", "models", "data", "training"}
assert modules | {"binarize", "convolutionize", "freeze", "__version__"} <= set(dir(bnn_tf))
from bnn_tf.layers import BinaryConv2D
assert bnn_tf.layers.BinaryConv2D is BinaryConv2D and "keras" in sys.modules
assert bnn_tf.freeze.__module__ == "bnn_tf.freezing"
try:
    bnn_tf.nothing
except AttributeError as error:
    assert "has no attribute 'nothing'" in str(error)
else:
    raise AssertionError
"""
    )


# Importing these switches the process to TensorFlow 1; tests/tflearn looks at them.
TENSORFLOW_1 = [
    f"bnn_tf.frontends.{name}"
    for name in ("tflearn", "tflearn_blocks", "tflearn_layers", "tflearn_networks", "tflearn_parts")
]


def public_modules():
    import bnn_tf

    names = [module.name for module in pkgutil.walk_packages(bnn_tf.__path__, "bnn_tf.")]
    names = ["bnn_tf", *(name for name in names if not any(part.startswith("_") for part in name.split(".")))]
    assert set(TENSORFLOW_1) < set(names)
    return [name for name in names if name not in TENSORFLOW_1]


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_has_a_docstring(name):
    check_docstrings(name)


def check_docstrings(name):
    """Everything public that a module defines has a docstring."""
    module = importlib.import_module(name)
    assert inspect.getdoc(module), f"{name} has no docstring"
    for attribute, value in vars(module).items():
        if attribute.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{attribute} has no docstring"
        if inspect.isclass(value):
            for method, function in vars(value).items():
                own = not any(hasattr(base, method) for base in value.__bases__)
                if inspect.isfunction(function) and not method.startswith("_") and own:
                    assert inspect.getdoc(getattr(value, method)), f"{name}.{attribute}.{method} has no docstring"


# Those of training and plots train for minutes, or show what a finished run left.
SLOW = ("bnn_tf.training", "bnn_tf.plots", "bnn_tf.reporting.page", "bnn_tf.cli")
QUICK = [name for name in public_modules() if not name.startswith(SLOW)]


@pytest.mark.parametrize("name", QUICK)
def test_the_examples_in_docstrings_run(name):
    run_examples(name)


def run_examples(name):
    """Runs the examples in a module's docstrings."""
    import keras
    import numpy as np

    import bnn_tf

    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(recurse=True).find(module, module=module):
        namespace = {**vars(module), "bnn_tf": bnn_tf, "keras": keras, "np": np}
        for example in test.examples:
            code = compile(example.source, f"<example of {test.name}>", "single")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, namespace)


def test_typed():
    assert (PACKAGE / "py.typed").exists()


# C++.

LAYERS = {"core": {"core"}, "runtime": {"core", "runtime"}}
ARITHMETIC_FREE = ("tf", "py")


def c_sources(folder):
    return sorted(path for suffix in ("*.h", "*.cc") for path in (ROOT / "cc_ops" / folder).rglob(suffix))


@pytest.mark.parametrize("folder", ["core", "runtime", "tf", "py"])
def test_c_plus_plus_includes(folder):
    """core includes itself and the standard library; tf, py and runtime nothing of each other."""
    for path in c_sources(folder):
        for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
            first = include.split("/")[0]
            assert first not in {"core", "runtime", "tf", "py", "tests", "bench"} - {"core", "runtime", folder}, (
                f"{path}: {include}"
            )
            if folder in LAYERS:
                assert first in LAYERS[folder], f"{path}: {include}"


def test_core_knows_neither_tensorflow_nor_python():
    for path in c_sources("core"):
        included = re.findall(r"^\s*#\s*include\s+[<\"]([^>\"]+)", path.read_text(), re.M)
        foreign = [
            name for name in included if re.match(r"tensorflow|absl|Eigen|pybind11|Python\.h|gtest|benchmark", name)
        ]
        assert not foreign, f"{path}: {foreign}"


def test_core_never_prints_aborts_or_throws():
    for path in c_sources("core"):
        code = re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", "", path.read_text(), flags=re.S)
        found = re.findall(r"\b(?:printf|fprintf|puts|cout|cerr|abort|exit|assert|throw)\b", code)
        assert not found, f"{path}: {found}"


def test_only_one_file_of_core_knows_openmp():
    knows = [path.name for path in c_sources("core") if re.search(r"omp\.h|#\s*pragma omp", path.read_text())]
    assert knows == ["parallel.cc"]
