"""Every registered network in every scheme, the deepest in one, and what LeNet in particular promises."""

import functools
import os
import re

import keras
import numpy as np
import pytest

import bnn_tf
from bnn_tf import layers, models
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.models.registry import register
from bnn_tf.models.table import without_weights

EVERY = [(name, scheme) for name in models.list_models() for scheme in models.SCHEMES]
# BNN_TF_THOROUGH=1 walks through all of them; otherwise one scheme will do for networks that take long and are made of
# the blocks of others.
THOROUGH = os.environ.get("BNN_TF_THOROUGH") == "1"
DEEPER = {
    **dict.fromkeys(("vgg13", "vgg16", "vgg19"), "vgg11"),
    **dict.fromkeys(("resnet101", "resnet152"), "resnet50"),
    **dict.fromkeys(("resnet14", "resnet32", "resnet110"), "resnet_cifar"),
    "resnet34": "resnet18",
}
DOREFA = ("lenet", "resnet_cifar")  # it has the layers of bwn, with one scale for all filters
WALKED = [
    (name, scheme)
    for name, scheme in EVERY
    if THOROUGH or ((name not in DEEPER or scheme == "xnor") and (name in DOREFA or scheme != "dorefa"))
]
SMALL = {"input_shape": (8, 8, 1), "classes": 10, "width": 0.25}
CLASSES = 4
NO_MACS = ("BatchNormalization", "PReLU")


def binary_layers(model):
    return [layer.name for layer in model.layers if isinstance(layer, BinaryLayer)]


def smallest(name):
    """The least image size of a network, as its own error says."""
    try:
        models.build(name, input_shape=(1, 1, 3))
    except ValueError as error:
        return int(re.search(rf"^{name}: an image must be at least (\d+)×\1\. Got 1×1\.", str(error))[1])
    return 1


@functools.cache
def options(name):
    """A small image, and few feature maps where the network has many: bits say little where they are few."""
    described = models.describe(name)
    size = max(smallest(name), 32)
    small = {"input_shape": (size, size, described.input_shape[2]), "classes": CLASSES}
    if "dropout" in described.options:
        small["dropout"] = 0.0
    weights = without_weights(lambda: models.build(name, **small).count_params())
    return {**small, "width": 1.0 if weights < 8_000_000 else 0.25}


def fixed_batch(shape, images=16):
    """Noisy pictures, each class with colours of its own in the four corners."""
    height, width, channels = shape
    rng = np.random.default_rng(0)
    labels = np.arange(images) % CLASSES
    corners = rng.normal(size=(CLASSES, 2, 2, channels))
    pictures = corners.repeat(-(-height // 2), 1).repeat(-(-width // 2), 2)[:, :height, :width]
    return (pictures[labels] + rng.normal(0, 0.3, (images, *shape))).astype(np.float32), labels


@pytest.fixture(scope="module")
def built(request):
    """One model for all tests of a name and scheme: pytest runs those one after the other."""
    name, scheme = request.param
    return name, scheme, models.build(name, scheme, **options(name))


@pytest.mark.parametrize("built", WALKED, ids=["-".join(names) for names in WALKED], indirect=True, scope="module")
class TestEvery:
    def test_shapes_and_names(self, built):
        name, scheme, model = built
        assert model.output_shape == (None, CLASSES)
        assert model.name == f"{name}_{scheme}"
        assert (len(binary_layers(model)) > 0) == models.SCHEMES[scheme].binary_weights

    def test_summary(self, built):
        _, scheme, model = built
        summary = bnn_tf.summary(model)
        silent = [layer for layer in summary.layers if layer.size.float_bytes and not layer.macs.total]
        assert [layer.name for layer in silent if layer.kind not in NO_MACS] == []
        assert summary.assumed == () and "?" not in str(summary)
        assert summary.size == models.model_size(model)
        assert summary.size.binary_weights + summary.size.float_weights == model.count_params()
        assert (summary.macs.binary > 0) == (scheme != "float")
        assert (summary.macs.xnor > 0) == (scheme == "xnor")

    def test_save_and_load(self, built, tmp_path):
        _, _, model = built
        x, _ = fixed_batch(model.input_shape[1:], images=2)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(x), model(x))

    def test_learns_a_fixed_batch(self, built):
        """The last of the tests of a model, since it changes the weights."""
        name, scheme, model = built
        if not THOROUGH and name in DEEPER:
            pytest.skip(f"{name} has more of the blocks of {DEEPER[name]}, which learns here")
        if not THOROUGH and (name, scheme) == ("resnext50_32x4d", "float"):
            pytest.skip("TensorFlow takes half a minute for its grouped convolutions; under bwn, they are ours")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # Eagerly: tracing the deep ones takes longer than the few steps that they need.
        model.compile(keras.optimizers.Adam(0.003), loss, run_eagerly=True)
        x, y = fixed_batch(model.input_shape[1:])
        losses = []
        while len(losses) < 20 and not (len(losses) > 2 and max(losses[-2:]) < 0.9 * losses[0]):
            losses.append(float(model.train_on_batch(x, y)))
        assert max(losses[-2:]) < 0.9 * losses[0], losses


def after(layer):
    """The next layers with kernels."""
    for node in layer._outbound_nodes:
        if hasattr(node.operation, "kernel"):
            yield node.operation
        else:
            yield from after(node.operation)


def takes_signs(layer):
    return isinstance(layer, (layers.BinaryConvInput2D, layers.BinaryDenseInput))


@pytest.mark.parametrize("name", models.list_models())
class TestEveryName:
    def test_seed_makes_the_weights(self, name):
        narrow = {**options(name), "width": 0.1}
        first, again, other = (models.build(name, seed=seed, **narrow).get_weights() for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))

    def test_smallest_image(self, name):
        """It leaves something of each layer's output; a smaller one is refused with its size."""
        size = smallest(name)
        model = models.build(name, input_shape=(size, size + 1, 3), width=0.05)
        assert all(min(layer.output.shape[1:]) > 0 for layer in model.layers)
        if size > 1:
            with pytest.raises(
                ValueError, match=rf"^{name}: an image must be at least {size}×{size}\. Got {size}×{size - 1}"
            ):
                models.build(name, input_shape=(size, size - 1, 3))

    @pytest.mark.parametrize("binarize_last", [False, True])
    def test_nothing_is_dropped_before_a_sign(self, name, binarize_last):
        """It would be another sign at inference. Elsewhere all schemes drop what the float form drops."""

        def dropped(scheme):
            small = {"width": 0.05, "input_shape": (max(smallest(name), 32),) * 2 + (3,)}
            model = without_weights(lambda: models.build(name, scheme, binarize_last=binarize_last, **small))
            dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
            return {layer.name: (layer.rate, {takes_signs(each) for each in after(layer)}) for layer in dropouts}

        usual = dropped("float")
        for dropout, (rate, signs) in dropped("xnor").items():
            assert rate == (0 if True in signs else usual[dropout][0]), dropout
        assert {dropout: rate for dropout, (rate, _) in dropped("bwn").items()} == {
            dropout: rate for dropout, (rate, _) in usual.items()
        }

    def test_bad_classes(self, name):
        with pytest.raises(ValueError, match=rf"^{name}: `classes` must be a whole number, at least 1\. Got classes=0"):
            models.build(name, classes=0)

    def test_description(self, name):
        description = models.describe(name)
        assert description.scheme in models.SCHEMES and len(description.input_shape) == 3
        assert {"input_shape", "classes", "width", "binarize_first", "binarize_last", "seed"} <= set(
            description.options
        )
        assert 20 < len(description.sentence) < 120


class TestRegistry:
    def test_list(self):
        assert {"lenet", "vgg16", "resnet18", "mobilenet_v2", "bireal_resnet18"} <= set(models.list_models())
        assert models.list_models() == sorted(models.list_models())

    def test_unknown_model_leads_to_the_nearest(self):
        with pytest.raises(ValueError, match=r"^Unknown model 'LeNett'\. Did you mean lenet or .*\? Known: alexnet, "):
            models.build("LeNett")

    def test_unknown_scheme_leads_to_the_nearest(self):
        with pytest.raises(
            ValueError, match=r"^Unknown scheme 'xnorr'\. Did you mean xnor\? Known: bwn, dorefa, float, xnor\.$"
        ):
            models.build("lenet", "xnorr")

    def test_unknown_option_leads_to_the_nearest(self):
        with pytest.raises(
            ValueError, match=r"^Unknown option of lenet 'widht'\. Did you mean width\? Known: binarize_first, "
        ):
            models.build("lenet", widht=2)

    @pytest.mark.parametrize(("name", "scheme"), [("lenet", "float"), ("binarynet", "xnor")])
    def test_default_scheme_is_the_networks_own(self, name, scheme):
        assert models.describe(name).scheme == scheme
        assert models.build(name, width=0.1).name == f"{name}_{scheme}"

    def test_names_are_taken_once(self):
        with pytest.raises(ValueError, match=r"^A model named 'lenet' is registered already"):
            register("lenet")(models.lenet)


def test_a_dropout_that_is_asked_for():
    for scheme in ("float", "xnor"):
        dropouts = [layer.rate for layer in models.nin(scheme, dropout=0.3, width=0.05).layers if "drop" in layer.name]
        assert dropouts == [0.3, 0.3]


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

    def test_options_of_the_binary_layers(self):
        model = models.lenet("xnor", ste="ede", input_ste="approx_sign", input_scaling=False, scaling="none", **SMALL)
        for name in ("conv2", "dense1"):
            layer = model.get_layer(name)
            assert (layer.ste.name, layer.input_ste.name, layer.scaling) == ("ede", "approx_sign", "none")
            assert layer.input_scaling is False

    @pytest.mark.parametrize("name", [name for name in models.list_models() if name in {"binarynet", "bireal_cifar"}])
    def test_options_win_over_the_networks_own(self, name):
        model = models.build(name, "xnor", ste="reste", scaling="tensor", width=0.1)
        binary = [layer for layer in model.layers if isinstance(layer, layers.BinaryConv2D | layers.BinaryDense)]
        assert binary and {(layer.ste.name, layer.scaling) for layer in binary} == {("reste", "tensor")}

    @pytest.mark.parametrize(
        ("scheme", "options", "message"),
        [
            ("float", {"ste": "clip"}, r"The scheme float has no layers with `ste`\. Leave it out"),
            (
                "bwn",
                {"input_scaling": False},
                r"The scheme bwn has no layers with `input_scaling`\. It has scaling, ste",
            ),
            ("xnor", {"ste": "edee"}, "Unknown quantizer .edee"),
            ("xnor", {"input_sre": "clip"}, "input_ste"),
        ],
    )
    def test_options_that_no_layer_has(self, scheme, options, message):
        with pytest.raises(ValueError, match=message):
            models.build("lenet", scheme, **options)

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
