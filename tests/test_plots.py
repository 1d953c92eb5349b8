"""The pictures of networks: what is drawn is what was given."""

import keras
import numpy as np
import pytest
from figures import below, is_sound, legend

import bnn_tf
from bnn_tf import data, layers, models, plots, training
from bnn_tf.errors import ArgumentError
from bnn_tf.training.arrays import array


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:120], full.y_train[:120], full.x_test[:60], full.y_test[:60], full.class_names
    )


@pytest.fixture(scope="module")
def networks():
    """A narrow LeNet, in float and in both binary forms."""
    return {name: models.build("lenet", name, input_shape=(8, 8, 1), width=0.125) for name in ("float", "bwn", "xnor")}


@pytest.fixture(scope="module")
def latent(networks, digits):
    """What three epochs did to latent weights, and the history of the training."""
    weights = training.LatentWeights(bins=20)
    model = keras.models.clone_model(networks["bwn"])
    recipe = training.Recipe(epochs=3, batch_size=40, learning_rate=0.05)
    return weights, training.train(model, digits, recipe, callbacks=[weights]), model


class TestKernels:
    def test_latent_beside_binary(self, networks):
        figure = plots.kernels(networks["bwn"], ["conv1", "conv2"], most=4, title="kernels")
        first, latent, binary = is_sound(figure, panels=3)
        assert [axes.get_title() for axes in (first, latent, binary)] == [
            "conv1: weights",
            "conv2: latent weights",
            "conv2: binary weights",
        ]
        kernel = array(networks["bwn"].get_layer("conv2").kernel)
        shown = latent.images[0].get_array().filled(np.nan)
        assert shown.shape == (11, 11)  # 2×2 kernels of 5×5, and a gap
        assert np.array_equal(shown[6:, :5], kernel[:, :, 0, 1])
        assert np.isnan(shown[5]).all()
        assert np.array_equal(binary.images[0].get_array()[6:, :5], np.where(kernel[:, :, 0, 1] >= 0, 1, -1))
        assert latent.get_xlabel() == "input channels 1 to 2 of 4" and latent.get_ylabel() == "filters 1 to 2 of 8"

    def test_one_input_channel_is_a_grid_of_filters(self, networks):
        (axes,) = is_sound(plots.kernels(networks["float"], "conv1"), panels=1)
        assert axes.images[0].get_array().shape == (11, 11)
        assert axes.get_xlabel() == "4 filters, row by row"

    def test_three_input_channels_are_colours(self):
        layer = layers.BinaryConv2D(4, 3)
        layer.build((None, 8, 8, 3))
        kernel = np.zeros((3, 3, 3, 4), "float32")
        kernel[0, 0, :, 0] = 2.0, 0.0, -2.0
        layer.kernel.assign(kernel)
        latent, binary = is_sound(plots.kernels(layer), panels=2)
        assert latent.images[0].get_array()[0, 0].tolist() == [1.0, 0.5, 0.0]
        assert binary.images[0].get_array()[0, 0].tolist() == [1.0, 1.0, 0.0]  # the sign of 0 is +1
        assert latent.images[0].get_array()[3].tolist() == [[1.0] * 3] * 7  # gaps are white

    def test_a_frozen_model_shows_the_same_bits(self, networks):
        trained = plots.kernels(networks["bwn"], "conv2").axes[2].images[0].get_array()
        (frozen,) = is_sound(plots.kernels(bnn_tf.freeze(networks["bwn"]), "conv2"), panels=1)
        assert np.array_equal(frozen.images[0].get_array().filled(0), trained.filled(0))

    def test_dense_and_depthwise_layers(self, networks):
        latent, _ = is_sound(plots.kernels(networks["bwn"], "dense1", most=100), panels=2)
        assert latent.images[0].get_array().shape == (10, 10) and latent.get_ylabel() == "units 1 to 10 of 128"
        depthwise = keras.layers.DepthwiseConv2D(3)
        depthwise.build((None, 8, 8, 5))
        assert plots.kernels(depthwise).axes[0].get_xlabel() == "5 filters, row by row"

    def test_by_default_the_convolutions(self, networks):
        figure = plots.kernels(networks["xnor"])
        assert {axes.get_title().split(":")[0] for axes in is_sound(figure)} == {"conv1", "conv2"}

    @pytest.mark.parametrize(
        ("source", "names", "message"),
        [
            ("bwn", "conv9", "Unknown layer of lenet.* 'conv9'. Did you mean conv"),
            ("bwn", "pool1", r"pool1 \(MaxPooling2D\) has no kernel"),
            ("bwn", [], "names no layer"),
            (keras.layers.ReLU(), None, "isn't built|has no kernel"),
            (keras.Sequential([keras.layers.Dense(3)], name="later"), None, "later isn't built"),
            ("a name", None, "expected a Keras model or layer"),
        ],
    )
    def test_what_has_no_kernels(self, networks, source, names, message):
        source = networks.get(source, source) if isinstance(source, str) else source
        with pytest.raises(ArgumentError, match=message):
            plots.kernels(source, names)

    def test_at_least_one(self, networks):
        with pytest.raises(ArgumentError, match=r"`most` must be at least 1. Got most=0"):
            plots.kernels(networks["bwn"], most=0)


class TestScales:
    def test_alpha_of_each_filter(self, networks):
        conv, dense = is_sound(plots.scales(networks["bwn"]), panels=2)
        expected = np.abs(array(networks["bwn"].get_layer("conv2").kernel)).mean(axis=(0, 1, 2))
        np.testing.assert_allclose(conv.lines[0].get_ydata(), expected, rtol=1e-6)
        assert conv.get_xlabel() == "filter" and dense.get_xlabel() == "unit"
        frozen = plots.scales(bnn_tf.freeze(networks["bwn"]), "conv2").axes[0].lines[0].get_ydata()
        np.testing.assert_allclose(frozen, expected, rtol=1e-6)

    @pytest.mark.parametrize(("scaling", "expected"), [("tensor", [1.5, 1.5]), ("none", [1.0, 1.0])])
    def test_other_scalings(self, scaling, expected):
        layer = layers.BinaryDense(2, scaling=scaling)
        layer.build((None, 2))
        layer.kernel.assign([[1.0, -2.0], [-1.0, 2.0]])
        assert plots.scales(layer).axes[0].lines[0].get_ydata().tolist() == expected

    def test_float_layers_have_none(self, networks):
        with pytest.raises(ArgumentError, match=r"every layer of lenet.* has no binary weights"):
            plots.scales(networks["float"])
        with pytest.raises(ArgumentError, match=r"conv1 \(Conv2D\) has no binary weights, so no scale"):
            plots.scales(networks["bwn"], "conv1")


class TestFeatureMaps:
    def test_float_beside_binary(self, networks, digits):
        image = digits.normalize(digits.x_test[:1])
        pair = {name: networks[name] for name in ("float", "bwn")}
        shown, *maps = is_sound(plots.feature_maps(pair, image, ["conv1", "conv2"], most=4), panels=5)
        assert shown.get_xlabel() == "8×8 pixels"
        assert [axes.get_title() for axes in maps] == ["float: conv1", "bwn: conv1", "float: conv2", "bwn: conv2"]
        output = keras.Model(networks["bwn"].input, networks["bwn"].get_layer("conv2").output)(image)
        picture = maps[3].images[0].get_array().filled(np.nan)
        np.testing.assert_array_equal(picture[:4, 5:], array(output)[0, :, :, 1])
        assert maps[3].get_xlabel() == "maps 1 to 4 of 8, 4×4"

    def test_by_default_the_convolutions_that_all_have(self, networks, digits):
        figure = plots.feature_maps(networks, digits.normalize(digits.x_test[:1])[0])
        assert len(is_sound(figure)) == 1 + 2 * 3

    @pytest.mark.parametrize(
        ("image", "names", "message"),
        [
            (np.zeros((9, 8, 1), "float32"), None, r"takes images of the shape \(8, 8, 1\). Got one of \(9, 8, 1\)"),
            (np.zeros((2, 8, 8, 1), "float32"), None, r"Got one of \(2, 8, 8, 1\)"),
            (np.zeros((8, 8, 1), "uint8"), None, "must be normalised .* Got uint8"),
            (np.zeros((8, 8, 1), "float32"), ["conv7"], "Unknown layer of bwn 'conv7'"),
            (np.zeros((8, 8, 1), "float32"), ["dense1"], "dense1 of bwn gives no maps"),
        ],
    )
    def test_what_can_not_be_shown(self, networks, image, names, message):
        with pytest.raises(ArgumentError, match=message):
            plots.feature_maps({"bwn": networks["bwn"]}, image, names)

    def test_models_that_have_nothing_to_show(self, networks):
        image = np.zeros((8, 8, 1), "float32")
        with pytest.raises(ArgumentError, match="`models` is empty"):
            plots.feature_maps({}, image)
        with pytest.raises(ArgumentError, match=r"'later'.* isn't built"):
            plots.feature_maps({"later": keras.Sequential([keras.layers.Dense(1)])}, image)
        dense = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        with pytest.raises(ArgumentError, match="no convolution of the same name"):
            plots.feature_maps({"bwn": networks["bwn"], "dense": dense}, image)


class TestLatentWeights:
    def test_histograms_hold_every_weight(self, latent):
        weights, _, model = latent
        assert {name: list(of) for name, of in weights.histograms.items()} == {
            name: [0, 1, 2, 3] for name in ("conv2", "dense1")
        }
        kernel = array(model.get_layer("conv2").kernel).astype("float64")
        counts, edges = weights.histograms["conv2"][3]
        assert len(counts) == 20 and counts.sum() == kernel.size
        assert edges[0] == kernel.min() and edges[-1] == kernel.max()

    def test_flips_of_the_layers_are_those_of_the_history(self, latent):
        weights, done, model = latent
        sizes = {name: np.prod(model.get_layer(name).kernel.shape) for name in weights.flips}
        for epoch, share in enumerate(done.history["flipped"], 1):
            mean = sum(weights.flips[name][epoch] * size for name, size in sizes.items()) / sum(sizes.values())
            assert mean == pytest.approx(share)
            assert share > 0

    def test_memory_is_bounded(self):
        weights = training.LatentWeights(bins=2, most=4)
        weights.set_model(keras.Sequential([keras.Input((3,)), layers.BinaryDense(2, name="dense")]))
        weights.on_train_begin()
        for epoch in range(20):
            weights.on_epoch_begin(epoch)
            weights.on_epoch_end(epoch)
            assert len(weights.histograms["dense"]) <= 4
        assert list(weights.histograms["dense"]) == [0, 8, 16]
        assert set(weights.flips["dense"]) == set(range(1, 21)) and set(weights.flips["dense"].values()) == {0.0}
        weights.on_epoch_begin(0)  # another training begins
        assert list(weights.histograms["dense"]) == [0] and not weights.flips

    def test_without_binary_layers_it_is_empty(self, networks, digits):
        weights = training.LatentWeights()
        model = keras.models.clone_model(networks["float"])
        training.train(model, digits, training.Recipe(epochs=1, batch_size=60), callbacks=[weights])
        assert weights.histograms == weights.flips == {}
        with pytest.raises(ArgumentError, match="`histograms` is empty"):
            plots.weight_histograms(weights.histograms)

    def test_numbers_out_of_range(self):
        with pytest.raises(ArgumentError, match=r"`most` at least 2. Got bins=60 and most=1"):
            training.LatentWeights(most=1)

    def test_picture_of_histograms(self, latent):
        weights = latent[0]
        conv, dense = is_sound(plots.weight_histograms(weights.histograms), panels=2)
        assert legend(conv) == ["0", "1", "2", "3"] and conv.get_title() == "conv2" and dense.get_title() == "dense1"
        values, edges, _ = conv.patches[3].get_data()
        counts, expected = weights.histograms["conv2"][3]
        np.testing.assert_allclose(edges, expected)
        np.testing.assert_allclose(values, counts / counts.sum() / np.diff(expected))
        assert legend(plots.weight_histograms(weights.histograms, "conv2", epochs=[0, 3]).axes[0]) == ["0", "3"]

    def test_unknown_layers_and_epochs(self, latent):
        with pytest.raises(ArgumentError, match="Unknown layer with histograms 'conv1'"):
            plots.weight_histograms(latent[0].histograms, "conv1")
        with pytest.raises(ArgumentError, match=r"conv2 has no histogram after epoch 7. It has those after 0, 1, 2, 3"):
            plots.weight_histograms(latent[0].histograms, epochs=[7])

    def test_picture_of_flips(self, latent):
        (axes,) = is_sound(plots.sign_flips(latent[0].flips), panels=1)
        assert legend(axes) == ["conv2", "dense1"]
        assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
        assert list(axes.lines[0].get_ydata()) == list(latent[0].flips["conv2"].values())
        (axes,) = is_sound(plots.sign_flips({"bwn": [0.5, 0.0]}))
        assert list(axes.lines[0].get_ydata()) == [0.5, 0.0] and list(axes.lines[0].get_xdata()) == [1, 2]
        with pytest.raises(ArgumentError, match=r"'bwn'.* is empty"):
            plots.sign_flips({"bwn": {}})


class TestPseudoGradients:
    def test_every_quantizer(self):
        from bnn_tf import quantizers

        axes = is_sound(plots.pseudo_gradients(), panels=len(quantizers.names()))
        by_name = dict(zip(quantizers.names(), axes, strict=True))
        forward, backward = by_name["approx_sign"].lines
        u = forward.get_xdata()
        assert u[0] == -2 and u[-1] == 2
        assert np.array_equal(forward.get_ydata(), np.where(u >= 0, 1, -1))
        np.testing.assert_allclose(backward.get_ydata(), np.where(abs(u) <= 1, 2 - 2 * abs(u), 0), atol=1e-6)
        labels = [line.get_label() for line in by_name["ede"].lines]
        assert labels == ["forward: sign(u)", "backward at 0%", "backward at 50%", "backward at 100%"]
        texts = below(by_name["ede"])
        assert texts == [labels[0], "backward", *labels[1:]]

    def test_an_annealed_quantizer_stays_where_it_is(self):
        from bnn_tf import quantizers

        ede = quantizers.Ede(progress=0.25)
        is_sound(plots.pseudo_gradients([ede, "ste_sign"]), panels=2)
        assert ede.progress == 0.25

    def test_unknown_quantizer(self):
        with pytest.raises(ValueError, match="Unknown quantizer 'nothing'"):
            plots.pseudo_gradients(["nothing"])


def test_importing_it_imports_neither_tensorflow_nor_keras(run_python):
    run_python("import sys, bnn_tf.plots\nassert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)")
