"""Residual, mobile and binary-born residual networks: sizes, shortcuts, strides, options, pretrained weights."""

import keras
import numpy as np
import pytest

from bnn_tf import layers, models
from bnn_tf.layers import ZeroMaps
from bnn_tf.layers.binary import BinaryLayer

SMALL = {"input_shape": (32, 32, 3), "classes": 10, "width": 0.125}


def size(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def binary_layers(model):
    return [layer for layer in model.layers if isinstance(layer, BinaryLayer)]


def adds(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]


def before(layer):
    """The layer that a layer takes its input from."""
    return layer.input._keras_history.operation


def heights(model, *names):
    return [model.get_layer(name).output.shape[1] for name in names]


class TestPublishedSizes:
    """Trainable weights of the float forms."""

    @pytest.mark.parametrize(
        ("name", "published"),
        [
            # torchvision's table of models, `num_params`.
            ("resnet18", 11_689_512),
            ("resnet34", 21_797_672),
            ("resnet50", 25_557_032),
            ("resnet101", 44_549_160),
            ("resnet152", 60_192_808),
            ("resnext50_32x4d", 25_028_904),
            ("mobilenet_v2", 3_504_872),
        ],
    )
    def test_for_imagenet(self, name, published):
        assert size(models.build(name).trainable_weights) == published

    @pytest.mark.parametrize(
        ("name", "n", "published"), [(None, 3, 0.27), ("resnet32", 5, 0.46), ("resnet110", 18, 1.7)]
    )
    def test_for_cifar(self, name, n, published):
        # He et al. 2015, table 6, in millions.
        model = models.build(name) if name else models.resnet_cifar(n=n)
        weights = size(model.trainable_weights)
        assert round(weights / 1e6, 1 if n == 18 else 2) == published
        # Its convolutions, two weights of a batch norm for each of their maps, and the dense layer.
        stages = 16 * 16 + (2 * n - 1) * 16 * 16 + 16 * 32 + (2 * n - 1) * 32 * 32 + 32 * 64 + (2 * n - 1) * 64 * 64
        assert weights == 3 * 9 * 16 + 9 * stages + 2 * (16 + 2 * n * (16 + 32 + 64)) + 64 * 10 + 10

    def test_layers_of_resnet14(self):
        model = models.resnet14()
        assert model.name == "resnet14_float" and model.count_params() == models.resnet_cifar(n=2).count_params()
        assert sum(isinstance(layer, keras.layers.Conv2D | keras.layers.Dense) for layer in model.layers) == 14

    def test_wide(self):
        # A student report's "ResNet of about 40 MB".
        weights = size(models.resnet_wide_cifar().trainable_weights)
        assert weights == 11_000_138 and abs(4 * weights / 2**20 - 40) < 2.5

    def test_small_mobilenet_has_eleven_blocks(self):
        depthwise = [layer for layer in models.mobilenet_v2_small().layers if layer.name.endswith("_depthwise")]
        assert len(depthwise) == 11

    def test_bireal(self):
        # Larq Zoo's table of models, BinaryResNetE18: statistics of the batch norms included.
        assert models.bireal_resnet18().count_params() == 11_699_368
        assert size(models.bireal_resnet18("float").trainable_weights) == 11_689_512  # ResNet-18's

    @pytest.mark.parametrize(
        ("options", "published"),
        [
            # Larq Zoo 1.0, QuickNet, QuickNetSmall, QuickNetLarge.
            ({}, 13_234_088),
            ({"filters": (32, 64, 256, 512)}, 12_655_688),
            ({"blocks": (6, 8, 12, 6)}, 23_342_248),
        ],
        ids=["medium", "small", "large"],
    )
    def test_quicknet(self, options, published):
        model = models.quicknet(**options)
        # Of what doesn't train, the table counts the blurs and the statistics of the batch norm without a scale.
        fixed = [layer for layer in model.layers if layer.name.endswith("_blur") or layer.name == "conv2_bn"]
        assert size(model.trainable_weights) + sum(size(layer.weights) for layer in fixed) == published


class TestShapes:
    @pytest.mark.parametrize(
        ("stem", "side", "expected"),
        [(None, 64, [16, 8, 4, 2]), ("imagenet", 32, [8, 4, 2, 1]), (None, 32, [32, 16, 8, 4])],
    )
    @pytest.mark.parametrize("name", ["resnet18", "bireal_resnet18"])
    def test_stages_for_imagenet(self, name, stem, side, expected):
        model = models.build(name, stem=stem, **SMALL | {"input_shape": (side, side, 3)})
        last = [[layer.name for layer in adds(model) if f"stage{stage}_" in layer.name][-1] for stage in (1, 2, 3, 4)]
        assert heights(model, *last) == expected

    def test_stages_for_cifar(self):
        model = models.resnet_cifar(width=0.25)
        assert [layer.output.shape[1:] for layer in adds(model)] == [(32, 32, 4)] * 2 + [(16, 16, 8)] * 2 + [
            (8, 8, 16)
        ] * 2

    def test_downsample(self):
        for downsample, strides in (("3x3", [(1, 1), (2, 2)]), ("1x1", [(2, 2), (1, 1)])):
            model = models.resnet50(downsample=downsample, **SMALL)
            assert [model.get_layer(f"stage2_block1_conv{index}").strides for index in (1, 2)] == strides

    @pytest.mark.parametrize(("side", "expected"), [(64, [32, 16, 2]), (32, [32, 32, 4])])
    def test_mobilenet(self, side, expected):
        model = models.mobilenet_v2(**SMALL | {"input_shape": (side, side, 3)})
        assert heights(model, "conv1", "block1_project", "conv2") == expected

    @pytest.mark.parametrize("width", [0.1, 1.3])
    @pytest.mark.parametrize("scheme", ["float", "xnor"])
    def test_resnext_keeps_its_groups(self, scheme, width):
        model = models.resnext50_32x4d(scheme, **SMALL | {"width": width})
        grouped = [layer for layer in model.layers if getattr(layer, "groups", 1) == 32]
        assert len(grouped) == 16
        assert grouped[0].filters == 32 * max(1, round(4 * width))

    def test_quicknet_blurs_by_a_binomial(self):
        kernel = models.quicknet(**SMALL).get_layer("stage2_transition_blur").kernel.numpy()
        np.testing.assert_array_equal(16 * kernel[..., 0, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
        assert (kernel == kernel[:, :, :1]).all()


class TestShortcuts:
    @pytest.mark.parametrize("scheme", models.SCHEMES)
    @pytest.mark.parametrize(
        ("name", "options"), [("bireal_resnet18", {}), ("bireal_cifar", {"n": 2})], ids=["resnet18", "cifar"]
    )
    def test_bireal_has_one_around_every_convolution(self, name, options, scheme, rng):
        model = models.build(name, scheme, **SMALL | options)
        units = adds(model)
        convolutions = [layer for layer in model.layers if layer.name.startswith("stage") and "conv" in layer.name]
        convolutions = [layer.name for layer in convolutions if layer.name.split("_conv")[-1].isdigit()]
        assert [f"{convolution}_add" for convolution in convolutions] == [unit.name for unit in units]
        # With every convolution's batch norm at zero, only the shortcuts are left.
        for convolution in convolutions:
            model.get_layer(f"{convolution}_bn").gamma.assign(
                keras.ops.zeros_like(model.get_layer(f"{convolution}_bn").gamma)
            )
        straight = [unit.input[0] for unit in units]
        left = keras.Model(model.input, [[unit.output for unit in units], straight])
        sums, shortcuts = left(rng.normal(size=(2, 32, 32, 3)).astype(np.float32))
        for unit, total, shortcut in zip(units, sums, shortcuts, strict=True):
            np.testing.assert_array_equal(total, shortcut, err_msg=unit.name)
            assert np.abs(shortcut).max() > 0
        float_ones = [layer for layer in model.layers if layer.name.endswith("_shortcut")]
        assert {type(layer) for layer in float_ones} == {keras.layers.Conv2D} and {
            layer.kernel_size for layer in float_ones
        } == {(1, 1)}

    @pytest.mark.parametrize(("shortcuts", "count"), [("block", 6), ("conv", 12)])
    def test_of_resnet_cifar(self, shortcuts, count):
        assert len(adds(models.resnet_cifar("xnor", shortcuts=shortcuts, width=0.25))) == count

    def test_without_weights(self, rng):
        x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
        y = ZeroMaps(8)(x).numpy()
        np.testing.assert_array_equal(y[..., 2:5], x)
        assert not y[..., :2].any() and not y[..., 5:].any()
        model = models.resnet_cifar(n=1, width=0.25)
        halved = keras.Model(
            model.input,
            [model.get_layer("stage1_block1_add").output, model.get_layer("stage2_block1_shortcut_pad").output],
        )
        before, after = halved(rng.normal(size=(2, 32, 32, 3)).astype(np.float32))
        np.testing.assert_array_equal(after[..., 2:6], before[:, ::2, ::2])

    @pytest.mark.parametrize("asked", [False, True])
    @pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
    def test_float_unless_asked(self, name, asked):
        model = models.build(name, "xnor", binarize_shortcuts=asked, **SMALL)
        found = [layer for layer in model.layers if layer.name.endswith("_shortcut")]
        assert len(found) == (3 if name == "resnet18" else 4)
        assert {type(layer) for layer in found} == {layers.BinaryConvInput2D if asked else keras.layers.Conv2D}


class TestSchemes:
    @pytest.mark.parametrize(
        "name", ["resnet18", "resnet50", "resnet_cifar", "mobilenet_v2_small", "bireal_cifar", "quicknet"]
    )
    def test_binary_weights_are_all_that_bwn_changes(self, name, rng):
        """The float form with alpha * sign(w) for its kernels computes the same."""
        binary = models.build(name, "bwn", **SMALL)
        plain = models.build(name, "float", **SMALL)
        plain.set_weights(binary.get_weights())
        for layer in binary_layers(binary):
            kernel = layer.kernel.numpy()
            alpha = np.abs(kernel).mean(axis=(0, 1, 2))
            plain.get_layer(layer.name).kernel.assign(np.where(kernel >= 0, alpha, -alpha))
        x = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
        # Some twenty float32 convolutions, summed in another order.
        np.testing.assert_allclose(binary(x), plain(x), rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "resnet_cifar", "mobilenet_v2_small"])
    def test_normalised_before_every_sign(self, name):
        found = binary_layers(models.build(name, "xnor", binarize_first=True, binarize_last=True, **SMALL))
        assert len(found) > 10
        assert {type(before(layer)) for layer in found} == {keras.layers.BatchNormalization}

    @pytest.mark.parametrize("name", ["resnet18", "resnet_cifar", "mobilenet_v2_small", "bireal_cifar", "quicknet"])
    def test_first_and_last_stay_float_unless_asked(self, name):
        for asked in (False, True):
            model = models.build(name, "xnor", binarize_first=asked, binarize_last=asked, **SMALL)
            ends = [model.get_layer("conv1"), model.get_layer("logits")]
            assert [isinstance(layer, BinaryLayer) for layer in ends] == [asked, asked]

    def test_depthwise_stays_float_unless_asked(self):
        plain = models.mobilenet_v2_small("xnor", **SMALL).get_layer("block1_depthwise")
        asked = models.mobilenet_v2_small("xnor", binarize_depthwise=True, **SMALL).get_layer("block1_depthwise")
        assert type(plain) is keras.layers.DepthwiseConv2D and type(asked) is layers.BinaryConvInput2D
        assert asked.groups == asked.filters == plain.kernel.shape[2]
        assert size([asked.kernel]) == size([plain.kernel])
        in_float = models.mobilenet_v2_small("float", binarize_depthwise=True, **SMALL).get_layer("block1_depthwise")
        assert type(in_float) is keras.layers.DepthwiseConv2D

    def test_born_binary(self):
        for name in ("bireal_resnet18", "bireal_cifar", "quicknet"):
            assert models.build(name, **SMALL).name == f"{name}_xnor"
        bireal = binary_layers(models.bireal_cifar(**SMALL))
        assert {(layer.scaling, layer.input_scaling, layer.input_ste.name) for layer in bireal} == {
            ("channel", False, "approx_sign")
        }
        quick = binary_layers(models.quicknet(**SMALL))
        assert {(layer.scaling, layer.input_scaling, layer.pad_value) for layer in quick} == {("none", False, 1)}

    @pytest.mark.parametrize("scheme", models.SCHEMES)
    def test_bireal_takes_a_prelu_for_each_sum(self, scheme):
        model = models.bireal_cifar(scheme, n=1, prelu=True, **SMALL)
        slopes = {layer.input.name: layer for layer in model.layers if isinstance(layer, keras.layers.PReLU)}
        assert list(slopes) == [unit.output.name for unit in adds(model)]
        assert [layer.alpha.shape for layer in slopes.values()] == [
            (1, 1, unit.output.shape[-1]) for unit in adds(model)
        ]
        assert all((keras.ops.convert_to_numpy(layer.alpha) == 0.25).all() for layer in slopes.values())
        relus = [layer.name for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
        assert not [name for name in relus if name == "relu" or name.startswith("stage")]

    def test_a_deep_xnor_network_learns(self, rng):
        x, y = rng.normal(size=(32, 8, 8, 1)).astype(np.float32), rng.integers(10, size=32)
        model = models.bireal_cifar(n=3, input_shape=(8, 8, 1), width=0.5)
        assert len(binary_layers(model)) == 18
        model.compile(keras.optimizers.Adam(0.003), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = [float(model.train_on_batch(x, y)) for _ in range(20)]
        assert min(losses[-3:]) < 0.6 * losses[0], losses


class TestPretrained:
    @pytest.mark.parametrize(
        ("name", "application", "options"),
        [("resnet50", "ResNet50", {"downsample": "1x1"}), ("mobilenet_v2", "MobileNetV2", {})],
    )
    def test_keras_applications(self, name, application, options, tmp_path, rng):
        """With its weights, the network computes what Keras' own does: biases and ε fold into the batch norms."""
        make = getattr(keras.applications, application)
        donor = make(weights=None, input_shape=(64, 64, 3), classifier_activation=None)
        for variable in donor.weights:
            if variable.path.split("/")[-1] in ("bias", "moving_mean", "beta"):
                variable.assign(rng.normal(scale=0.1, size=variable.shape))
            if variable.path.split("/")[-1] in ("gamma", "moving_variance"):
                variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
        path = tmp_path / "donor.weights.h5"
        donor.save_weights(path)
        x = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
        expected = donor(x).numpy()
        found = models.build(name, weights=path, input_shape=(64, 64, 3), **options)(x).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        other = models.build(name, weights=path, input_shape=(64, 64, 3), classes=7, **options)
        np.testing.assert_array_equal(other.get_layer("conv1").kernel, donor.weights[0])
        assert other.output_shape == (None, 7)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("resnet50", {}, r'Got downsample=\'3x3\'\. Pass downsample="1x1"'),
            ("resnet50", {"scheme": "bwn", "downsample": "1x1"}, r"pretrained weights are those of the float form"),
            ("mobilenet_v2", {"scheme": "xnor"}, r"bnn_tf\.binarize\(model, 'xnor'\)"),
            ("mobilenet_v2", {}, r"mobilenet_v2: can't load the weights 'nowhere\.h5'"),
        ],
        ids=["downsample", "resnet_scheme", "mobilenet_scheme", "file"],
    )
    def test_errors(self, name, options, message):
        with pytest.raises(ValueError, match=message):
            models.build(name, weights="nowhere.h5", **SMALL | {"width": 1.0} | options)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("resnet18", {"stem": "imagenet", "input_shape": (31, 64, 3)}, r"at least 32×32\. Got 31×64"),
            ("resnet18", {"input_shape": (7, 8, 3)}, r"at least 8×8\. Got 7×8"),
            ("mobilenet_v2", {"stem": "cifr"}, r"Unknown stem 'cifr'\. Did you mean cifar\?"),
            ("bireal_resnet18", {"input_shape": ()}, r"`input_shape` must be \(height, width, channels\)"),
            ("resnet50", {"downsample": "2x2"}, r'`downsample` must be "3x3" or "1x1"\. Got downsample=\'2x2\''),
            ("resnet_cifar", {"n": 0}, r"`n` must be a whole number of blocks per stage, at least 1\. Got n=0"),
            ("bireal_cifar", {"n": 1.5}, r"Got n=1\.5"),
            ("resnet14", {"shortcuts": "both"}, r"`shortcuts` must be \"block\" or \"conv\"\. Got shortcuts='both'"),
            ("resnet_wide_cifar", {"input_shape": (7, 7, 3)}, r"at least 8×8"),
            ("quicknet", {"blocks": (4, 4)}, r"one positive number for each stage\. Got filters=\(64, 128, 256, 512\)"),
            ("quicknet", {"input_shape": (28, 28, 3)}, r"at least 29×29"),
        ],
    )
    def test_say_what_to_do(self, name, options, message):
        with pytest.raises(ValueError, match=message):
            models.build(name, **options)

    def test_quicknet_at_its_smallest(self):
        assert models.quicknet(**SMALL | {"input_shape": (29, 29, 3)}).output_shape == (None, 10)


LOADING = """
import sys
import keras
import bnn_tf.layers

assert "bnn_tf.models" not in sys.modules
for path in sys.argv[1:]:
    print(keras.models.load_model(path).name)
"""


def test_a_file_needs_the_layers_alone(run_python, tmp_path):
    """Whatever a network is made of: its builder isn't needed to load it."""
    paths = []
    for name in ("resnet_cifar", "quicknet", "bireal_cifar"):
        path = tmp_path / f"{name}.keras"
        models.build(name, "xnor", input_shape=(32, 32, 3), classes=3, width=0.1).save(path)
        paths.append(path)
    assert run_python(LOADING, *paths).split() == ["resnet_cifar_xnor", "quicknet_xnor", "bireal_cifar_xnor"]
