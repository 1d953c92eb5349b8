"""What `bnn_tf.binarize` did, or would do, as a table."""

from collections import Counter
from dataclasses import dataclass

from bnn_tf.text import text_table


@dataclass(frozen=True)
class Row:
    """What became of one layer.

    Attributes:
        layer: its name, after those of the models around it: "inner/conv1".
        kind: its class.
        becomes: the class of its binary twin, or "" where it stays as it is.
        weights: how many are in its kernel.
        remark: why it stays, or what to mind.
    """

    layer: str
    kind: str
    becomes: str
    weights: int
    remark: str


@dataclass(frozen=True)
class Report:
    """Every layer of a model that has a kernel; prints as a table.

    Attributes:
        model: its name.
        scheme: the name of the scheme.
        rows: in the order of the model.

    Example:

    >>> print(Report("model", "bwn", (Row("conv", "Conv2D", "BinaryConv2D", 9, ""),)))
    layer  was     becomes       remark  weights
    conv   Conv2D  BinaryConv2D                9
    model as bwn: 1 of 1 layers and 9 of 9 kernel weights (100.0 %) become binary
    """

    model: str
    scheme: str
    rows: tuple[Row, ...]

    @property
    def converted(self) -> tuple[Row, ...]:
        """Those that become binary."""
        return tuple(row for row in self.rows if row.becomes)

    @property
    def kept(self) -> tuple[Row, ...]:
        """Those that stay as they are."""
        return tuple(row for row in self.rows if not row.becomes)

    def reasons(self) -> str:
        """How many layers stay as they are, by reason."""
        counts = Counter(row.remark for row in self.kept)
        return ", ".join(f"{reason}: {count}" for reason, count in counts.items()) or "no layer with a kernel"

    def __str__(self) -> str:
        cells = [(row.layer, row.kind, row.becomes or "–", row.remark, f"{row.weights:,}") for row in self.rows]
        binary, weights = (sum(row.weights for row in rows) for rows in (self.converted, self.rows))
        share = f"{100 * binary / weights:.1f} %" if weights else "none"
        total = (
            f"{self.model} as {self.scheme}: {len(self.converted)} of {len(self.rows)} layers and {binary:,} of "
            f"{weights:,} kernel weights ({share}) become binary"
        )
        return text_table(("layer", "was", "becomes", "remark", "weights"), cells, left=4) + f"\n{total}"
