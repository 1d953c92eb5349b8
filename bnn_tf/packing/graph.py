"""A network as a list of nodes in the order in which they run: the rules make it, the passes change it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Bits:
    """A binary kernel.

    Attributes:
        words: the core's layout, `bits[group][block][word][lane]`, of 32 bits each.
        shape: of the kernel: [height, width, channels of a group, filters].
    """

    words: npt.NDArray[np.integer[Any]]
    shape: tuple[int, ...]


@dataclass(eq=False)
class Node:
    """One operation.

    Attributes:
        op: what it does, in the file's words; "input" is the model's input.
        name: of the layer that it comes from, after those of the models around it.
        inputs: the nodes whose outputs it reads.
        shape: of its output without the batch; None where a size is open.
        attributes: as the file has them, with an array or `Bits` where the file has the number of a tensor.
    """

    op: str
    name: str
    inputs: list["Node"]
    shape: Shape
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """A network.

    Attributes:
        input: the node that stands for the model's input; it isn't among `nodes`.
        nodes: inputs before what reads them.
        output: the node that gives the result.
        notes: what the passes did, for the report.
    """

    input: Node
    nodes: list[Node]
    output: Node
    notes: list[str] = field(default_factory=list)

    def readers(self, node: Node) -> list[Node]:
        """The nodes that read `node`, once for each time."""
        return [reader for reader in self.nodes for each in reader.inputs if each is node]

    def only_reader(self, node: Node) -> Node | None:
        """The one that reads `node`, where nothing else needs its output."""
        readers = self.readers(node)
        return readers[0] if len(readers) == 1 and node is not self.output else None

    def bypass(self, node: Node) -> None:
        """Removes a node of one input: who read it reads its input."""
        (before,) = node.inputs
        for reader in self.nodes:
            reader.inputs = [before if each is node else each for each in reader.inputs]
        if self.output is node:
            self.output = before
        self.nodes.remove(node)

    def prune(self) -> None:
        """Removes what the output doesn't depend on."""
        needed = {id(self.output)}
        for node in reversed(self.nodes):
            if id(node) in needed:
                needed.update(map(id, node.inputs))
        self.nodes = [node for node in self.nodes if id(node) in needed]

    @property
    def resizable(self) -> bool:
        """Whether it takes images of other sizes: nothing counts the pixels that the input's size decides."""
        sized = {id(self.input)}
        for node in self.nodes:
            if not any(id(each) in sized for each in node.inputs):
                continue
            if node.op in ("flatten", "reshape"):
                return False
            if not node.op.startswith("global_"):
                sized.add(id(node))
        return True
