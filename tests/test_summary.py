"""`bnn_tf.summary`: what it counts, worked out by hand, and what it refuses to guess."""

import json
import math
import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import bnn_tf
from bnn_tf import models
from bnn_tf.layers import BinaryConv2D, BinaryConvInput2D, BinaryDense, BinaryDenseInput
from bnn_tf.models.table import without_weights

INPUT = (8, 9, 6)


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


def total(model, **options):
    return bnn_tf.summary(model, **options).macs.total


class TestMacs:
    @pytest.mark.parametrize(
        ("shape", "layer", "expected"),
        [
            (INPUT, layers.Conv2D(4, (3, 2)), 6 * 8 * 4 * (3 * 2 * 6)),
            (INPUT, layers.Conv2D(4, 3, padding="same", strides=2), 4 * 5 * 4 * (9 * 6)),
            (INPUT, layers.Conv2D(4, 3, groups=2, dilation_rate=2), 4 * 5 * 4 * (9 * 3)),
            ((10, 6), layers.Conv1D(4, 3), 8 * 4 * (3 * 6)),
            ((5, 6, 7, 2), layers.Conv3D(4, 2), 4 * 5 * 6 * 4 * (8 * 2)),
            (INPUT, layers.Conv2DTranspose(4, 3, strides=2), 8 * 9 * 6 * (9 * 4)),
            ((10, 6), layers.Conv1DTranspose(4, 3), 10 * 6 * (3 * 4)),
            (INPUT, layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 7 * 12 * 9),
            ((10, 6), layers.DepthwiseConv1D(3), 8 * 6 * 3),
            (INPUT, layers.SeparableConv2D(4, 3, depth_multiplier=2), 6 * 7 * (12 * 9 + 12 * 4)),
            ((10, 6), layers.SeparableConv1D(4, 3), 8 * (6 * 3 + 6 * 4)),
            ((7,), layers.Dense(5), 35),
            ((3, 4, 7), layers.Dense(5), 3 * 4 * 35),
            ((3, 7), layers.EinsumDense("abc,cd->abd", (3, 5)), 3 * 35),
            ((3, 4, 7), layers.EinsumDense("...c,cd->...d", 5), 3 * 4 * 35),
            ((5, 7), layers.LSTM(3), 5 * 4 * 3 * (7 + 3)),
            ((5, 7), layers.GRU(3, return_sequences=True), 5 * 3 * 3 * (7 + 3)),
            ((5, 7), layers.Bidirectional(layers.SimpleRNN(3)), 2 * 5 * 3 * (7 + 3)),
            ((5, 7), layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), 5 * (12 * (7 + 3) + 6 * (3 + 2))),
            ((4, 6, 6, 2), layers.ConvLSTM2D(3, 3), 4 * (4 * 4) * (9 * 2 * 12 + 9 * 3 * 12)),
            ((5, 8, 8, 3), layers.TimeDistributed(layers.Conv2D(4, 3)), 5 * 6 * 6 * 4 * 27),
            ((5, 7), layers.TimeDistributed(sequential((7,), layers.Dense(3), layers.Dense(2))), 5 * (21 + 6)),
            ((9,), layers.SpectralNormalization(layers.Dense(4)), 36),
            ((9,), layers.Dense(4, activation=layers.PReLU()), 36),
            (INPUT, layers.BatchNormalization(), 0),
            ((9,), layers.Embedding(10, 4), 0),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_of_a_layer(self, shape, layer, expected):
        summary = bnn_tf.summary(sequential(shape, layer))
        assert (summary.macs.xnor, summary.macs.add, summary.macs.float32) == (0, 0, expected)
        assert summary.size == models.model_size(layer) and summary.assumed == ()

    @pytest.mark.parametrize(
        ("layer", "expected"),
        [
            (BinaryConv2D(4, 3), (0, 6 * 7 * 4 * 54)),
            (BinaryConv2D(4, 3, groups=2, strides=2, padding="same"), (0, 4 * 5 * 4 * 27)),
            (BinaryConvInput2D(4, 3, padding=((1, 0), (2, 0))), (7 * 9 * 4 * 54, 0)),
            (BinaryDense(5), (0, 72 * 6 * 5)),
            (BinaryDenseInput(5, activation=layers.PReLU()), (72 * 6 * 5, 0)),
            (layers.TimeDistributed(BinaryDenseInput(5)), (72 * 6 * 5, 0)),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_of_a_binary_layer(self, layer, expected):
        macs = bnn_tf.summary(sequential(INPUT, layer)).macs
        assert (macs.xnor, macs.add, macs.float32) == (*expected, 0)
        assert macs.binary == macs.total == sum(expected)

    def test_of_attention(self):
        query, value = keras.Input((5, 8)), keras.Input((7, 6))
        projections = 5 * 8 * 6 + 7 * 6 * 6 + 7 * 6 * 8 + 5 * 8 * 8  # 2 heads of 3, values of 4
        multi_head = layers.MultiHeadAttention(2, 3, value_dim=4)(query, value)
        assert total(keras.Model([query, value], multi_head)) == projections + 5 * 7 * 2 * (3 + 4)
        same = keras.Input((7, 8))
        assert total(keras.Model([query, same], layers.Attention()([query, same]))) == 5 * 7 * (8 + 8)
        grouped = layers.GroupQueryAttention(3, 4, 2)(query, query)
        assert total(keras.Model(query, grouped)) == 5 * 8 * 3 * (4 + 2 + 2 + 4) + 5 * 5 * 4 * (3 + 3)

    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (lambda a, b: a @ b, 2 * 3 * 4 * 5),
            (lambda a, b: ops.einsum("bhij,bhjk->bik", a, b), 2 * 3 * 4 * 5),
            (lambda a, b: ops.tensordot(a, ops.ones((4, 7)), 1), 2 * 3 * 4 * 7),
            (lambda a, b: layers.Dot((3, 2))([a, b]), (2 * 3) * (2 * 5) * 4),
            (lambda a, b: ops.conv(a, ops.ones((2, 2, 4, 6))), 1 * 2 * 6 * 16),
            (lambda a, b: ops.depthwise_conv(a, ops.ones((2, 2, 4, 1))), 1 * 2 * 4 * 4),
            (lambda a, b: a + ops.relu(a), 0),
        ],
        ids=["matmul", "einsum", "tensordot", "dot", "conv", "depthwise", "elementwise"],
    )
    def test_of_operations(self, function, expected):
        a, b = keras.Input((2, 3, 4)), keras.Input((2, 4, 5))
        assert total(keras.Model([a, b], function(a, b))) == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            # keras.io lists 300 M (MobileNetV2); torchvision 1.81 G, 4.09 G, 15.47 G, 0.71 G.
            ("mobilenet_v2", 300_774_272),
            ("resnet18", 1_814_073_344),
            ("resnet50", 4_089_184_256),
            ("vgg16", 15_470_264_320),
            ("alexnet_torch", 714_188_480),
        ],
    )
    def test_published(self, name, expected):
        assert without_weights(lambda: bnn_tf.summary(models.build(name, "float"))).macs.float32 == expected


class TestStructure:
    def test_a_model_called_twice_and_a_shared_layer(self):
        inner = keras.Sequential(
            [keras.Input((8, 8, 4)), BinaryConvInput2D(4, 3, padding="same", name="conv")], name="inner"
        )
        head = layers.Dense(3, name="head")
        a, b = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
        maps = layers.Concatenate(axis=1, name="both")([inner(a), inner(b)])
        model = keras.Model([a, b], [head(maps), head(inner(a))])
        summary = bnn_tf.summary(model)
        rows = {layer.name: layer for layer in summary.layers}
        assert list(rows) == ["inner/conv", "both", "head"]
        assert (rows["inner/conv"].calls, rows["inner/conv"].macs.xnor) == (3, 3 * 64 * 4 * 36)
        assert (rows["head"].calls, rows["head"].macs.float32) == (2, (128 + 64) * 12)
        assert summary.size.binary_weights == 144 and summary.size == models.model_size(model)
        assert rows["both"].output_shape == (16, 8, 4) and summary.input_shape == ((8, 8, 4), (8, 8, 4))

    def test_layers_made_by_layers(self):
        class Block(layers.Layer):
            def __init__(self):
                super().__init__(name="block")
                self.conv = BinaryConv2D(4, 3, padding="same", name="conv")
                self.never = layers.Dense(2, name="never")

            def build(self, shape):
                self.never.build((None, 3))

            def call(self, x):
                return x + self.conv(self.conv(x))

        summary = bnn_tf.summary(sequential((8, 8, 4), Block()))
        rows = {layer.name: layer for layer in summary.layers}
        assert (rows["block/conv"].calls, rows["block/conv"].macs.add) == (2, 2 * 64 * 144)
        assert (rows["never"].calls, rows["never"].output_shape, rows["never"].size.float_weights) == (0, None, 8)
        assert "never  Dense" in str(summary).replace("       ", "  ")

    def test_subclassed_models(self):
        class Twins(keras.Model):
            def __init__(self):
                super().__init__(name="twins")
                self.dense = BinaryDense(5, name="dense")

            def call(self, inputs):
                return self.dense(inputs["a"]) + self.dense(inputs["b"])

        model = Twins()
        model({"a": np.ones((2, 7)), "b": np.ones((2, 7))})
        assert bnn_tf.summary(model, {"b": (7,), "a": (7,)}).macs.add == 2 * 35
        with pytest.raises(ValueError, match=r"^summary: 'twins' doesn't say what its input looks like\. Give"):
            bnn_tf.summary(model)

    @pytest.mark.parametrize("scheme", ["bwn", "dorefa", "xnor"])
    @pytest.mark.parametrize("name", ["lenet", "bireal_cifar"])
    def test_frozen_models_are_the_same(self, name, scheme):
        model = models.build(name, scheme, input_shape=(8, 8, 1), width=0.3)
        assert bnn_tf.summary(bnn_tf.freeze(model)) == bnn_tf.summary(model)

    def test_the_model_stays_as_it_is(self):
        model = models.build("mlp_mnist", "xnor", input_shape=(8, 8, 1))
        before = [set(vars(layer)) for layer in model._flatten_layers()]
        weights = model.get_weights()
        bnn_tf.summary(model)
        assert [set(vars(layer)) for layer in model._flatten_layers()] == before
        assert all(map(np.array_equal, weights, model.get_weights()))

    def test_a_fixed_batch_counts_as_one(self):
        model = keras.Sequential([keras.Input(batch_shape=(4, 7)), layers.Dense(5)])
        assert total(model) == 35


class TestSizes:
    def test_packed_bytes_are_the_frozen_bits(self):
        """Counted in a frozen model, whose rows of 32 bits and 16 filters these kernels fill."""
        parts = [BinaryConv2D(32, 3, use_bias=False), layers.Flatten(), BinaryDenseInput(64, use_bias=False)]
        model = sequential((8, 8, 32), *parts)
        held = sum(weight.numpy().nbytes for weight in bnn_tf.freeze(model).weights)
        summary = bnn_tf.summary(model)
        assert summary.size.packed_bytes == held == (9 * 32 * 32 + 36 * 32 * 64) // 8 + 4 * (32 + 64)
        assert summary.compression == 4 * model.count_params() / held

    def test_each_kernel_rounds_up(self):
        parts = [BinaryDense(3, use_bias=False, scaling="none"), BinaryDense(3, use_bias=False, scaling="none")]
        summary = bnn_tf.summary(sequential((3,), *parts))
        assert [layer.size.packed_bytes for layer in summary.layers] == [2, 2] and summary.size.packed_bytes == 4

    def test_lenet(self):
        summary = bnn_tf.summary(models.lenet("xnor"))
        assert summary.macs == models.Macs(xnor=7 * 7 * 4 * 64 * 800 + 3136 * 1024, float32=28 * 28 * 800 + 10_240)
        assert summary.binary_share == summary.macs.xnor / summary.macs.total
        assert summary.size.packed_bytes == (51_200 + 3_211_264) // 8 + 4 * (summary.size.float_weights + 1088)


class TestForms:
    def test_dict_and_json(self):
        model = sequential((8, 8, 4), BinaryConv2D(4, 3, name="conv"), layers.Flatten(name="flatten"))
        summary = bnn_tf.summary(model)
        plain = summary.to_dict()
        assert json.loads(summary.to_json()) == json.loads(json.dumps(plain))
        conv, _ = plain["layers"]
        assert conv == {
            "name": "conv",
            "kind": "BinaryConv2D",
            "output_shape": (6, 6, 4),
            "calls": 1,
            "binary_weights": 144,
            "float_weights": 4,
            "scales": 4,
            "trained_bytes": 592,
            "packed_bytes": 18 + 4 * 8,
            "macs": 5184,
            "binary_macs": 5184,
            "xnor_macs": 0,
            "add_macs": 5184,
            "float_macs": 0,
        }
        assert all(row.keys() == conv.keys() for row in plain["layers"])
        assert plain["total"]["macs"] == 5184 and plain["total"]["binary_share"] == 1

    def test_text(self):
        lines = str(bnn_tf.summary(models.lenet("xnor"))).splitlines()
        assert lines[0] == "lenet_xnor, input 28×28×1"
        columns = (
            r"layer +kind +output +calls +1-bit weights +32-bit weights +bytes trained +packed +MACs xnor +add +float32"
        )
        assert re.fullmatch(columns, lines[1])
        conv = next(line for line in lines if line.startswith("conv2 "))
        assert conv.split() == ["conv2", "BinaryConvInput2D", "14×14×64", "1", "51,200", "0", "204,800", "6,656",
                                "10,035,200", "0", "0"]  # fmt: skip
        assert lines[-1].startswith("MACs: 13,883,904, 95.4% of them binary")

    def test_nothing_to_count(self):
        summary = bnn_tf.summary(sequential((4,), layers.ReLU()))
        assert (summary.compression, summary.binary_share, summary.macs.total) == (1, 0, 0)


class Gate(layers.Layer):
    """x times a weight matrix, in a way of its own."""

    def build(self, shape):
        self.table = self.add_weight((shape[-1], shape[-1]))

    def call(self, x):
        return ops.sigmoid(x @ self.table)


class TestHook:
    def test_a_layer_without_a_rule_is_an_error(self):
        with pytest.raises(
            ValueError,
            match=r"^summary: can't tell how many multiply-accumulates 'gate' \(Gate\) computes: it has weights, .*"
            r"Give one: bnn_tf\.models\.register_macs\(Gate, lambda",
        ):
            bnn_tf.summary(sequential((4,), Gate(name="gate")))

    def test_in_a_recurrent_layer_too(self):
        class Cell(Gate):
            state_size = output_size = 4

            def call(self, x, states):
                return super().call(x), states

        with pytest.raises(ValueError, match=r"multiply-accumulates 'cell' \(Cell\) computes"):
            bnn_tf.summary(sequential((3, 4), layers.RNN(Cell(name="cell"))))

    def test_a_rule_holds_for_derived_classes(self):
        class Ruled(Gate):
            pass

        class Derived(Ruled):
            pass

        models.register_macs(Ruled, lambda layer, inputs, outputs: math.prod(outputs) * inputs[-1])
        assert total(sequential((5, 4), Derived())) == 5 * 16
        models.register_macs(Derived, lambda layer, inputs, outputs: models.Macs(xnor=3))
        assert bnn_tf.summary(sequential((5, 4), Derived(), Ruled())).macs == models.Macs(xnor=3, float32=80)

    def test_foreign_layers_without_weights_are_named(self):
        summary = bnn_tf.summary(sequential((4,), layers.Lambda(lambda x: x * 2, name="twice")))
        assert summary.assumed == ("twice (Lambda)",)
        assert "free of MACs, for want of weights and of a rule: twice (Lambda)" in str(summary)

    def test_no_class(self):
        with pytest.raises(ValueError, match=r"^register_macs: `layer_class` must be a class\. Got 'Dense'"):
            models.register_macs("Dense", lambda *_: 0)


class TestInputs:
    def test_an_open_size_must_be_said(self):
        model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)], name="open")
        with pytest.raises(
            ValueError, match=r"^summary: the input of 'open' has no definite size: any×any×3\. Say for"
        ):
            bnn_tf.summary(model)
        summary = bnn_tf.summary(model, (8, 9, 3))
        assert summary.macs.float32 == 6 * 7 * 4 * 27 and summary.layers[0].output_shape == (6, 7, 4)

    @pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8), (8, None, 3), ((8, 8, 3), (8, 8, 3))])
    def test_another_shape_than_the_models(self, shape):
        with pytest.raises(ValueError, match=r"^summary: '\w+' takes 8×8×3, without the batch\. Got input_shape=\("):
            bnn_tf.summary(sequential((8, 8, 3), layers.ReLU()), shape)

    def test_a_size_that_depends_on_the_data(self):
        class Positive(layers.Layer):
            def call(self, x):
                return ops.reshape(x[x > 0], (-1, 1))

            def compute_output_shape(self, shape):
                return (None, 1)

        with pytest.raises(ValueError, match=r"^summary: 'head' \(Dense\) has no definite size: .*depend on the data"):
            bnn_tf.summary(sequential((4,), Positive(), layers.Dense(2, name="head")))

    @pytest.mark.parametrize("model", [keras.Sequential([layers.Dense(2)], name="new"), "resnet"], ids=["new", "name"])
    def test_no_built_model(self, model):
        with pytest.raises(ValueError, match=r"^summary: expected a built Keras model\. Got '(new|resnet)'"):
            bnn_tf.summary(model)


def test_it_is_plain_text_wherever_it_is_printed(monkeypatch):
    """Notebooks set FORCE_COLOR, and whoever prints a table there wants no escape codes in it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in str(bnn_tf.summary(sequential(INPUT, layers.Conv2D(2, 3))))
