"""What packing did, and where the bytes are."""

from collections import Counter
from dataclasses import dataclass

from bnn_tf.counting.size import Size
from bnn_tf.packing.graph import Graph
from bnn_tf.packing.writing import Tensors


@dataclass(frozen=True)
class Report:
    """What packing did.

    Attributes:
        bytes: of the whole file.
        float_bytes: what the weights take as float32: those of the layers in the model, one bit each or not.
        bits_bytes: of the binary kernels in the file.
        other_bytes: of the other tensors in the file.
        binary_weights: how many weights are one bit.
        ops: how many nodes of each kind the file has.
        folded: what went into what, in words.
        resizable: whether the file takes images of other sizes.
    """

    bytes: int
    float_bytes: int
    bits_bytes: int
    other_bytes: int
    binary_weights: int
    ops: dict[str, int]
    folded: tuple[str, ...]
    resizable: bool

    def __str__(self) -> str:
        ops = ", ".join(f"{count} {op}" for op, count in self.ops.items())
        return (
            f"{self.bytes:,} bytes, 1/{self.float_bytes / self.bytes:.1f} of the float32 weights: {self.bits_bytes:,} "
            f"of bits ({self.binary_weights:,} weights), {self.other_bytes:,} of other tensors\n"
            f"{sum(self.ops.values())} nodes: {ops}\n"
            f"{len(self.folded)} normalisations folded; "
            f"{'takes images of other sizes too' if self.resizable else 'takes images of its own size'}"
        )


def report(graph: Graph, tensors: Tensors, size: int, counted: Size) -> Report:
    """The report on a file.

    Args:
        graph: what was written.
        tensors: the same's data section.
        size: of the file, in bytes.
        counted: the Keras model's weights, each once, however often its layer is called.
    """
    bits = sum(row["bytes"] for row in tensors.rows if row["dtype"] == "bits")
    return Report(
        bytes=size,
        float_bytes=4 * (counted.float_weights + counted.binary_weights),
        bits_bytes=bits,
        other_bytes=sum(row["bytes"] for row in tensors.rows) - bits,
        binary_weights=counted.binary_weights,
        ops=dict(Counter(node.op for node in graph.nodes).most_common()),
        folded=tuple(graph.notes),
        resizable=graph.resizable,
    )
