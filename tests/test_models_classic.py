"""What the plain networks promise beyond what every network does: published sizes, order of layers, errors."""

import math

import keras
import numpy as np
import pytest

from bnn_tf import layers, models
from bnn_tf.layers.binary import BinaryLayer

TINY = {"input_shape": (67, 67, 3), "classes": 5, "width": 0.04}


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def names(model, *kinds):
    return [layer.name for layer in model.layers if isinstance(layer, kinds or keras.layers.Layer)]


def image(rng, model):
    return rng.normal(size=(2, *model.input_shape[1:])).astype(np.float32)


# Weights that train, of the float form with the options given.
PUBLISHED = [
    # 5*5*1*32+32, 5*5*32*64+64, 7*7*64*1024+1024, 1024*10+10: TensorFlow's "Deep MNIST for Experts".
    ("lenet", {}, 832 + 51_264 + 3_212_288 + 10_250),
    # The LeNet-5 of PyTorch's tutorials: 5*5*1*6+6, 5*5*6*16+16, 400*120+120, 120*84+84, 84*10+10.
    ("lenet5", {}, 61_706),
    ("lenet5", {"input_shape": (28, 28, 1), "padding": "same"}, 61_706),
    # The blobs of Caffe's bvlc_alexnet.caffemodel.
    ("alexnet", {}, 60_965_224),
    ("alexnet", {"input_shape": (224, 224, 3), "padding": "same"}, 60_965_224),
    # torchvision, `num_params` of AlexNet_Weights.IMAGENET1K_V1.
    ("alexnet_torch", {}, 61_100_840),
    # torchvision's AlexNet, but for its first convolution, 5*5*3*64+64, and the dense layer after it, 2304*4096+4096.
    ("alexnet_cifar", {}, 4_864 + 2_446_400 + 9_441_280 + 16_781_312 + 40_970),
    # Zeiler and Fergus, figure 3: 7*7*3*96, 5*5*96*256, 3*3*256*384, 3*3*384*384, 3*3*384*256, 9216*4096, 4096*4096,
    # 4096*1000, with their biases.
    ("zfnet", {}, 14_208 + 614_656 + 885_120 + 1_327_488 + 884_992 + 37_752_832 + 16_781_312 + 4_097_000),
    # torchvision, `num_params` of VGG11_Weights, VGG13_Weights, ...; the table in the paper says 133, 133, 138 and 144
    # million. Keras Applications' VGG16 and VGG19 have the same.
    ("vgg11", {}, 132_863_336),
    ("vgg13", {}, 133_047_848),
    ("vgg16", {}, 138_357_544),
    ("vgg19", {}, 143_667_240),
    # torchvision, `num_params` of VGG16_BN_Weights.
    ("vgg16", {"batch_norm": True}, 138_365_992),
    # The layers of the authors' Caffe model for CIFAR-10: three groups of 5*5 or 3*3, 1*1 and 1*1.
    ("nin", {}, 14_592 + 30_880 + 15_456 + 460_992 + 2 * 37_056 + 331_968 + 37_056 + 1_930),
    # The blobs of Caffe's bvlc_googlenet.caffemodel, without the two heads for training, and with them.
    ("googlenet", {}, 6_998_552),
    ("googlenet", {"auxiliary": True}, 13_378_280),
    # torchvision's googlenet, with aux_logits=False; `num_params` of GoogLeNet_Weights.IMAGENET1K_V1.
    ("googlenet", {"batch_norm": True}, 6_624_904),
    # torchvision's googlenet, with aux_logits=True.
    ("googlenet", {"batch_norm": True, "auxiliary": True}, 13_004_888),
    # No table gives these; they follow from the layers: 784-300-10, 3072-256-32-10, ...
    ("mlp_mnist", {}, 784 * 300 + 300 + 300 * 10 + 10),
    ("mlp_cifar", {}, 3072 * 256 + 256 + 256 * 32 + 32 + 32 * 10 + 10),
    ("cnn_mnist", {}, 160 + 4_640 + 15_690),
    # A batch norm has two weights a feature map that train.
    ("cnn_cifar", {}, 928 + 18_560 + 73_984 + 524_544 + 2_570),
    ("nnet", {}, 588 + 3_820 + 2_730 + 2_639 + (13 * 13 * 7 * 300 + 300) + 60_200),
    ("tronnet", {}, 588 + 5_760 + 9_520 + 7_925 + 4_540 + 2_730 + 3_770 + (22 * 22 * 10 * 300 + 300) + 60_200),
    # Courbariaux et al., section 2.1: weights of the convolutions and dense layers; two more for each normalised map,
    # ten biases.
    ("binarynet", {}, 14_022_016 + 2 * 3_840 + 10),
    # Krizhevsky's layers without groups; two weights for each normalised map, a thousand biases.
    ("xnor_alexnet", {}, 34_848 + 58_236_928 + 4_096_000 + 2 * (96 + 256 + 384 + 384 + 256 + 4096 + 4096) + 1000),
]


@pytest.mark.parametrize(("name", "options", "count"), PUBLISHED)
def test_float_form_has_the_published_weights(name, options, count):
    assert trainable(models.build(name, "float", **options)) == count


@pytest.mark.parametrize(("name", "count"), [("binarynet", 14_022_016), ("xnor_alexnet", 58_236_928)])
def test_one_bit_weights_of_the_binary_born(name, count):
    assert models.model_size(models.build(name, "xnor")).binary_weights == count


@pytest.mark.parametrize(
    ("name", "options", "smallest"),
    [
        ("lenet5", {"padding": "same"}, 12),
        ("alexnet", {"padding": "same"}, 57),
        ("alexnet", {"pool_first": True}, 67),
        ("googlenet", {"auxiliary": True}, 65),
    ],
)
def test_smallest_image_with_options(name, options, smallest):
    options = {**options, "classes": 2, "width": 0.03}
    models.build(name, "float", input_shape=(smallest, smallest, 3), **options)
    with pytest.raises(ValueError, match=rf"{name}: an image must be at least {smallest}×{smallest}"):
        models.build(name, "float", input_shape=(smallest, smallest - 1, 3), **options)


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_unknown_padding(name):
    with pytest.raises(ValueError, match=r"^Unknown padding 'sam'\. Did you mean same\? Known: same, valid\.$"):
        models.build(name, padding="sam")


class TestLocalResponseNormalization:
    @pytest.mark.parametrize("channels", [1, 2, 3, 8])
    @pytest.mark.parametrize("options", [{}, {"depth_radius": 1, "alpha": 0.3, "beta": 0.5, "bias": 2.0}])
    def test_formula(self, rng, channels, options):
        x = rng.normal(size=(2, 3, 4, channels), scale=20).astype(np.float32)
        settings = {"depth_radius": 2, "alpha": 2e-5, "beta": 0.75, "bias": 1.0, **options}
        expected = np.empty(x.shape)
        for c in range(channels):
            around = range(max(0, c - settings["depth_radius"]), min(channels, c + settings["depth_radius"] + 1))
            energy = sum(x[..., j].astype(np.float64) ** 2 for j in around)
            expected[..., c] = x[..., c] / (settings["bias"] + settings["alpha"] * energy) ** settings["beta"]
        y = layers.LocalResponseNormalization(**options)(x)
        np.testing.assert_allclose(y, expected, rtol=1e-5)  # a power in float32

    def test_half_precision(self, rng):
        """Of values whose squares float16 does not hold."""
        x = rng.normal(size=(2, 3, 3, 8), scale=1000).astype(np.float16)
        y = layers.LocalResponseNormalization(dtype="float16")(x)
        np.testing.assert_allclose(y, layers.LocalResponseNormalization()(x.astype(np.float32)), rtol=1e-2)

    def test_config(self):
        layer = layers.LocalResponseNormalization(3, 0.1, 0.5, 2.0, name="norm")
        config = layer.get_config()
        assert layers.LocalResponseNormalization.from_config(config).get_config() == config
        assert {config[key] for key in ("depth_radius", "alpha", "beta", "bias")} == {3, 0.1, 0.5, 2.0}

    @pytest.mark.parametrize("options", [{"depth_radius": -1}, {"bias": 0.0}])
    def test_errors(self, options):
        with pytest.raises(ValueError, match=r"expected depth_radius >= 0 and bias > 0\. Got depth_radius="):
            layers.LocalResponseNormalization(**options)


class TestAlexnet:
    @pytest.mark.parametrize(
        ("pool_first", "order"), [(False, ["norm1", "pool1", "conv2"]), (True, ["pool1", "norm1", "conv2"])]
    )
    def test_order_of_pooling_and_normalisation(self, pool_first, order):
        found = names(models.alexnet(pool_first=pool_first, **TINY))
        assert found[found.index("conv1_relu") + 1 :][:3] == order

    @pytest.mark.parametrize("scheme", models.SCHEMES)
    def test_groups_divide_at_any_width(self, scheme):
        model = models.alexnet(scheme, input_shape=(67, 67, 3), classes=5, width=0.03)
        assert [model.get_layer(f"conv{n}").groups for n in range(1, 6)] == [1, 2, 1, 2, 2]
        assert [model.get_layer(f"conv{n}").filters for n in range(1, 6)] == [2, 8, 12, 12, 8]

    @pytest.mark.parametrize(
        ("name", "size", "maps"),
        [
            ("alexnet", 227, [55, 27, 27, 13, 13, 13, 13, 6]),
            ("alexnet_torch", 224, [55, 27, 27, 13, 13, 13, 13, 6]),
            ("xnor_alexnet", 224, [55, 27, 27, 13, 13, 13, 13, 6, 1, 1]),
            ("zfnet", 224, [110, 55, 26, 13, 13, 13, 13, 6]),
        ],
    )
    @pytest.mark.parametrize("scheme", ["float", "xnor"])
    def test_published_sizes_of_the_maps(self, name, size, maps, scheme):
        model = models.build(name, scheme, input_shape=(size, size, 3), classes=2, width=0.02, binarize_first=True)
        kinds = (keras.layers.Conv2D, keras.layers.MaxPooling2D)
        assert [layer.output.shape[1] for layer in model.layers if isinstance(layer, kinds)] == maps


class TestVgg:
    def test_batch_norm_beside_the_biases(self):
        model = models.vgg11(input_shape=(32, 32, 3), classes=2, width=0.03, batch_norm=True)
        assert names(model)[:5] == ["image", "block1_conv1", "block1_conv1_bn", "block1_conv1_relu", "block1_pool"]
        assert len(names(model, keras.layers.BatchNormalization)) == 8
        assert model.get_layer("block1_conv1").use_bias


class TestGooglenet:
    def test_heads_for_training(self, rng):
        model = models.googlenet("bwn", input_shape=(65, 65, 3), classes=3, width=0.05, auxiliary=True)
        x = image(rng, model)
        assert {name: logits.shape for name, logits in model(x).items()} == dict.fromkeys(
            ("logits", "aux1", "aux2"), (2, 3)
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        heads = {"logits": 1.0, "aux1": 0.3, "aux2": 0.3}
        model.compile("sgd", dict.fromkeys(heads, loss), loss_weights=heads, run_eagerly=True)
        before = model.get_layer("aux2").get_weights()[0]
        model.train_on_batch(x, dict.fromkeys(heads, np.array([0, 2])))
        assert np.abs(model.get_layer("aux2").get_weights()[0] - before).max() > 0
        inference = keras.Model(model.input, model.output["logits"])
        plain = models.googlenet("bwn", input_shape=(65, 65, 3), classes=3, width=0.05)
        assert inference.count_params() == plain.count_params() < model.count_params()

    def test_four_branches(self):
        model = models.googlenet(input_shape=(32, 32, 3), classes=2)
        assert [model.get_layer(f"inception{name}").output.shape[-1] for name in ("3a", "4e", "5b")] == [256, 832, 1024]
        assert model.get_layer("inception4a_5x5").kernel.shape == (5, 5, 16, 48)


class TestSmallNetworks:
    def test_a_network_without_inner_layers_binarizes_its_first(self):
        assert names(models.mlp_mnist("xnor"), BinaryLayer) == ["dense1"]
        assert names(models.mlp_mnist("xnor", binarize_first=False, binarize_last=True), BinaryLayer) == ["logits"]

    def test_normalised_in_float_too(self):
        found = names(models.cnn_cifar())
        assert found[1:5] == ["conv1", "conv1_bn", "conv1_relu", "pool1"]
        assert not models.cnn_cifar().get_layer("conv2").use_bias

    def test_nin_ends_with_a_map_for_each_class(self, rng):
        model = models.nin(width=0.05)
        x = image(rng, model)
        maps = keras.Model(model.input, model.get_layer("logits_map").output)(x).numpy()
        assert maps.shape == (2, 8, 8, 10) and maps.min() < 0
        np.testing.assert_allclose(model(x), maps.mean((1, 2)), rtol=1e-4, atol=1e-5)  # a float32 mean of 64
        assert isinstance(models.nin("xnor", width=0.05, binarize_last=True).get_layer("logits_map"), BinaryLayer)

    def test_order_in_tronnet(self):
        found = names(models.tronnet(input_shape=(29, 29, 3)))
        assert found[3:9] == ["conv2", "conv2_relu", "conv2_after", "pool2", "conv3", "conv3_bn"]


SMALL = {"input_shape": (8, 8, 3), "width": 0.1}


class TestBinarynet:
    def test_signs_alone(self):
        model = models.binarynet(**SMALL)
        assert model.name == "binarynet_xnor"
        first, *others = [layer for layer in model.layers if isinstance(layer, BinaryLayer)]
        assert type(first) is layers.BinaryConv2D and first.name == "conv1_1"
        assert [layer.name for layer in others][-3:] == ["dense1", "dense2", "logits"] and len(others) == 8
        assert not any(layer.input_scaling for layer in others)
        assert {(layer.scaling, layer.ste.name, layer.use_bias) for layer in (first, *others)} == {
            ("none", "ste_sign", False)
        }

    def test_order(self):
        found = names(models.binarynet(**SMALL))
        assert found[1:6] == ["conv1_1", "conv1_2_bn", "conv1_2", "pool1", "conv2_1_bn"]
        assert found[-3:] == ["logits_bn", "logits", "logits_after"]
        assert not names(models.binarynet(**SMALL), keras.layers.ReLU)

    def test_sums_are_whole_numbers(self, rng):
        model = models.binarynet(**SMALL)
        sums = keras.Model(model.input, [model.get_layer(name).output for name in ("conv2_1", "dense2")])
        for output in sums(image(rng, model)):
            np.testing.assert_array_equal(output, np.round(output))

    def test_float_ends_on_request(self):
        model = models.binarynet(binarize_first=False, binarize_last=False, **SMALL)
        assert names(model, BinaryLayer)[0] == "conv1_2" and names(model, BinaryLayer)[-1] == "dense2"
        assert names(model)[-3:] == ["dense2_after", "dense2_relu", "logits"]

    def test_float_form_is_an_ordinary_network(self):
        found = names(models.binarynet("float", **SMALL))
        assert found[1:4] == ["conv1_1", "conv1_1_bn", "conv1_1_relu"] and found[-2:] == ["dense2_relu", "logits"]


class TestXnorAlexnet:
    def test_order(self):
        model = models.xnor_alexnet(input_shape=(63, 63, 3), classes=2, width=0.03)
        found = names(model)
        assert found[found.index("conv1") : found.index("conv3")] == [
            *("conv1", "conv1_bn", "conv1_relu", "pool1", "conv2_bn", "conv2", "pool2", "conv3_bn")
        ]
        assert names(model, keras.layers.ReLU) == ["conv1_relu", "fc7_relu"]
        assert names(model, BinaryLayer) == ["conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
        assert all(model.get_layer(name).input_scaling for name in names(model, BinaryLayer))
