"""`bnn-tf train`: any network, any data set, to a trained model in a folder that can be continued."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_tf.commands.common import Quiet, add_data_options, pair
from bnn_tf.errors import ArgumentError

if TYPE_CHECKING:
    import keras

    from bnn_tf.data import Dataset
    from bnn_tf.training import Recipe, Training

_DESCRIPTION = """Trains a network. The folder always holds a whole checkpoint: an interrupted training, killed even,
goes on with the same command and --resume after its last whole epoch, and reaches the same weights. Values that aren't
given are what suits the data set."""


def add(commands: Any, quiet: Quiet) -> None:
    """Adds the command to the parsers of `bnn-tf`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        quiet: makes a context in which the backend is loaded without its chatter.
    """
    parser = commands.add_parser("train", help="train a network, or continue to", description=_DESCRIPTION)
    _add_subject(parser)
    add_recipe(parser)
    _add_beginnings(parser)
    _add_run(parser)
    parser.set_defaults(run=lambda options: run(options, quiet))


def _add_subject(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is trained on what")
    group.add_argument("--model", default="lenet", help="a name that `bnn-tf models` lists; by default lenet")
    group.add_argument("--scheme", help="float, bwn, dorefa or xnor; by default the network's own")
    group.add_argument("--blocks", type=int, metavar="N", help="--option n=N: blocks per stage of a residual network")
    group.add_argument(
        "--option", action="append", default=[], type=pair, metavar="KEY=VALUE", help="of the network: width=2, say"
    )
    group.add_argument("--data", default="digits", help="a name that `bnn-tf data` lists, or a folder of class folders")
    add_data_options(group)
    group.add_argument("--augment", nargs="+", metavar="NAME", help="of training images: flip crop:4 rotation:15, say")


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Adds the options that make a `Recipe`; see `recipe_arguments`."""
    group = parser.add_argument_group("how")
    group.add_argument("--epochs", type=int, help="passes over the training set")
    group.add_argument("--batch-size", type=int, help="images a step")
    group.add_argument("--optimizer", help="sgd, momentum, nesterov, adadelta, adam or adamw")
    group.add_argument("--learning-rate", type=float, help="at the start")
    group.add_argument("--schedule", help="constant, cosine, plateau, or steps: 0:0.1,14:0.02,29:0.004")
    group.add_argument("--warmup-epochs", type=float, help="over how many the rate rises at first")
    group.add_argument("--momentum", type=float, help="of the optimizers momentum and nesterov")
    group.add_argument("--weight-decay", type=float, help="of float kernels")
    group.add_argument("--binary-optimizer", help="for latent binary kernels: as --optimizer, or bop")
    group.add_argument("--binary-learning-rate", type=float, help="for latent binary kernels; Bop's gamma")
    group.add_argument("--bop-threshold", type=float, help="beyond which Bop flips a weight")
    group.add_argument(
        "--layer-rate",
        action="append",
        type=pair,
        dest="layer_rates",
        metavar="PATTERN=FACTOR",
        help="multiplies the learning rate of layers by their names: logits=10, say",
    )
    group.add_argument("--freeze", nargs="+", dest="frozen", metavar="PATTERN", help="layers that aren't trained")
    group.add_argument("--class-weights", type=_class_weights, help="balanced, or a number for each class: 1,2.5,1")
    group.add_argument("--label-smoothing", type=float, help="the share of a label spread over all classes")
    group.add_argument("--early-stopping", type=int, metavar="N", help="stop after N epochs without a lower test loss")
    group.add_argument("--plateau-patience", type=int, metavar="N", help="epochs that the schedule plateau waits")
    group.add_argument("--plateau-factor", type=float, help="what it then multiplies the rate by")
    group.add_argument(
        "--precision", choices=("float32", "mixed_float16", "mixed_bfloat16"), default="float32", help="of layers"
    )


def _add_beginnings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what other networks have learnt")
    group.add_argument("--warm-start", metavar="FILE", help="begin with this float twin's weights (.keras)")
    group.add_argument("--transfer", metavar="FILE", help="train this model (.keras) with a new last layer")
    group.add_argument("--teacher", metavar="FILE", help="a trained model (.keras) to learn from")
    group.add_argument("--temperature", type=float, help="of the teacher's answers")
    group.add_argument("--mix", type=float, help="the teacher's share in the loss")


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument("--seed", type=int, default=0, help="of initial weights, order of images, augmentation, dropout")
    group.add_argument("--folds", type=int, metavar="K", help="K-fold cross-validation; the best fold is tested")
    group.add_argument("--out", metavar="DIR", help="for the run; by default runs/MODEL-SCHEME-DATA")
    group.add_argument("--resume", action="store_true", help="continue the run in --out")
    group.add_argument("--overwrite", action="store_true", help="replace an earlier run in --out")
    group.add_argument("--tensorboard", action="store_true", help="write TensorBoard events, too")
    group.add_argument(
        "--distribute",
        choices=("mirrored", "multiworker"),
        help="over the devices of this machine, or the processes that TF_CONFIG names: docs/distributed.md",
    )


def run(options: argparse.Namespace, quiet: Quiet) -> int:
    """Runs the command; returns the exit code."""
    if options.distribute and options.folds:
        raise ArgumentError("--folds and --distribute don't go together. Leave one of them out.")
    if options.distribute == "multiworker":
        print("waiting for the workers of TF_CONFIG", file=sys.stderr)
    with quiet():
        import keras

        from bnn_tf import data, models, training

        if options.distribute:  # before TensorFlow computes anything
            training.join(options.distribute)

    scheme = options.scheme or models.describe(options.model).scheme
    keras.utils.set_random_seed(options.seed)
    recipe = training.recipe_for(options.data, **recipe_arguments(options, training.Recipe))
    dataset = data.load(options.data, options.data_dir, **dict(options.data_option))
    name = Path(options.transfer).stem if options.transfer else f"{options.model}-{scheme}"
    out = Path(options.out or Path("runs") / f"{name}-{Path(options.data).name}")
    arguments: dict[str, Any] = {
        "seed": options.seed,
        "progress": name.replace("-", " "),
        "teacher": options.teacher,
        "out": out,
        "resume": options.resume,
        "overwrite": options.overwrite,
        "tensorboard": options.tensorboard,
        "distribute": options.distribute,
        "description": _description(options, scheme),
    }

    def build() -> "keras.Model":
        with training.precision(options.precision):
            return network(options, scheme, dataset)

    try:
        _run(options, build, dataset, recipe, arguments)
    except KeyboardInterrupt:
        print(f"{out} keeps the epochs that are done. Add --resume to go on.", file=sys.stderr)
        raise
    return 0


def _run(
    options: argparse.Namespace,
    build: Callable[[], "keras.Model"],
    dataset: "Dataset",
    recipe: "Recipe",
    arguments: dict[str, Any],
) -> None:
    """Trains once, or once for each fold, and tells the outcome."""
    from bnn_tf import training

    out = arguments["out"]
    if options.folds:
        result = training.cross_validate(build, dataset, options.folds, recipe, **arguments)
        accuracies = ", ".join(f"{accuracy:.2%}" for accuracy in result.accuracies)
        print(f"held-out accuracy of the folds: {accuracies}")
        print(f"test accuracy of fold {result.best + 1}, the best: {result.test.accuracy:.2%}")
        print(f"In {out}: fold1 to fold{options.folds}.")
    else:
        done = training.train(build(), dataset, recipe, **arguments)
        if not options.distribute or training.join(options.distribute).chief:
            _report(done, out)


def network(options: argparse.Namespace, scheme: str, dataset: "Dataset") -> "keras.Model":
    """The network to train, with the weights that it begins with."""
    from bnn_tf import models, training

    if options.transfer:
        return training.new_head(training.load_model(options.transfer), dataset.classes, options.seed)
    given = dict(options.option)
    if options.blocks is not None:
        given["n"] = options.blocks
    shape = training.input_shape(dataset, options.augment or ())
    given = {"input_shape": shape, "classes": dataset.classes, "seed": options.seed, **given}
    model = models.build(options.model, scheme, **given)
    if options.warm_start:
        print(f"{options.warm_start}: {training.warm_start(model, options.warm_start)}", file=sys.stderr)
    return model


def recipe_arguments(options: argparse.Namespace, recipe: "type[Recipe]") -> dict[str, Any]:
    """What the options say about the recipe."""
    given = {name: getattr(options, name, None) for name in recipe.__dataclass_fields__}
    kinds: dict[str, type] = {"augment": tuple, "frozen": tuple, "layer_rates": dict}
    return {name: kinds[name](value) if name in kinds else value for name, value in given.items() if value is not None}


def _description(options: argparse.Namespace, scheme: str) -> dict[str, Any]:
    """What the run's `config.json` says besides the recipe."""
    return {
        "command": shlex.join(["bnn-tf", *sys.argv[1:]]),
        "model": options.transfer or options.model,
        "scheme": scheme,
        "options": {**dict(options.option), **({} if options.blocks is None else {"n": options.blocks})},
        "data_source": options.data,
        "data_options": dict(options.data_option),
        "precision": options.precision,
        "warm_start": options.warm_start,
        "folds": options.folds,
    }


def _report(training: "Training", out: Path) -> None:
    accuracies = training.history["val_accuracy"]
    best = training.best_epoch
    epochs = f"{len(accuracies)} epoch{'s' if len(accuracies) > 1 else ''}"
    print(f"test accuracy {accuracies[-1]:.2%} after {epochs}, {training.seconds:.1f} s")
    print(f"best: {accuracies[best - 1]:.2%} after epoch {best}")
    print(f"In {out}: config.json, metrics.csv, metrics.jsonl, curves.png, last.keras and best.keras.")


def _class_weights(text: str) -> str | Sequence[float]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        return text
