"""Every registered network in every scheme, and what LeNet in particular promises."""

import keras
import numpy as np
import pytest

from bnn_tf import data, layers, models
from bnn_tf.layers.binary import BinaryLayer

EVERY = [(name, scheme) for name in models.list_models() for scheme in models.SCHEMES]
SMALL = {"input_shape": (8, 8, 1), "classes": 10, "width": 0.25}


def binary_layers(model):
    return [layer.name for layer in model.layers if isinstance(layer, BinaryLayer)]


@pytest.mark.parametrize(("name", "scheme"), EVERY)
class TestEvery:
    def test_shapes_and_names(self, name, scheme):
        model = models.build(name, scheme, **SMALL)
        assert model.output_shape == (None, 10)
        assert model.name == f"{name}_{scheme}"
        assert (len(binary_layers(model)) > 0) == models.SCHEMES[scheme].binary_weights

    def test_seed_makes_the_weights(self, name, scheme):
        first, again, other = (models.build(name, scheme, seed=seed, **SMALL).get_weights() for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))

    def test_learns_a_fixed_batch(self, name, scheme):
        digits = data.load("digits")
        x, y = digits.normalize(digits.x_train[:32]), digits.y_train[:32]
        model = models.build(name, scheme, **SMALL)
        model.compile(keras.optimizers.Adam(0.003), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = [float(model.train_on_batch(x, y)) for _ in range(20)]
        assert min(losses[-3:]) < 0.7 * losses[0], losses

    def test_save_and_load(self, name, scheme, tmp_path):
        model = models.build(name, scheme, **SMALL)
        x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(x), model(x))


class TestRegistry:
    def test_list(self):
        assert models.list_models() == ["lenet"]

    def test_unknown_model_leads_to_the_nearest(self):
        with pytest.raises(ValueError, match=r"^Unknown model 'LeNett'\. Did you mean lenet\? Known: lenet\.$"):
            models.build("LeNett")

    def test_unknown_scheme_leads_to_the_nearest(self):
        with pytest.raises(
            ValueError, match=r"^Unknown scheme 'xnorr'\. Did you mean xnor\? Known: bwn, dorefa, float, xnor\.$"
        ):
            models.build("lenet", "xnorr")


class TestLenet:
    def test_float_has_the_weights_of_the_tutorial(self):
        # 5*5*1*32+32, 5*5*32*64+64, 7*7*64*1024+1024, 1024*10+10: TensorFlow's "Deep MNIST for Experts".
        assert models.lenet().count_params() == 832 + 51_264 + 3_212_288 + 10_250 == 3_274_634

    def test_initial_weights(self):
        kernel = models.lenet().get_layer("dense1").kernel.numpy()
        # Keras cuts the normal at two deviations, which leaves 0.88 of the deviation.
        assert abs(kernel.std() / 0.1 - 0.88) < 0.01 and np.abs(kernel).max() <= 0.2

    def test_schemes_start_from_the_same_weights(self):
        kernels = [models.lenet(scheme, **SMALL).get_layer("conv2").kernel.numpy() for scheme in models.SCHEMES]
        assert all(np.array_equal(kernel, kernels[0]) for kernel in kernels)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, ["conv2", "dense1"]),
            ({"binarize_first": True}, ["conv1", "conv2", "dense1"]),
            ({"binarize_last": True}, ["conv2", "dense1", "logits"]),
        ],
        ids=["default", "first", "last"],
    )
    @pytest.mark.parametrize("scheme", ["bwn", "dorefa", "xnor"])
    def test_first_and_last_stay_float_unless_asked(self, scheme, options, expected):
        assert binary_layers(models.lenet(scheme, **options, **SMALL)) == expected

    @pytest.mark.parametrize(
        ("scheme", "conv", "dense", "scaling"),
        [
            ("float", keras.layers.Conv2D, keras.layers.Dense, None),
            ("bwn", layers.BinaryConv2D, layers.BinaryDense, "channel"),
            ("dorefa", layers.BinaryConv2D, layers.BinaryDense, "tensor"),
            ("xnor", layers.BinaryConvInput2D, layers.BinaryDenseInput, "channel"),
        ],
    )
    def test_layers_of_a_scheme(self, scheme, conv, dense, scaling):
        model = models.lenet(scheme, **SMALL)
        assert type(model.get_layer("conv2")) is conv and type(model.get_layer("dense1")) is dense
        assert getattr(model.get_layer("conv2"), "scaling", None) == scaling

    def test_normalised_before_the_sign(self):
        names = [layer.name for layer in models.lenet("xnor").layers]
        assert names[names.index("conv2") - 1] == "conv2_bn"

    def test_latent_weights_stay_within_one(self):
        model = models.lenet("bwn", **SMALL)
        model.compile(keras.optimizers.SGD(1e6), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.train_on_batch(np.random.default_rng(0).normal(size=(4, 8, 8, 1)), np.arange(4))
        assert np.abs(model.get_layer("dense1").kernel.numpy()).max() == 1

    def test_width(self):
        assert models.lenet("float", width=1.5).get_layer("conv2").filters == 96

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"input_shape": (3, 28, 1)}, r"an image must be at least 4×4\. Got 3×28"),
            ({"input_shape": (28, 28)}, r"`input_shape` must be \(height, width, channels\)"),
            ({"classes": 0}, r"`classes` must be a whole number, at least 1\. Got classes=0"),
            ({"width": -1.0}, r"`width` must be positive\. Got width=-1\.0"),
        ],
        ids=["small", "rank", "classes", "width"],
    )
    def test_errors(self, options, message):
        with pytest.raises(ValueError, match=message):
            models.lenet(**options)


class TestSize:
    @pytest.mark.parametrize(
        ("scheme", "binary", "scales"),
        [("float", 0, 0), ("bwn", 262_144 + 51_200, 1088), ("dorefa", 313_344, 2), ("xnor", 313_344, 1088)],
    )
    def test_lenet_for_digits(self, scheme, binary, scales):
        model = models.lenet(scheme, input_shape=(8, 8, 1))
        size = models.model_size(model)
        assert (size.binary_weights, size.scales) == (binary, scales)
        assert size.binary_weights + size.float_weights == model.count_params()
        assert size.float_bytes == 4 * model.count_params()
        assert size.packed_bytes == binary // 8 + 4 * (size.float_weights + scales)

    def test_models_inside_models(self):
        inner = models.lenet("bwn", **SMALL)
        outer = keras.Sequential([keras.Input((8, 8, 1)), inner])
        assert models.model_size(outer) == models.model_size(inner)

    def test_bits_round_up_to_bytes(self):
        model = keras.Sequential([keras.Input((3,)), layers.BinaryDense(3, use_bias=False, scaling="none")])
        assert models.model_size(model).packed_bytes == 2
