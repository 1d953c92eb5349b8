"""What a plan is: trainings, and the tables that they fill."""

import re
import shlex
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """One training, and its place in a table; tables that ask for the same training share it.

    Attributes:
        row, column: its cell; runs of one cell differ in their seeds.
        arguments: of `bnn-tf train`, `--model`, `--scheme` and `--data` first, without --seed and --out; `{NAME}`
            stands for the folder of the run NAME, which is trained before.
        seed: of the weights and of the order of images.
    """

    row: str
    column: str
    arguments: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder and of its result: another name wherever the arguments differ.

        Example:

        >>> Run("digits", "float", "--model lenet --scheme float --data digits --epochs 2").name
        'lenet-float-digits-8da1c8e0-0'
        """
        words = shlex.split(self.arguments)[1:6:2]
        return f"{'-'.join(words)}-{zlib.crc32(self.arguments.encode()):08x}-{self.seed}"

    def command(self, runs: str) -> list[str]:
        """The arguments of `bnn-tf`; this run's folder, and those of the runs that it needs, lie in `runs`."""
        words = [re.sub(r"\{([^}]+)\}", lambda need: f"{runs}/{need[1]}", word) for word in shlex.split(self.arguments)]
        return ["train", *words, "--seed", str(self.seed), "--out", f"{runs}/{self.name}"]

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the runs that must have ended."""
        return tuple(dict.fromkeys(re.findall(r"\{([^}]+)\}", self.arguments)))


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
        costs: whether accuracy is drawn over size and time, instead of curves; wider networks are called ", ×2".
    """

    title: str
    about: str
    axis: str
    runs: tuple[Run, ...]
    reference: Mapping[tuple[str, str], float] = field(default_factory=dict)
    source: str = ""
    costs: bool = False
