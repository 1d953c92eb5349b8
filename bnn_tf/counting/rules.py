"""The multiply-accumulates of Keras' own layers and operations; importing this registers them.

Shapes have the batch in front; a kernel is [taps..., channels of a group, filters].
"""

import math
from typing import Any

import keras
from keras import layers

from bnn_tf.counting.macs import Macs, Rule, Shape, count, find_rule, no_rule, register_macs


def _none(layer: Any, inputs: Any, outputs: Any) -> int:
    return 0


def _conv(layer: Any, inputs: Shape, outputs: Shape) -> int:
    return math.prod(outputs) * math.prod(layer.kernel.shape[:-1])


def _conv_transpose(layer: Any, inputs: Shape, outputs: Shape) -> int:
    # Each input reaches every tap of every filter: [taps..., filters, channels].
    return math.prod(inputs) * math.prod(layer.kernel.shape[:-1])


def _depthwise(layer: Any, inputs: Shape, outputs: Shape) -> int:
    return math.prod(outputs) * math.prod(layer.kernel_size)


def _separable(layer: Any, inputs: Shape, outputs: Shape) -> int:
    pixels = math.prod(outputs) // layer.filters
    return pixels * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))


def _dense(layer: Any, inputs: Shape, outputs: Shape) -> int:
    return math.prod(outputs) * layer.kernel.shape[0]


def _einsum_dense(layer: Any, inputs: Shape, outputs: Shape) -> int:
    return _einsum_macs(layer.equation, [inputs, layer.kernel.shape], outputs)


def _einsum_macs(equation: str, inputs: list[Shape], outputs: Shape) -> int:
    """Of one product over all indices: the sizes of those summed over, for each element of the output."""
    operands, arrow, result = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for subscripts, shape in zip(operands.split(","), inputs, strict=True):
        before, _, after = subscripts.partition("...")
        sizes |= dict(zip(before, shape, strict=False))
        sizes |= dict(zip(reversed(after), reversed(shape), strict=False))
    if not arrow:
        result = "".join(index for index in sizes if operands.count(index) == 1)
    return math.prod(outputs) * math.prod(size for index, size in sizes.items() if index not in result)


def _dot(layer: Any, inputs: list[Shape], outputs: Shape) -> int:
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(outputs) * inputs[0][axis]


def _attention(layer: Any, inputs: list[Shape], outputs: Any) -> int:
    query, value = inputs[:2]
    return (math.prod(query) + math.prod(_first(outputs))) * value[1]


def _multi_head_attention(layer: Any, inputs: list[Shape], outputs: Any) -> int:
    query, value, *rest = inputs
    key = rest[0] if rest else value
    _, heads, key_size = layer._query_dense.kernel.shape[-3:]
    sources = math.prod(value[axis] for axis in getattr(layer, "_attention_axes", (1,)))
    scores = math.prod(query[:-1]) * sources * heads * (key_size + layer._value_dense.kernel.shape[-1])
    projected = [(query, "query"), (key, "key"), (value, "value"), (_first(outputs), "output"), (query, "gate")]
    parts = [(shape, getattr(layer, f"_{part}_dense", None)) for shape, part in projected]
    return scores + sum(math.prod(shape[:-1]) * math.prod(part.kernel.shape) for shape, part in parts if part)


def _reversible_embedding(layer: Any, inputs: Shape, outputs: Shape) -> int:
    # A look-up adds an axis; in reverse it is a product with the table.
    return math.prod(outputs) * inputs[-1] if len(inputs) == len(outputs) else 0


def _first(shapes: Any) -> Shape:
    return shapes[0] if isinstance(shapes, list) else shapes


# Recurrent layers: as many steps of the cell as the sequence has.


def _rnn(layer: Any, inputs: Any, outputs: Any) -> Macs:
    batch, steps, *rest = _first(inputs)
    return _step(layer.cell, (batch, *rest)) * steps


def _step(cell: Any, inputs: Shape) -> Macs:
    rule = find_rule(cell)
    if rule is None:
        raise no_rule(cell)
    return count(rule, cell, inputs, (inputs[0], cell.output_size))


def _stacked_cells(stack: Any, inputs: Shape, outputs: Shape) -> Macs:
    total = Macs()
    for cell in stack.cells:
        total += _step(cell, inputs)
        inputs = (inputs[0], cell.output_size)
    return total


def _cell(cell: Any, inputs: Shape, outputs: Shape) -> int:
    return inputs[0] * (math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape))


def _conv_lstm(layer: Any, inputs: Any, outputs: Any) -> int:
    batch, steps, *image = _first(inputs)
    cell = layer.cell
    pixels = math.prod(cell.compute_output_shape((batch, *image))[0]) // cell.filters
    return steps * pixels * (math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape))


# Operations that stand in a functional model themselves, `keras.ops.matmul(a, b)` say. Their classes aren't public.


def _product(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    return math.prod(outputs) * inputs[0][-1]


def _tensordot(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    # [m, k] and [k, n] give [m, n]: m k n is the root of their product.
    return math.isqrt(math.prod(map(math.prod, [*inputs, outputs])))


def _einsum(operation: Any, inputs: Any, outputs: Shape) -> int:
    return _einsum_macs(operation.subscripts, inputs if isinstance(inputs, list) else [inputs], outputs)


def _conv_operation(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    return math.prod(outputs) * math.prod(inputs[1][:-1])


def _depthwise_operation(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    return math.prod(outputs) * math.prod(inputs[1][:-2])


def _separable_operation(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    _, depthwise, pointwise = inputs
    return math.prod(outputs) // pointwise[-1] * (math.prod(depthwise) + math.prod(pointwise))


def _conv_transpose_operation(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][:-1])


def _dot_product_attention(operation: Any, inputs: list[Shape], outputs: Shape) -> int:
    return (math.prod(inputs[0]) + math.prod(outputs)) * inputs[1][1]


OPERATIONS: dict[str, Rule] = {
    "Conv": _conv_operation,
    "ConvTranspose": _conv_transpose_operation,
    "DepthwiseConv": _depthwise_operation,
    "Dot": _product,
    "DotProductAttention": _dot_product_attention,
    "Einsum": _einsum,
    "Inner": _product,
    "Matmul": _product,
    "SeparableConv": _separable_operation,
    "Tensordot": _tensordot,
}


def _names(prefix: str, *suffixes: str) -> list[str]:
    return [f"{prefix}{suffix}" for suffix in suffixes]


# By name, since older versions of Keras lack some. A class follows the one that it is derived from.
_LAYERS: list[tuple[Rule, list[str]]] = [
    (_conv, _names("Conv", "1D", "2D", "3D")),
    (_conv_transpose, _names("Conv", "1DTranspose", "2DTranspose", "3DTranspose")),
    (_depthwise, _names("DepthwiseConv", "1D", "2D")),
    (_separable, _names("SeparableConv", "1D", "2D")),
    (_dense, ["Dense"]),
    (_einsum_dense, ["EinsumDense"]),
    (_dot, ["Dot"]),
    (_attention, ["Attention"]),
    (_multi_head_attention, ["MultiHeadAttention", "GroupQueryAttention"]),
    (_reversible_embedding, ["ReversibleEmbedding"]),
    (_rnn, ["RNN"]),
    (_stacked_cells, ["StackedRNNCells"]),
    (_cell, ["SimpleRNNCell", "GRUCell", "LSTMCell"]),
    (_conv_lstm, _names("ConvLSTM", "1D", "2D", "3D")),
    (_none, ["Embedding", "PReLU", "Normalization"]),
    (_none, [f"{kind}Normalization" for kind in ("Batch", "Layer", "Group", "RMS", "Unit")]),
]

for _rule, _classes in _LAYERS:
    for _class in _classes:
        if hasattr(layers, _class):
            register_macs(getattr(layers, _class), _rule)


def rule_for(operation: keras.Operation) -> Rule | None:
    """The rule for a layer, or for an operation of a functional model; None where there is none."""
    return find_rule(operation) if isinstance(operation, keras.Layer) else OPERATIONS.get(type(operation).__name__)
