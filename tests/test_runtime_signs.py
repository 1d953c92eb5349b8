"""Maps of one bit between binary layers: which there are, and that the scores are those of the floats, bit by bit."""

import keras
import numpy as np
import pytest
from packed_files import RELU, Writer, window

import bnn_tf
from bnn_tf import layers, loading, models
from bnn_tf.runtime import PackedModel


def both(path, threads=1):
    """The scores with maps of signs and with floats, for a batch."""
    core = loading.core()
    return [core.PackedModel(str(path), threads, "", signs) for signs in (True, False)]


def assert_same_scores(path, shape, rng):
    x = rng.normal(size=shape).astype("float32")
    signs, floats = both(path)
    np.testing.assert_array_equal(signs.run(x), floats.run(x))
    assert all(bits == 32 for bits, _ in floats.activations(shape))
    return [bits for bits, _ in signs.activations(shape)]


def spread(model, rng):
    """Weights and statistics as a trained network has them: batch norms that shift, and some that turn the sign."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.moving_mean.shape[0]
            layer.moving_mean.assign(rng.normal(size=channels) * 4)
            layer.moving_variance.assign(rng.uniform(0.5, 90, channels))
            if layer.scale:
                layer.gamma.assign(rng.normal(size=channels))
            if layer.center:
                layer.beta.assign(rng.normal(size=channels) * 0.3)
    return model


def pack(model, tmp_path):
    path = tmp_path / "net.bnn"
    bnn_tf.pack(model, path)
    return path


def test_binarynet_keeps_signs_from_its_second_layer_on(tmp_path, rng):
    model = spread(models.binarynet(input_shape=(16, 16, 3), width=0.25), rng)
    path = pack(model, tmp_path)
    assert_same_scores(path, (3, 16, 16, 3), rng)
    nodes = PackedModel(path, 1).profile(np.zeros((1, 16, 16, 3)), repeats=1)
    bits = {node.name: node.output_bits for node in nodes}
    binary = [node.name for node in nodes if node.op in ("binary_conv_input2d", "binary_dense_input")]
    assert len(binary) == 8
    assert all(bits[name] == 1 for name in binary[:-1])
    assert bits[binary[-1]] == 32
    assert all(node.output_bytes < np.prod(node.output_shape) * 4 for node in nodes if node.output_bits == 1)
    assert "4×4×128 bits" in PackedModel(path, 1).summary()


@pytest.mark.parametrize(("activation", "pad_value"), [(None, -1), ("relu", 0), ("hard_tanh", 1), ("tanh", 0)])
def test_networks_of_layers_without_k(tmp_path, rng, activation, pad_value):
    options = {"input_scaling": False, "scaling": "channel"}
    conv = {**options, "pad_value": pad_value, "padding": "same", "activation": activation}
    model = keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            keras.layers.Conv2D(8, 5),
            keras.layers.BatchNormalization(),
            layers.BinaryConvInput2D(20, 3, **conv),
            keras.layers.MaxPooling2D(2),
            keras.layers.BatchNormalization(),
            layers.BinaryConvInput2D(50, 3, groups=2, strides=2, **conv),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            layers.BinaryDenseInput(65, **options),
            keras.layers.BatchNormalization(),
            layers.BinaryDenseInput(10, **options),
        ]
    )
    path = pack(spread(model, rng), tmp_path)
    bits = assert_same_scores(path, (4, 14, 14, 1), rng)
    # A relu leaves no sign to take but +1, and its layer's sums still have thresholds.
    assert bits.count(1) >= 4
    x = rng.normal(size=(4, 14, 14, 1)).astype("float32")
    np.testing.assert_allclose(PackedModel(path).predict(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)


def test_networks_that_need_floats_keep_them(tmp_path, rng):
    model = models.bireal_cifar(input_shape=(16, 16, 3), n=1, width=0.25)
    bits = assert_same_scores(pack(model, tmp_path), (2, 16, 16, 3), rng)
    assert set(bits) == {32}  # each convolution's output is added to its input


def test_scales_without_a_threshold_keep_floats(tmp_path, rng):
    def writer(alpha, activation):
        result = Writer((5, 5, 3))
        for number, channels in enumerate((3, 4)):
            result.node(
                "binary_conv_input2d",
                window=window((3, 3)),
                groups=1,
                bits=result.bits(rng.normal(size=(3, 3, channels, 4))),
                alpha=result.tensor(np.ones(4) if number else np.full(4, alpha)),
                bias=None,
                activation=None if number else activation,
                input_scaling=False,
                pad_value=0,
                pre_scale=None,
                pre_shift=None if number == 0 else result.tensor(np.full(4, -0.5)),
            )
        return result

    # 0 * inf is NaN, whose sign is -1, as that of what is below 0; a |v| has no threshold, and a relu has.
    absolute = {"kind": "relu", "max": None, "slope": -1.0}
    for alpha, activation, expected in [(np.inf, None, 1), (1e-40, RELU, 1), (0.7, RELU, 1), (0.7, absolute, 32)]:
        path = tmp_path / "net.bnn"
        path.write_bytes(writer(alpha, activation).bytes())
        assert assert_same_scores(path, (2, 5, 5, 3), rng) == [expected, 32]
