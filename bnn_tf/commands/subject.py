"""The model that a command works on: a file, or the folder of a training, which knows its data set."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_tf.commands.common import Quiet
from bnn_tf.errors import ArgumentError

if TYPE_CHECKING:
    from bnn_tf.training.run_config import TrainedOn

_PACKED = b"\x89BNN"  # how a packed file begins
_MODEL = "a .keras file, or the folder of a run of `bnn-tf train`"
_CHECKPOINT = "of a run; best did best on its test images, where its figures flatter; by default last"


@dataclass(frozen=True)
class Subject:
    """A model to work on.

    Attributes:
        name: what it is called.
        file: where it lies.
        trained_on: what its run says about the data; None for a file.
    """

    name: str
    file: Path
    trained_on: "TrainedOn | None" = None

    @property
    def data(self) -> str | None:
        """The data set that it was trained on, where that is known."""
        return self.trained_on.source if self.trained_on else None

    @property
    def data_options(self) -> dict[str, Any]:
        """The options of that."""
        return self.trained_on.options if self.trained_on else {}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds MODEL."""
    parser.add_argument("model", metavar="MODEL", help=_MODEL)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds --checkpoint."""
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help=_CHECKPOINT)


def read(source: str, checkpoint: str, quiet: Quiet) -> Subject:
    """What a path on the command line means.

    Args:
        source: a file, or the folder of a training.
        checkpoint: "last" or "best", of a folder.
        quiet: makes a context in which the backend is loaded without its chatter.

    Raises:
        ArgumentError: a ValueError, for a folder of something else.
        OSError: where there is nothing.
    """
    path = Path(source)
    if not path.is_dir():
        with path.open("rb") as file:  # says what is wrong with the path better than Keras does
            packed = file.read(len(_PACKED)) == _PACKED
        if packed:
            raise ArgumentError(
                f"{path} is a packed model: `bnn-tf predict`, `summary` and `bench` take it. Name the .keras file that "
                "it was made of."
            )
        return Subject(str(path), path)
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        files = sorted(file.name for file in path.glob("*.keras"))
        hint = f"Name one of its models: {', '.join(files)}." if files else "Name a .keras file."
        raise ArgumentError(f"{path} is no run of `bnn-tf train`: it has no config.json. {hint}") from None
    except ValueError:
        raise ArgumentError(f"{path / 'config.json'} is no JSON. Name a .keras file.") from None
    with quiet():
        from bnn_tf.training.run_config import trained_on

    try:
        return Subject(str(path), path / f"{checkpoint}.keras", trained_on(config))
    except ArgumentError as error:
        raise ArgumentError(f"{path / 'config.json'}: {error} Name a .keras file.") from None
