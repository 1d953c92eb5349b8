"""The command line, `bnn-tf`: it reads arguments, calls the library and prints.

Exit codes: 0 done, 2 a mistake in the arguments or files (one line on standard error), 130 interrupted. TensorFlow is
imported only by the commands that need it.
"""

import argparse
import contextlib
import itertools
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import bnn_tf
from bnn_tf.errors import UserError

if TYPE_CHECKING:
    from bnn_tf.training import Comparison

_INTERRUPTED = 130
# What TensorFlow's C++ logging writes while it loads, before TF_CPP_MIN_LOG_LEVEL has any effect on it.
_TENSORFLOW_NOISE = re.compile(r"[IWE]\d{4} \d\d:|WARNING: All log messages before absl|\d{4}-\d\d-\d\d \S+ [IWE] ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="bnn-tf: %(message)s", level=logging.WARNING)
    logging.getLogger("bnn_tf").setLevel(logging.INFO)
    try:
        return options.run(options)
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        print("bnn-tf: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _fail(message: str) -> int:
    print(f"bnn-tf: error: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bnn-tf", description="Binary neural networks that really are one bit.")
    parser.add_argument("--version", action="version", version=f"bnn-tf {bnn_tf.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    compare = commands.add_parser(
        "compare",
        help="train a network in float and in binary schemes, and compare them",
        description="Trains a network in several schemes and compares accuracy, size and speed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    compare.add_argument("--model", default="lenet", help="a name that `bnn-tf models` lists")
    compare.add_argument("--data", default="digits", help="a name that `bnn-tf data` lists")
    compare.add_argument(
        "--schemes", nargs="+", default=["float", "bwn", "dorefa", "xnor"], metavar="SCHEME", help="what to compare"
    )
    compare.add_argument("--epochs", type=int, help="passes over the training set; by default what suits the data")
    compare.add_argument("--batch-size", type=int, help="images a step; by default what suits the data")
    compare.add_argument("--learning-rate", type=float, help="at the start; by default what suits the data")
    compare.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    compare.add_argument("--out", metavar="DIR", help="for results; by default a new folder under runs/")
    compare.add_argument("--overwrite", action="store_true", help="replace an earlier run in --out")
    _add_data_dir(compare)
    compare.set_defaults(run=_compare)

    bench = commands.add_parser(
        "bench",
        help="time binary layers beside TensorFlow's float ones on this machine",
        description="Times layers of ResNet-18 and of the CIFAR ResNets: TensorFlow's float ops, and the binary ones "
        "with packed kernels; in a batch also with float kernels, as in training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    bench.add_argument("--batch", type=_positive, default=1, help="images")
    bench.add_argument("--threads", type=_positive, default=1, help="for all ops alike")
    bench.add_argument(
        "--layers", nargs="+", metavar="PART", help="only layers with such a part in their names, 14x14 say"
    )
    bench.add_argument("--json", metavar="FILE", help="write the figures there, too")
    bench.set_defaults(run=_bench)

    models = commands.add_parser("models", help="list the networks and the schemes")
    models.set_defaults(run=_models)

    data = commands.add_parser("data", help="list the data sets and where their files are expected")
    _add_data_dir(data)
    data.set_defaults(run=_data)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a number above 0 is expected, not {text!r}")
    return int(text)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", metavar="DIR", help="holds mnist/, ...; else $BNN_TF_DATA_DIR or Keras' cache does"
    )


def _compare(options: argparse.Namespace) -> int:
    with _quiet_tensorflow():
        from bnn_tf import training

    out = Path(options.out) if options.out else _new_folder(Path("runs"), f"{options.model}-{options.data}")
    try:
        comparison = training.compare(
            options.model,
            options.data,
            options.schemes,
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            seed=options.seed,
            data_dir=options.data_dir,
            out=out,
            overwrite=options.overwrite,
        )
    except training.ComparisonInterrupted as interruption:
        _print_comparison(interruption.comparison, out)
        raise
    _print_comparison(comparison, out)
    return 0


def _new_folder(parent: Path, name: str) -> Path:
    """The first of `name`, `name`-2, `name`-3, ... that doesn't exist in `parent`."""
    candidates = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(path for path in (parent / candidate for candidate in candidates) if not path.exists())


def _print_comparison(comparison: "Comparison", out: Path) -> None:
    where = comparison.environment
    if comparison.rows:
        print(comparison.table(), end="\n\n")
    print(f"{where['cpus']} CPUs, {where['cpu']}; {_backend(where['backend'])}.")
    print("composed images/s: the same layers as plain Keras ops.")
    if not comparison.complete:
        print(f"Not finished: {', '.join(comparison.schemes[len(comparison.rows) :])}.")
    if out.exists():
        print(f"In {out}: results.json{', curves.png and the trained models' if comparison.rows else ''}.")


def _backend(info: dict[str, object]) -> str:
    if info["custom_ops"]:
        return f"C++ ops, {info['isa']}, {info['threads']} threads"
    return f"no C++ ops ({info['reason']})"


def _bench(options: argparse.Namespace) -> int:
    from bnn_tf import bench

    layers = bench.select((*bench.RESNET18, *bench.CIFAR_RESNET), options.layers)
    bench.limit_threads(options.threads)
    with _quiet_tensorflow():
        from bnn_tf.training.environment import environment

    where = environment()
    rows = {}
    for layer in layers:
        if sys.stderr.isatty():
            print(f"\r\033[K{layer.name}", end="", file=sys.stderr, flush=True)
        rows[layer.name] = bench.compare(layer, options.batch, bench.ops_for(options.batch), threads=options.threads)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(bench.table(rows), end="\n\n")
    print(f"x: times as fast as TensorFlow's float op, and below 1 slower. Batch {options.batch}.")
    print(f"{where['cpus']} CPUs, {where['cpu']}; {_backend(where['backend'])}.")
    if options.json:
        bench.save(options.json, rows, options.batch, where)
    return 0


def _models(options: argparse.Namespace) -> int:
    with _quiet_tensorflow():
        from bnn_tf import models

    print("\n".join(models.list_models()))
    print(f"\neach in the schemes {', '.join(models.SCHEMES)}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from bnn_tf import data

    folder = data.data_folder(options.data_dir)
    for name in data.list_datasets():
        source = data.source(name)
        print(f"{name}: {source.description}")
        for file in source.files:
            print(f"    {folder / file}{'' if (folder / file).is_file() else '  (missing; downloaded when needed)'}")
    return 0


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """While TensorFlow loads, drops its chatter from standard error and keeps everything else; set
    TF_CPP_MIN_LOG_LEVEL yourself to see all of it."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    # The C++ side writes to the descriptor itself.
    original = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
            import keras

            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401  Keras loads it, sooner or later, whatever its backend.
            keras.ops.zeros(())  # The first tensor makes TensorFlow look for GPUs, and say so.
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            sys.stderr.writelines(line for line in captured if not _TENSORFLOW_NOISE.match(line))


if __name__ == "__main__":
    sys.exit(main())
