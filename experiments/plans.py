"""What is trained: each run is the arguments of one `bnn-tf train`, and its place in a table."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# He's way to train a residual network on CIFAR: SGD with momentum, a cosine to 0, mirrored and shifted images.
_HE = "--optimizer nesterov --schedule cosine --augment flip crop:4"
_SCHEMES = ("float", "bwn", "dorefa", "xnor")


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        row, column: its cell; runs of one cell differ in their seeds.
        arguments: of `bnn-tf train`, without --seed and --out; `{NAME}` stands for the folder of the run NAME of the
            same experiment, which is trained before.
        seed: of the weights and of the order of images.
    """

    row: str
    column: str
    arguments: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder and of its file."""
        return re.sub(r"[^a-z0-9.]+", "-", f"{self.row} {self.column} seed{self.seed}".lower()).strip("-")

    def command(self, runs: str) -> list[str]:
        """The arguments of `bnn-tf`; this run's folder, and those of the runs that it needs, lie in `runs`."""
        words = [re.sub(r"\{([^}]+)\}", lambda need: f"{runs}/{need[1]}", word) for word in shlex.split(self.arguments)]
        return ["train", *words, "--seed", str(self.seed), "--out", f"{runs}/{self.name}"]

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the runs that must have ended."""
        return tuple(re.findall(r"\{([^}]+)\}", self.arguments))


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that answer it, and the table they fill.

    Attributes:
        title: of the table.
        about: what is asked and what is alike in all runs, in Markdown.
        axis: what the rows are called.
        runs: in the order of their worth.
        reference: what others report for a cell, in percent, by row and column.
        source: whose figures those are.
    """

    title: str
    about: str
    axis: str
    runs: tuple[Run, ...]
    reference: Mapping[tuple[str, str], float] = field(default_factory=dict)
    source: str = ""

    def rows(self) -> list[str]:
        """In the order in which they were written down."""
        return list(dict.fromkeys(run.row for run in self.runs))

    def columns(self) -> list[str]:
        """Of the table, as the rows."""
        return list(dict.fromkeys(run.column for run in self.runs))


def _thesis() -> Experiment:
    reported = {
        "0.1": {"float": (80, 82, 84), "bwn": (77, 81, 82), "dorefa": (78, 80, 80)},
        "0.01": {"float": (78, 79, 81), "bwn": (76, 78, 80), "dorefa": (65, 67, 67)},
    }
    epochs = {"float": (15, 15, 20), "bwn": (15, 15, 20), "dorefa": (25, 40, 40)}
    runs, reference = [], {}
    for rate, schemes in reported.items():
        for index, blocks in enumerate((2, 5, 18)):
            for scheme, figures in schemes.items():
                count = 25 if (rate, scheme, blocks) == ("0.01", "dorefa", 5) else epochs[scheme][index]
                row = f"n = {blocks}, rate {rate}"
                arguments = f"--model resnet_cifar --blocks {blocks} --scheme {scheme} --data cifar10"
                runs.append(
                    Run(row, scheme, f"{arguments} --epochs {count} --learning-rate {rate} --weight-decay 1e-4 {_HE}")
                )
                reference[row, scheme] = figures[index]
    return Experiment(
        "The thesis's tables 4.1 and 4.2: residual networks on CIFAR-10",
        "Networks of 6n + 2 layers, batches of 128, at the thesis's epochs: float and bwn 15, 15 and 20 for n = 2, 5 "
        "and 18; dorefa 25, 40 and 40, at the rate 0.01 25, 25 and 40.",
        "network",
        tuple(runs),
        reference,
        "the thesis",
    )


def _lenet() -> Experiment:
    runs = [
        Run(f"{data}", scheme, f"--model lenet --scheme {scheme} --data {data} --epochs 20", seed)
        for data in ("mnist", "fashion-mnist")
        for seed in range(3)
        for scheme in _SCHEMES
    ]
    return Experiment(
        "LeNet on MNIST and Fashion-MNIST, all schemes",
        "The tables that the thesis left empty. Adam, rate 0.001, a cosine over 20 epochs, batches of 128.",
        "data",
        tuple(runs),
    )


def _cure() -> Experiment:
    arguments = "--scheme xnor --data cifar10 --epochs 15 --augment flip crop:4 --schedule cosine"
    collapse = "--optimizer nesterov --learning-rate 0.1"
    recipe = "--optimizer adam --learning-rate 0.002"
    runs = [
        Run(f"n = {blocks}", column, f"--model {model} {arguments} {optimizer}")
        for blocks in (3, 2, 5)
        for column, model, optimizer in (
            ("bireal_cifar, Adam", f"bireal_cifar --blocks {blocks}", recipe),
            ("resnet_cifar, SGD", f"resnet_cifar --blocks {blocks}", collapse),
        )
    ]
    return Experiment(
        "Binary weights and activations: the collapse and its cure",
        "Under xnor, the thesis's residual networks stopped learning after the first epochs. The literature advises a "
        "shortcut around every convolution, batch norm before the sign, clipped gradients and Adam: 15 epochs of both.",
        "network",
        tuple(runs),
    )


def _recipe() -> Experiment:
    common = "--model resnet_cifar --blocks 2 --data cifar10 --epochs 15 --augment flip crop:4 --schedule cosine"
    sgd = f"{common} --optimizer nesterov --learning-rate 0.1 --weight-decay 1e-4"
    teacher = "{float-bwn-seed0}"
    ways = {
        "plain": f"--scheme bwn {sgd}",
        "Adam for the latent kernels": f"--scheme bwn {sgd} --binary-optimizer adam --binary-learning-rate 0.002",
        "Adam for all": f"--scheme bwn {common} --optimizer adam --learning-rate 0.002",
        "warm start": f"--scheme bwn {sgd} --warm-start {teacher}/last.keras",
        "distillation": f"--scheme bwn {sgd} --teacher {teacher}/last.keras",
        "warm start and distillation": f"--scheme bwn {sgd} --warm-start {teacher}/last.keras "
        f"--teacher {teacher}/last.keras",
    }
    runs = [Run("float", "bwn", f"--scheme float {sgd}")]
    runs += [Run(way, "bwn", arguments) for way, arguments in ways.items()]
    return Experiment(
        "What helps binary weights",
        "ResNet-14 (n = 2) on CIFAR-10, 15 epochs, one thing changed at a time; the first row is the float network, "
        "which is also the teacher.",
        "recipe",
        tuple(runs),
    )


EXPERIMENTS: dict[str, Experiment] = {
    "thesis": _thesis(),
    "lenet": _lenet(),
    "cure": _cure(),
    "recipe": _recipe(),
}


def choose(names: Iterable[str]) -> dict[str, Experiment]:
    """The experiments of these names, all where there are none.

    Raises:
        KeyError: for an unknown name.
    """
    return {name: EXPERIMENTS[name] for name in names} or dict(EXPERIMENTS)
