"""`bnn_tf.summary`: what every layer of a model puts out, holds and computes."""

import json
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import keras

from bnn_tf.counting.inputs import symbolic_inputs
from bnn_tf.counting.macs import Macs
from bnn_tf.counting.size import Size, layer_size
from bnn_tf.counting.trace import Trace
from bnn_tf.errors import ArgumentError
from bnn_tf.layers.frozen import FrozenLayer
from bnn_tf.text import shape_text, text_table


@dataclass(frozen=True)
class LayerSummary:
    """A layer of a model.

    Attributes:
        name: with the names of the models and layers around it: "block1/conv".
        kind: its class; of a frozen layer, that of the trained one.
        output_shape: without the batch, of the first call; a tuple of shapes where it has several outputs; None where
            it is never called.
        calls: how often one pass of the model calls it.
        size: its weights; those shared with an earlier layer count there.
        macs: multiply-accumulates of all its calls, for one example.
    """

    name: str
    kind: str
    output_shape: tuple[Any, ...] | None
    calls: int
    size: Size
    macs: Macs

    def to_dict(self) -> dict[str, Any]:
        """One flat record."""
        return {
            "name": self.name,
            "kind": self.kind,
            "output_shape": self.output_shape,
            "calls": self.calls,
            **_figures(self.size, self.macs),
        }


@dataclass(frozen=True)
class Summary:
    """What `bnn_tf.summary` returns; `print` shows it as a table.

    Attributes:
        model: the model's name.
        input_shape: without the batch; a tuple of shapes where there are several inputs.
        layers: by the order of their first calls.
        assumed: layers that are neither Keras' nor bnn_tf's, have no weights and no rule, and so count as free of MACs.
    """

    model: str
    input_shape: tuple[Any, ...]
    layers: tuple[LayerSummary, ...]
    assumed: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        """The weights of all layers."""
        return reduce(add, (layer.size for layer in self.layers), Size())

    @property
    def macs(self) -> Macs:
        """The multiply-accumulates of all layers, for one example."""
        return reduce(add, (layer.macs for layer in self.layers), Macs())

    @property
    def compression(self) -> float:
        """How many times as many bytes the weights take as trained; 1 where there are none."""
        return self.size.float_bytes / self.size.packed_bytes if self.size.packed_bytes else 1.0

    @property
    def binary_share(self) -> float:
        """The share of the MACs whose weights are binary, 0 to 1."""
        return self.macs.binary / self.macs.total if self.macs.total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain types: `pandas.DataFrame(summary.to_dict()["layers"])` has a row a layer."""
        return {
            "model": self.model,
            "input_shape": self.input_shape,
            "layers": [layer.to_dict() for layer in self.layers],
            "total": {
                **_figures(self.size, self.macs),
                "compression": self.compression,
                "binary_share": self.binary_share,
            },
            "assumed_free_of_macs": list(self.assumed),
        }

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        rows = [_cells(layer) for layer in self.layers]
        total = ("total", "", "", "", *_figure_cells(self.size, self.macs))
        title = f"{self.model}, input {shape_text(self.input_shape)}"
        return "\n".join([title, text_table(_HEADER, rows, total, left=3), _footer(self)])


def summary(model: keras.Model, input_shape: Any = None) -> Summary:
    """Counts, layer by layer, the weights of a model, the bytes they take and the multiply-accumulates (MACs).

    The model runs once on symbolic tensors, so that whatever is called is counted: models inside models, layers called
    twice (their weights once, their MACs each time), layers made by other layers. A model that `bnn_tf.freeze` made has
    the summary of the trained one.

    Bytes as trained are 4 for each weight. Packed are the bits of each binary kernel, rounded up to whole bytes, and 4
    for each alpha and every other weight, statistics of normalisations included. MACs come in three kinds: `xnor`
    (weights and input binary), `add` (binary weights, float input) and `float32`; binary are the first two. What works
    element by element (biases, normalisations, activations, poolings, alpha and K) counts as none.

    Args:
        model: a built model.
        input_shape: without the batch, as (224, 224, 3): needed where the model leaves a size open. For several inputs,
            shapes in the structure that the model takes.

    Returns:
        A `Summary`: `print` it, or use `to_dict()`, `to_json()`, `size`, `macs`, `compression`, `binary_share`.

    Raises:
        ArgumentError: a ValueError, for a model that isn't built, a size left open, an input shape that the model
            doesn't take, or a layer with weights of a class that nobody gave a rule for (see
            `bnn_tf.models.register_macs`).

    Example:

    >>> lenet = bnn_tf.summary(bnn_tf.models.lenet("bwn"))
    >>> print(lenet)
    >>> lenet.macs.add, lenet.macs.float32
    (13246464, 637440)
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ArgumentError(
            f"summary: expected a built Keras model. Got {getattr(model, 'name', model)!r} "
            f"({type(model).__name__}). Call it on data first, or its build(input_shape)."
        )
    inputs = symbolic_inputs(model, input_shape)
    batches = keras.tree.flatten(inputs)[0].shape[0]
    trace = Trace(model, inputs)
    counted: set[int] = set()
    layers = [
        LayerSummary(
            call.path,
            _kind(call.operation),
            _without_batch(call.output_shape),
            call.times,
            layer_size(call.operation, counted) if isinstance(call.operation, keras.Layer) else Size(),
            call.macs // batches,
        )
        for call in trace.calls
    ]
    # What no call reached, or a wrapper holds itself.
    for layer in model._flatten_layers():
        if (rest := layer_size(layer, counted, inner=False)) != Size():
            layers.append(LayerSummary(layer.name, _kind(layer), None, 0, rest, Macs()))
    shapes = [tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(inputs)]
    return Summary(
        model.name,
        shapes[0] if len(shapes) == 1 else tuple(shapes),
        tuple(layers),
        tuple(trace.assumed.values()),
    )


def _kind(operation: Any) -> str:
    name = type(operation).__name__
    return name.removeprefix("Frozen") if isinstance(operation, FrozenLayer) else name


def _without_batch(shapes: Any) -> tuple[Any, ...]:
    return tuple(shape[1:] for shape in shapes) if isinstance(shapes, list) else shapes[1:]


_HEADER = (
    "layer",
    "kind",
    "output",
    "calls",
    "1-bit weights",
    "32-bit weights",
    "bytes trained",
    "packed",
    "MACs xnor",
    "add",
    "float32",
)


def _figures(size: Size, macs: Macs) -> dict[str, int]:
    return {
        "binary_weights": size.binary_weights,
        "float_weights": size.float_weights,
        "scales": size.scales,
        "trained_bytes": size.float_bytes,
        "packed_bytes": size.packed_bytes,
        "macs": macs.total,
        "binary_macs": macs.binary,
        "xnor_macs": macs.xnor,
        "add_macs": macs.add,
        "float_macs": macs.float32,
    }


def _figure_cells(size: Size, macs: Macs) -> tuple[str, ...]:
    figures = (
        size.binary_weights,
        size.float_weights,
        size.float_bytes,
        size.packed_bytes,
        macs.xnor,
        macs.add,
        macs.float32,
    )
    return tuple(f"{figure:,}" for figure in figures)


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    return (
        layer.name,
        layer.kind,
        shape_text(layer.output_shape),
        str(layer.calls),
        *_figure_cells(layer.size, layer.macs),
    )


def _footer(result: Summary) -> str:
    size, macs = result.size, result.macs
    lines = [
        f"weights: {size.float_bytes:,} bytes as trained, {size.packed_bytes:,} packed ({result.compression:.1f}×)",
        f"MACs: {macs.total:,}, {result.binary_share:.1%} of them binary (xnor: weights and input; add: weights only)",
    ]
    if result.assumed:
        lines.append(f"counted as free of MACs, for want of weights and of a rule: {', '.join(result.assumed)}")
    return "\n".join(lines)
