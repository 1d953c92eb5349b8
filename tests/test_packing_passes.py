"""What is folded into what, where it may be, and that nothing else changes."""

import keras
import numpy as np
import pytest
from packed_cases import assert_agrees, functional, images, ops, packed, sequential, small

from bnn_tf import layers

L = keras.layers


class TestPasses:
    @pytest.mark.parametrize(
        "layer",
        [
            L.Conv2D(8, 3),
            L.DepthwiseConv2D(3, use_bias=False),
            L.Dense(5),
            layers.BinaryConv2D(8, 3, use_bias=False),
            layers.BinaryConvInput2D(8, 3),
        ],
        ids=lambda layer: layer.name,
    )
    def test_batch_norm_and_activation_into_what_is_before(self, layer, tmp_path):
        model = sequential(layer, L.BatchNormalization(), L.BatchNormalization(), L.ReLU(6.0))
        x = images(model)
        file = packed(model, tmp_path)
        assert len(file.nodes) == 1 and file.nodes[0]["activation"] == {"kind": "relu", "max": 6.0, "slope": 0.0}
        assert_agrees(file, model, x)

    def test_negative_gamma_makes_alpha_negative(self, tmp_path):
        norm = L.BatchNormalization()
        model = sequential(layers.BinaryConv2D(4, 3), norm)
        norm.gamma.assign([1.0, -1.0, -2.0, 0.0])
        file = packed(model, tmp_path)
        assert np.sign(file.weight(file.nodes[0], "alpha")).tolist() == [1, -1, -1, 0]
        x = images(model)
        assert_agrees(file, model, x)

    def test_batch_norm_behind_an_activation_stays(self, tmp_path):
        model = sequential(L.Conv2D(4, 3), L.ReLU(), L.BatchNormalization())
        x = images(model)
        file = packed(model, tmp_path)
        assert ops(file) == ["conv2d", "scale_shift"]
        assert_agrees(file, model, x)

    def test_batch_norm_before_signs_moves_there(self, tmp_path):
        def call(x):
            x = L.BatchNormalization()(x)
            return L.Add()([layers.BinaryConvInput2D(4, 3, padding="same")(x), layers.BinaryDenseInput(4)(x)])

        model = functional(call)
        file = packed(model, tmp_path)
        assert ops(file) == ["binary_conv_input2d", "binary_conv_input2d", "add"]
        assert file.nodes[0]["pre_scale"] == file.nodes[1]["pre_scale"] is not None
        x = images(model)
        assert_agrees(file, model, x)

    def test_batch_norm_that_others_read_stays(self, tmp_path):
        def call(x):
            x = L.BatchNormalization()(x)
            return L.Add()([layers.BinaryConvInput2D(6, 3, padding="same")(x), x])

        model = functional(call)
        file = packed(model, tmp_path)
        assert ops(file) == ["scale_shift", "binary_conv_input2d", "add"]
        x = images(model)
        assert_agrees(file, model, x)

    def test_what_others_read_is_not_changed(self, tmp_path):
        def call(x):
            x = L.Conv2D(6, 3, padding="same")(x)
            return L.Concatenate()([x, L.ReLU()(x), L.BatchNormalization()(x)])

        model = functional(call)
        file = packed(model, tmp_path)
        assert ops(file) == ["conv2d", "activation", "scale_shift", "concat"]
        x = images(model)
        assert_agrees(file, model, x)

    def test_a_shared_layer_folds_what_follows_each_call(self, tmp_path):
        shared = L.Conv2D(6, 3, padding="same")
        model = functional(lambda x: L.BatchNormalization()(shared(L.BatchNormalization()(shared(x)))))
        file = packed(model, tmp_path)
        assert ops(file) == ["conv2d", "conv2d"]
        x = images(model)
        assert_agrees(file, model, x)

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ([L.ZeroPadding2D(1), L.Conv2D(4, 3)], ["conv2d"]),
            (
                [L.ZeroPadding2D(((1, 0), (2, 1))), layers.BinaryConv2D(4, 3, padding=((0, 1), (1, 0)))],
                ["binary_conv2d"],
            ),
            ([L.ZeroPadding2D(1), L.Conv2D(4, 3, padding="same")], ["pad", "conv2d"]),
            ([L.ZeroPadding2D(1), layers.BinaryConvInput2D(4, 3)], ["pad", "binary_conv_input2d"]),
            ([L.ZeroPadding2D(1), L.AveragePooling2D(3)], ["pad", "average_pool2d"]),
            ([L.ZeroPadding2D(1), L.MaxPooling2D(3)], ["pad", "max_pool2d"]),
            ([L.Dense(6), L.ReLU(), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2)], ["conv2d", "max_pool2d"]),
            ([L.Dense(6), L.ReLU(), L.ZeroPadding2D(2), L.MaxPooling2D(2)], ["conv2d", "pad", "max_pool2d"]),
            ([L.Dense(6), L.LeakyReLU(), L.ZeroPadding2D(1), L.MaxPooling2D(3)], ["conv2d", "pad", "max_pool2d"]),
        ],
    )
    def test_padding_moves_where_it_is_the_same(self, parts, expected, tmp_path):
        model = sequential(*parts)
        file = packed(model, tmp_path)
        assert ops(file) == expected
        x = images(model)
        assert_agrees(file, model, x)

    def test_what_nothing_reads_is_left_out(self, tmp_path):
        model = small("googlenet", "bwn")
        part = keras.Model(model.input, model.get_layer("inception3a").output)
        assert ops(packed(part, tmp_path))[-1] == "concat"
