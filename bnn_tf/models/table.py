"""The registered networks with what they weigh and compute: `bnn-tf models`, and `docs/models.md`, which this prints:

python -m bnn_tf.models.table > docs/models.md
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import keras

from bnn_tf import models
from bnn_tf.counting.summary import Summary, summary
from bnn_tf.models.registry import Description, describe
from bnn_tf.text import shape_text, text_table

Result = TypeVar("Result")

PACKED = "xnor"
_HEADER = ("network", "born", "input", "parameters", "MACs", "bytes", f"packed ({PACKED})", "smaller", "binary MACs")


@dataclass(frozen=True)
class Row:
    """A network as published: what it was made for, and how large it is.

    Attributes:
        description: what its builder says.
        parameters: the trainable weights of the float form.
        plain: the summary of the float form.
        packed: that of the xnor form.
    """

    description: Description
    parameters: int
    plain: Summary
    packed: Summary

    def cells(self) -> tuple[str, ...]:
        """As text, one for each column."""
        packed = self.packed.size.packed_bytes
        return (
            self.description.name,
            self.description.scheme,
            shape_text(self.description.input_shape),
            f"{self.parameters:,}",
            f"{self.plain.macs.total:,}",
            f"{self.plain.size.float_bytes:,}",
            f"{packed:,}",
            f"{self.plain.size.float_bytes / packed:.1f}×",
            f"{self.packed.binary_share:.1%}",
        )


def row(name: str) -> Row:
    """Builds a network in float and in xnor, and counts.

    Example:

    >>> row("lenet").parameters
    3274634
    """

    def count() -> Row:
        plain, packed = (models.build(name, scheme) for scheme in ("float", PACKED))
        parameters = sum(math.prod(weight.shape) for weight in plain.trainable_weights)
        return Row(describe(name), parameters, summary(plain), summary(packed))

    return without_weights(count)


def without_weights(function: Callable[[], Result]) -> Result:
    """What `function` returns or raises; the variables of the models that it builds stay empty, VGG's 550 MB say.

    These models are good for nothing but looking at, inside `function`.

    Example:

    >>> without_weights(lambda: models.build("vgg16").count_params())
    138357544
    """

    def run() -> Result:
        with keras.StatelessScope(initialize_variables=False):
            return function()

    # Keras lists the variables as to be filled by whatever the thread does next: so it is a thread of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def text(rows: Iterable[Row]) -> str:
    """The table for a terminal."""
    return text_table(_HEADER, [row.cells() for row in rows], left=3)


_INTRODUCTION = f"""# The networks

`bnn_tf.models.build(name, scheme)` builds each of these for any image size and number of classes that make sense, in
the schemes {", ".join(f"`{name}`" for name in models.SCHEMES)}. `bnn-tf models` prints the table; this page is what
`python -m bnn_tf.models.table` writes.

Everything is counted at the published input and number of classes.

* *born*: the scheme that `build` takes when none is given.
* *parameters*: the trainable weights of the float form.
* *MACs*: its multiply-accumulates for one image, one for each weight and input that meet; biases, normalisations,
  activations and poolings have none.
* *bytes*: 4 for each of its weights, the statistics of normalisations included.
* *packed*: the `{PACKED}` form with one bit for a binary weight, each kernel rounded up to whole bytes, and 4 bytes for
  any other weight and each scale; `bwn` and `dorefa` differ by a few kilobytes of normalisations and scales.
* *smaller*: how many times.
* *binary MACs*: the share of the `{PACKED}` form's MACs that are XNOR and popcount. The others belong to the first and
  last layers, and to convolutions that stay float.

For one network layer by layer: `bnn-tf summary NAME --scheme {PACKED}`.
"""


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of docs/models.md."""
    yield from _INTRODUCTION.splitlines()
    yield ""
    yield f"| {' | '.join(_HEADER)} |"
    yield "|---|---|---|--:|--:|--:|--:|--:|--:|"
    names = []
    for row in rows:
        name, born, *figures = row.cells()
        names.append(name)
        yield f"| `{name}` | `{born}` | {' | '.join(figures)} |"
    yield from ("", "## What they are", "")
    for name in names:
        yield f"* `{name}`: {describe(name).sentence}."


if __name__ == "__main__":
    print("\n".join(markdown(map(row, models.list_models()))))
