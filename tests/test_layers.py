"""The four layers: Keras' manners (Basic), the right numbers (Correctness), saving, precision, training."""

import re

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf

from bnn_tf import layers, ops, quantizers

CONV = (layers.BinaryConv2D, layers.BinaryConvInput2D)
DENSE = (layers.BinaryDense, layers.BinaryDenseInput)


def make(cls, **options):
    return cls(6, 3, **options) if cls in CONV else cls(6, **options)


def inputs_for(cls, rng, channels=4):
    shape = (2, 7, 6, channels) if cls in CONV else (5, channels)
    return rng.normal(size=shape).astype(np.float32)


def expected_output(layer, x):
    """What the oracle says, bias and activation included."""
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy() if layer.use_bias else 0.0
    options = {
        "scaling": layer.scaling,
        "binary_input": isinstance(layer, (layers.BinaryConvInput2D, layers.BinaryDenseInput)),
    }
    if options["binary_input"]:
        options["input_scaling"] = layer.input_scaling
    if not isinstance(layer, CONV):
        return np.maximum(oracle.dense(x, kernel, **options) + bias, 0)
    if options["binary_input"]:
        options["pad_value"] = layer.pad_value
    window = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilations": layer.dilation_rate,
        "groups": layer.groups,
    }
    return np.maximum(oracle.conv2d(x, kernel, **window, **options) + bias, 0)


@pytest.mark.parametrize("cls", CONV + DENSE)
def test_basic(cls, rng):
    layer = make(cls)
    x = inputs_for(cls, rng)
    y = layer(x)
    assert tuple(y.shape) == layer.compute_output_shape(x.shape)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])
    assert [v.path for v in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]
    assert layer.kernel.shape == ((3, 3, 4, 6) if cls in CONV else (4, 6))
    assert isinstance(layer, keras.layers.Conv2D if cls in CONV else keras.layers.Dense)

    copy = cls.from_config(layer.get_config())
    copy.build(x.shape)
    copy.set_weights(layer.get_weights())
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(copy(x), y)
    assert not layer.supports_jit  # the C++ op serves


@pytest.mark.parametrize("cls", CONV + DENSE)
def test_defaults_are_keras(cls):
    """Every argument of the Keras layer is there, with its name and default."""
    config = make(cls).get_config()
    reference = (keras.layers.Conv2D(6, 3) if cls in CONV else keras.layers.Dense(6)).get_config()
    ours = {"scaling": "channel", "ste": "identity", "input_scaling": True, "input_ste": "ste_sign", "pad_value": 0}
    for name, value in reference.items():
        if name not in ("name", "quantization_config"):
            assert config.pop(name) == value, name
    config.pop("name")
    assert {name: ours[name] for name in config} == config


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (layers.BinaryConv2D, {}),
        (layers.BinaryConv2D, {"strides": 2, "padding": "SAME", "scaling": "tensor", "use_bias": False}),
        (layers.BinaryConv2D, {"strides": (2, 1), "dilation_rate": 2, "padding": ((1, 2), (0, 3)), "groups": 2}),
        (layers.BinaryConvInput2D, {}),
        (layers.BinaryConvInput2D, {"padding": "same", "pad_value": -1, "input_scaling": False, "scaling": "none"}),
        (layers.BinaryConvInput2D, {"padding": "same", "pad_value": 1, "groups": 2, "strides": 2}),
        (layers.BinaryDense, {}),
        (layers.BinaryDense, {"scaling": "tensor", "ste": "ede"}),
        (layers.BinaryDenseInput, {}),
        (layers.BinaryDenseInput, {"input_scaling": False, "scaling": "none", "input_ste": quantizers.SwishSign(3)}),
    ],
)
def test_correctness(cls, options, rng):
    layer = make(cls, activation="relu", bias_initializer="random_normal", **options)
    x = inputs_for(cls, rng)
    y = layer(x)
    assert tuple(y.shape) == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(y, expected_output(layer, x), 1e-5, 1e-5)


def test_dense_of_more_dimensions(rng):
    for cls in DENSE:
        x = rng.normal(size=(2, 3, 4, 9)).astype(np.float32)
        layer = make(cls, activation="relu")
        np.testing.assert_allclose(layer(x), expected_output(layer, x), 1e-5, 1e-5)
        model = keras.Sequential([keras.Input((None, None, 9)), layer])
        assert model.output_shape == (None, None, None, 6)
        np.testing.assert_allclose(model(x), layer(x), 1e-6)


@pytest.mark.parametrize("cls", CONV)
def test_unknown_image_sizes(cls, rng):
    layer = make(cls, padding="same", strides=2)
    model = keras.Sequential([keras.Input((None, None, 4)), layer])
    assert model.output_shape == (None, None, None, 6)
    x = inputs_for(cls, rng)
    np.testing.assert_array_equal(model.predict(x, verbose=0), layer(x))


@pytest.mark.parametrize("cls", CONV + DENSE)
def test_initializers_regularizers_constraints(cls, rng):
    clip = keras.constraints.NonNeg()
    layer = make(
        cls,
        kernel_initializer=keras.initializers.RandomUniform(-1, 1, seed=1),
        kernel_regularizer=keras.regularizers.L2(0.5),
        activity_regularizer="l2",
        kernel_constraint=clip,
        bias_constraint=clip,
    )
    x = inputs_for(cls, rng)
    layer(x)
    np.testing.assert_allclose(float(layer.losses[-1]), 0.5 * np.square(layer.kernel.numpy()).sum(), 1e-5)
    model = keras.Sequential([layer, keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((len(x), 1)), verbose=0)
    assert layer.kernel.numpy().min() >= 0


@pytest.mark.parametrize("cls", CONV + DENSE)
@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "float64"])
def test_dtype_policies_leave_the_signs_alone(cls, policy, rng):
    """Latent weights of 1e-9 are 0 in float16: cast there, every one of them would turn positive."""
    signs = oracle.sign(rng.normal(size=(3, 3, 4, 6) if cls in CONV else (4, 6)))
    layer = make(
        cls, dtype=policy, scaling="none", kernel_initializer=lambda shape, dtype: tf.cast(1e-9 * signs, dtype)
    )
    x = inputs_for(cls, rng).astype("float16")  # so that casting to the policy's dtype changes nothing
    y = layer(x)
    assert layer.kernel.dtype == "float32"
    assert y.dtype == layer.compute_dtype
    assert layer.bias.dtype == layer.variable_dtype
    reference = make(cls, scaling="none", kernel_initializer=lambda shape, dtype: tf.cast(signs, dtype))
    tolerance = {"mixed_bfloat16": 1e-2, "float64": 1e-6}.get(policy, 2e-3)
    if policy == "mixed_bfloat16":
        x = tf.cast(tf.cast(x, "bfloat16"), "float32")
    np.testing.assert_allclose(tf.cast(y, "float32"), reference(tf.cast(x, "float32")), tolerance, tolerance)


def test_mixed_precision_trains(rng):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.BinaryConv2D(8, 3, dtype="mixed_float16"),
            layers.BinaryConvInput2D(8, 3, dtype="mixed_float16", input_ste="approx_sign"),
            keras.layers.Flatten(dtype="mixed_float16"),
            layers.BinaryDenseInput(4, dtype="mixed_float16"),
            layers.BinaryDense(2, dtype="mixed_float16"),
        ]
    )
    model.compile("adam", "mse")
    before = [w.copy() for w in model.get_weights()]
    model.fit(rng.normal(size=(8, 8, 8, 3)), rng.normal(size=(8, 2)), verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def every_layer():
    return keras.Sequential(
        [
            keras.Input((9, 8, 4)),
            layers.BinaryConv2D(
                6, 3, padding=((1, 1), (0, 2)), strides=2, dilation_rate=2, ste="swish_sign", name="first"
            ),
            layers.BinaryConvInput2D(
                8, 3, padding="same", pad_value=-1, ste=quantizers.SwishSign(2.0), input_ste="reste"
            ),
            keras.layers.Flatten(),
            layers.BinaryDense(7, scaling="tensor", ste=quantizers.Ede(0.5), activation="relu"),
            layers.BinaryDenseInput(3, input_scaling=False, kernel_constraint=keras.constraints.MaxNorm(2)),
        ]
    )


def test_saving_and_loading(tmp_path, rng):
    model = every_layer()
    model.compile("adam", "mse")
    x = rng.normal(size=(4, 9, 8, 4)).astype(np.float32)
    model.fit(x, rng.normal(size=(4, 3)), epochs=2, verbose=0, callbacks=[quantizers.Anneal()])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in model.layers]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert loaded.layers[3].ste.progress == 1.0
    loaded.fit(x, np.ones((4, 3)), verbose=0)

    model.save_weights(tmp_path / "model.weights.h5")
    fresh = every_layer()
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(fresh.predict(x, verbose=0), model.predict(x, verbose=0))

    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(x), model.predict(x, verbose=0), 1e-6, 1e-6)

    clone = keras.models.clone_model(model)
    assert clone.layers[3].ste is not model.layers[3].ste


def test_one_annealed_quantizer_may_serve_many_layers(tmp_path):
    shared = quantizers.Ede()
    model = keras.Sequential(
        [keras.Input((4,)), layers.BinaryDense(4, ste=shared), layers.BinaryDenseInput(2, ste=shared, input_ste=shared)]
    )
    assert len(model.non_trainable_variables) == 1
    shared.progress = 0.5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [layer.ste.progress for layer in loaded.layers] == [0.5, 0.5]


# Training on every path. The script runs in fresh interpreters, for the environment is read once.

TRAIN = """
import sys
import keras
import numpy as np
from bnn_tf import layers, ops, quantizers

folder, name, other = sys.argv[1:]
assert ops.backend_info()["custom_ops"] == (name == "ops"), ops.backend_info()
assert layers.BinaryDense(1).supports_jit == (name != "ops")

def build(scheme):
    rng = np.random.default_rng(7)
    conv = {
        "bwn": lambda filters: layers.BinaryConv2D(filters, 3, padding="same", strides=2),
        "dorefa": lambda filters: layers.BinaryConv2D(filters, 3, padding="same", scaling="tensor", ste="clip"),
        "xnor": lambda filters: layers.BinaryConvInput2D(filters, 3, 2, "same", groups=2, dilation_rate=2),
        "annealed": lambda filters: layers.BinaryConvInput2D(filters, 3, ste="ede", input_ste="reste", pad_value=1),
    }[scheme]
    dense = layers.BinaryDenseInput if scheme in ("xnor", "annealed") else layers.BinaryDense
    head = [keras.layers.Flatten(), dense(10), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 9, 4)), conv(8), conv(6), *head])
    model.set_weights([rng.normal(size=w.shape, scale=0.3) if w.ndim else w for w in model.get_weights()])
    return model

rng = np.random.default_rng(8)
x, y = rng.normal(size=(16, 8, 9, 4)).astype("float32"), rng.normal(size=(16, 3)).astype("float32")
results = {}
for scheme in ("bwn", "dorefa", "xnor", "annealed"):
    model = build(scheme)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[quantizers.Anneal()])
    results |= {f"{scheme}/{i}": w for i, w in enumerate(model.get_weights())}
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=False, callbacks=[quantizers.Anneal()])
    model.save(f"{folder}/{name}_{scheme}.keras")
    results[f"{scheme}/prediction"] = model.predict(x, verbose=0)
    if other:
        loaded = keras.models.load_model(f"{folder}/{other}_{scheme}.keras")
        results[f"{scheme}/loaded"] = loaded.predict(x, verbose=0)
np.savez(f"{folder}/{name}.npz", x=x, **results)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_python):
    folder = tmp_path_factory.mktemp("trained")
    run_python(TRAIN, folder, "ops", "")
    run_python(TRAIN, folder, "composed", "ops", BNN_TF_DISABLE_OPS="1")
    run_python(TRAIN, folder, "jax", "ops", KERAS_BACKEND="jax")
    return folder


@pytest.mark.parametrize("path", ["composed", "jax"])
def test_a_training_step_is_the_same_on_every_path(trained, path):
    expected, actual = np.load(trained / "ops.npz"), np.load(trained / f"{path}.npz")
    weights = [name for name in expected.files if re.search(r"/\d+$", name)]
    assert len(weights) > 20
    for name in weights:
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-4, err_msg=name)


@pytest.mark.filterwarnings(
    "ignore:Model doesn't support `jit_compile=True`"
)  # which JAX stored, and TensorFlow turns off
@pytest.mark.parametrize("path", ["composed", "jax"])
@pytest.mark.parametrize("scheme", ["bwn", "dorefa", "xnor", "annealed"])
def test_a_model_trained_on_one_path_loads_on_the_others(trained, path, scheme):
    here, there = np.load(trained / "ops.npz"), np.load(trained / f"{path}.npz")
    np.testing.assert_allclose(there[f"{scheme}/loaded"], here[f"{scheme}/prediction"], 1e-4, 1e-4)
    loaded = keras.models.load_model(trained / f"{path}_{scheme}.keras")
    np.testing.assert_allclose(loaded.predict(here["x"], verbose=0), there[f"{scheme}/prediction"], 1e-4, 1e-4)


# Mistakes.


@pytest.mark.parametrize("cls", CONV + DENSE)
def test_what_bits_cannot_do(cls, rng):
    with pytest.raises(NotImplementedError, match=r"doesn't support LoRA: its kernel is one bit a weight already"):
        make(cls, lora_rank=2)
    layer = make(cls)
    layer(inputs_for(cls, rng))
    with pytest.raises(NotImplementedError, match="LoRA"):
        layer.enable_lora(2)
    with pytest.raises(NotImplementedError, match=r"quantize\(\)"):
        layer.quantize("int8")
    with pytest.raises(NotImplementedError, match="quantized dtype policy 'int8_from_float32'"):
        make(cls, dtype="int8_from_float32").build((2, 7, 6, 4))


@pytest.mark.parametrize("cls", CONV + DENSE)
def test_errors_of_all(cls):
    name = cls.__name__
    with pytest.raises(ValueError, match=f'{name}: unknown `scaling` "row"'):
        make(cls, scaling="row")
    with pytest.raises(ValueError, match="Unknown quantizer 'sign'"):
        make(cls, ste="sign")
    with pytest.raises(ValueError, match=f"{name}: the channels of the input must be known"):
        make(cls).build((2, 7, 6, None) if cls in CONV else (2, None))


@pytest.mark.parametrize("cls", CONV)
def test_errors_of_the_convolutions(cls):
    name = cls.__name__
    for options, text in (
        ({"data_format": "channels_first"}, '`data_format` must be "channels_last"'),
        ({"padding": 2}, "unknown padding 2."),
        ({"dilation_rate": "x"}, "`dilations` must be an integer or a pair"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{name}: {text}")):
            make(cls, **options)
    for options, shape, text in (
        ({}, (2, 2, 9, 4), "the kernel is larger than the image. Got a height of 2"),
        ({"dilation_rate": 0}, (2, 7, 6, 4), "`dilations` must lie in 1..2^30. Got 0"),
        ({}, (2, 7, 6), "`x` must have rank 4. Got shape [2, 7, 6] of rank 3."),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{name}: {text}")):
            make(cls, **options).compute_output_shape(shape)
    with pytest.raises(ValueError, match="BinaryConvInput2D: `pad_value` must be -1, 0 or"):
        layers.BinaryConvInput2D(4, 3, pad_value=3)


def test_the_names_in_messages_are_the_layers(rng):
    layer = layers.BinaryConvInput2D(4, 3)
    with pytest.raises(ValueError, match="BinaryConvInput2D"):
        layer(rng.normal(size=(1, 2, 2, 3)))
    assert ops.backend_info()["custom_ops"]
