"""Frozen models: equal to the trained ones, small, portable, and not to be trained."""

import os
import re
import zipfile

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf

import bnn_tf
from bnn_tf import layers, models, ops, quantizers
from bnn_tf.layers.binary import BinaryLayer
from bnn_tf.layers.frozen import FROZEN, FrozenLayer

CONV, CONV_INPUT, DENSE, DENSE_INPUT = FROZEN

TRAINING_ONLY = {
    "kernel_initializer": "he_normal",
    "kernel_regularizer": "l2",
    "kernel_constraint": layers.WeightClip(),
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "ste": "ede",
}


def randomize(model, rng):
    """Weights as training leaves them: biases and statistics that aren't 0 and 1."""
    model.set_weights([rng.uniform(0.1, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    return model


def images(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def binary_layers(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, BinaryLayer)]


# The same numbers.


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (CONV, {}),
        (CONV, {"strides": 2, "padding": "same", "scaling": "tensor", "use_bias": False}),
        (CONV, {"strides": (2, 1), "dilation_rate": 2, "padding": ((1, 2), (0, 3)), "groups": 2, "activation": "relu"}),
        (CONV, {"scaling": "none", "groups": 4, "filters": 20, "padding": "SAME", **TRAINING_ONLY}),
        (CONV_INPUT, {"filters": 40, "activation": "leaky_relu"}),
        (CONV_INPUT, {"padding": "same", "pad_value": -1, "input_scaling": False, "scaling": "none"}),
        (CONV_INPUT, {"padding": ((0, 2), (2, 1)), "pad_value": 1, "strides": 2, "dilation_rate": (1, 2)}),
        (CONV_INPUT, {"padding": "same", "groups": 2, "input_ste": "approx_sign", "use_bias": False, **TRAINING_ONLY}),
        (DENSE, {}),
        (DENSE, {"units": 33, "scaling": "tensor", "use_bias": False, "activation": "relu"}),
        (DENSE_INPUT, {"scaling": "none"}),
        (DENSE_INPUT, {"units": 17, "input_scaling": False, "input_ste": quantizers.SwishSign(3), **TRAINING_ONLY}),
    ],
)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "float64"])
def test_equal_bit_for_bit(cls, options, policy, rng):
    sizes = {"filters": 8, "kernel_size": 3} if cls in (CONV, CONV_INPUT) else {"units": 8}
    trained = cls(**{**sizes, **options, "dtype": policy, "name": "it"})
    x = images(rng, 2, 9, 8, 4) if cls in (CONV, CONV_INPUT) else images(rng, 5, 70)
    model = randomize(keras.Sequential([keras.Input(x.shape[1:]), trained]), rng)
    frozen = bnn_tf.freeze(model)
    layer = frozen.get_layer("it")
    assert type(layer) is FROZEN[cls]
    np.testing.assert_array_equal(frozen(x), model(x))
    assert layer(x).dtype == trained(x).dtype
    assert layer.compute_output_shape((None, *x.shape[1:])) == trained.compute_output_shape((None, *x.shape[1:]))

    groups = getattr(trained, "groups", 1)
    names = ["it/bits", "it/alpha"] + (["it/bias"] if trained.use_bias else [])
    assert [weight.path for weight in frozen.weights] == names
    assert (layer.bits.dtype, layer.alpha.dtype) == ("int32", "float32")
    bits, alpha, shape = ops.pack_kernel(trained.kernel, trained.scaling, groups)
    np.testing.assert_array_equal(layer.bits, bits)
    np.testing.assert_array_equal(layer.alpha, alpha)
    assert layer.kernel.shape == tuple(shape)

    config = layer.get_config()
    assert not {"kernel_constraint", "kernel_initializer", "ste", "input_ste", "activity_regularizer"} & set(config)
    kept = {name: value for name, value in trained.get_config().items() if name in config}
    assert kept == {**config, "trainable": True}
    assert FROZEN[cls].from_config(config).get_config() == config
    assert not layer.losses


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_signs_come_from_float32(policy, rng):
    """Latent weights of 1e-9 are 0 in float16, whose sign is +1."""
    signs = oracle.sign(rng.normal(size=(40, 6)))
    model = keras.Sequential([keras.Input((40,)), layers.BinaryDense(6, dtype=policy, use_bias=False)])
    model.set_weights([1e-9 * signs])
    (layer,) = binary_layers(bnn_tf.freeze(model))
    np.testing.assert_array_equal(ops.composed.unpack_kernel(layer.bits, (40, 6)), signs)
    np.testing.assert_allclose(layer.alpha, np.full(6, 1e-9), 1e-6)


@pytest.mark.parametrize("scheme", ["bwn", "dorefa", "xnor"])
@pytest.mark.parametrize(("name", "size"), [("lenet", 8), ("alexnet_cifar", 15), ("resnet_cifar", 8)])
def test_networks(name, size, scheme, rng):
    model = randomize(models.build(name, scheme, input_shape=(size, size, 2), width=0.25, binarize_last=True), rng)
    frozen = bnn_tf.freeze(model)
    x = images(rng, 3, size, size, 2)
    np.testing.assert_array_equal(frozen.predict(x, verbose=0), model.predict(x, verbose=0))
    assert models.model_size(frozen) == models.model_size(model)
    assert [layer.name for layer in frozen.layers] == [layer.name for layer in model.layers]
    assert frozen.name == model.name and type(frozen) is type(model)


def test_the_graph_holds_the_op_and_nothing_else():
    """No packing, no cast, no copy in a call."""
    model = keras.Sequential([keras.Input((6, 6, 4)), layers.BinaryConvInput2D(5, 3, use_bias=False)])
    graph = tf.function(bnn_tf.freeze(model)).get_concrete_function(tf.TensorSpec((1, 6, 6, 4))).graph
    types = [op.type for op in graph.get_operations() if op.type not in ("Placeholder", "Identity", "NoOp")]
    assert types == ["ReadVariableOp", "ReadVariableOp", "BinaryConvInput2DPacked"]


# Models of every build.


class Scaled(keras.layers.Layer):
    """A layer of the user's own, not registered."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(1,), initializer="random_normal")

    def call(self, x):
        return x * self.factor


def branches():
    """Two inputs, two outputs, a layer and a model that are used twice, a model in a model, Keras functions."""
    left, right = keras.Input((8, 8, 4), name="left"), keras.Input((8, 8, 4), name="right")
    shared = layers.BinaryConv2D(4, 3, padding="same", name="shared")
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.BinaryConvInput2D(4, 3, padding="same"), shared], name="inner"
    )
    inner.compile("adam", "mse")
    a, b = inner(shared(left)), inner(right)
    body = keras.Input((8, 8, 4))
    deeper = keras.Model(
        body, [keras.layers.BatchNormalization()(inner(body)), Scaled(name="own")(body)], name="deeper"
    )
    c, d = deeper(keras.ops.relu(a) + b, training=False)
    times = keras.layers.TimeDistributed(layers.BinaryDense(3), name="times")(keras.layers.Reshape((8, 32))(c))
    times = keras.layers.Lambda(lambda v: v * 2, name="twice")(times)
    pool = keras.layers.GlobalAveragePooling2D()(d)
    return keras.Model(
        {"left": left, "right": right}, {"times": times, "pool": keras.layers.Dense(2)(pool)}, name="all"
    )


def test_models_of_every_build(rng):
    model = randomize(branches(), rng)
    model.compile("adam", lambda y, z: keras.ops.mean((y - z) ** 2))
    x = {"left": images(rng, 2, 8, 8, 4), "right": images(rng, 2, 8, 8, 4)}
    frozen = bnn_tf.freeze(model)
    for name, expected in model(x).items():
        np.testing.assert_array_equal(frozen(x)[name], expected, err_msg=name)

    assert [layer.name for layer in frozen._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    assert {type(layer) for layer in binary_layers(frozen)} == {FROZEN[CONV], FROZEN[CONV_INPUT], FROZEN[DENSE]}
    assert isinstance(frozen.get_layer("times").layer, FrozenLayer)
    assert frozen.get_layer("inner").layers[-1] is frozen.get_layer("shared")
    assert frozen.get_layer("deeper").get_layer("inner") is frozen.get_layer("inner")
    assert len(frozen.weights) == len(model.weights) + 3  # alpha of three layers
    for old, new in zip(model._flatten_layers(), frozen._flatten_layers(), strict=True):
        assert not new.trainable and new is not old
        if not isinstance(old, (keras.Model, BinaryLayer, keras.layers.TimeDistributed, keras.layers.Lambda)):
            assert {**new.get_config(), "trainable": None} == {**old.get_config(), "trainable": None}
    assert not any(layer.compiled for layer in frozen._flatten_layers() if isinstance(layer, keras.Model))


def test_a_model_in_a_wrapper_and_weights_in_an_activation(rng):
    parts = [layers.BinaryConv2D(5, 3, activation=keras.layers.PReLU(shared_axes=(1, 2))), layers.BinaryDense(3)]
    inner = keras.Sequential([*parts, keras.layers.BatchNormalization()])
    model = randomize(keras.Sequential([keras.Input((4, 6, 6, 3)), keras.layers.TimeDistributed(inner)]), rng)
    frozen = bnn_tf.freeze(model)
    x = images(rng, 2, 4, 6, 6, 3)
    np.testing.assert_array_equal(frozen(x), model(x))
    assert len(binary_layers(frozen)) == 2
    assert models.model_size(frozen) == models.model_size(model)


def test_the_original_stays_as_it_is(rng):
    model = models.build("lenet", "xnor", input_shape=(8, 8, 1), width=0.25)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = images(rng, 8, 8, 8, 1), np.arange(8)
    model.fit(x, y, verbose=0)
    weights, config, state = model.get_weights(), model.get_config(), [v.numpy() for v in model.optimizer.variables]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    frozen = bnn_tf.freeze(model)
    before = frozen.predict(x, verbose=0)
    assert model.get_config() == config and [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert len(model.trainable_weights) == len(models.build("lenet", "xnor").trainable_weights)
    for now, then in zip(
        model.get_weights() + [v.numpy() for v in model.optimizer.variables], weights + state, strict=True
    ):
        np.testing.assert_array_equal(now, then)

    model.fit(x, y, verbose=0)  # and training goes on, without the frozen one
    np.testing.assert_array_equal(frozen.predict(x, verbose=0), before)
    assert (model.predict(x, verbose=0) != before).any()


def test_freezing_twice_is_the_identity(rng):
    model = randomize(branches(), rng)
    once = bnn_tf.freeze(model)
    twice = bnn_tf.freeze(once)
    for a, b in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    configs = [[layer.get_config() for layer in binary_layers(model)] for model in (once, twice)]
    assert configs[0] == configs[1] and twice.layers[0] is not once.layers[0]


def test_a_sequential_model_built_by_a_call(rng):
    model = keras.Sequential([layers.BinaryDense(3), keras.layers.Normalization(name="norm")])
    x = images(rng, 4, 70)
    model(x)
    model.get_layer("norm").adapt(model.layers[0](x))
    frozen = bnn_tf.freeze(model)
    assert type(frozen) is keras.Sequential
    np.testing.assert_array_equal(frozen(x), model(x))


def test_evaluate(rng):
    model = models.build("lenet", "bwn", input_shape=(8, 8, 1), width=0.25)
    x, y = images(rng, 8, 8, 8, 1), np.arange(8)
    results = []
    for each in (model, bnn_tf.freeze(model)):
        each.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        results.append(each.evaluate(x, y, verbose=0))
    assert results[0] == results[1]


# Files.


def test_the_file_is_as_small_as_bits_say(tmp_path):
    """Every weight costs its bytes, and Keras' archive not more than 4096 bytes a layer."""
    model = models.lenet("xnor", binarize_last=True)
    frozen = bnn_tf.freeze(model)
    kernels = {"conv2": (25 * 32, 64), "dense1": (7 * 7 * 64, 1024), "logits": (1024, 16)}  # 10 filters fill 16 lanes
    bits = sum(run // 8 * filters for run, filters in kernels.values())
    floats = 64 + 1024 + 10 + (25 * 32 + 32) + 4 * (32 + 3136 + 1024) + 10  # alpha, conv1, norms, the last bias
    assert sum(weight.numpy().nbytes for weight in frozen.weights) == bits + 4 * floats
    assert bits + 4 * floats - models.model_size(model).packed_bytes == 1024 // 8 * 6

    frozen.save(tmp_path / "frozen.keras")
    model.save(tmp_path / "trained.keras")
    size, trained = (os.path.getsize(tmp_path / f"{name}.keras") for name in ("frozen", "trained"))
    assert size < bits + 4 * floats + 4096 * len(frozen.layers)
    assert size < trained / 20
    with zipfile.ZipFile(tmp_path / "frozen.keras") as archive:
        assert b"WeightClip" not in archive.read("config.json")

    tf.saved_model.save(frozen, str(tmp_path / "saved"))
    weights = tmp_path / "saved" / "variables" / "variables.data-00000-of-00001"
    assert os.path.getsize(weights) < bits + 4 * floats + 1024 * len(frozen.layers)
    frozen.export(tmp_path / "exported", verbose=False)
    weights = tmp_path / "exported" / "variables" / "variables.data-00000-of-00001"
    # Keras writes every variable of any model twice.
    assert os.path.getsize(weights) < 2 * (bits + 4 * floats) + 1024 * len(frozen.layers)


def every_layer(rng):
    model = keras.Sequential(
        [
            keras.Input((9, 8, 4)),
            layers.BinaryConv2D(6, 3, padding=((1, 1), (0, 2)), strides=2, dilation_rate=2, groups=2, ste="ede"),
            layers.BinaryConvInput2D(20, 3, padding="same", pad_value=-1, scaling="tensor", input_ste="reste"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            layers.BinaryDense(40, scaling="none", activation="relu"),
            layers.BinaryDenseInput(3, kernel_constraint=layers.WeightClip()),
        ]
    )
    return randomize(model, rng)


ELSEWHERE = """
import sys
import keras
import numpy as np
import bnn_tf
from bnn_tf import layers, ops

folder, name = sys.argv[1:]
given = np.load(f"{folder}/given.npz")
x, y = given["x"], given["y"]
exact = ops.backend_info()["custom_ops"]
assert exact == (name == "ops")
tolerance = 0 if exact else 1e-5

frozen = keras.models.load_model(f"{folder}/frozen.keras")
trained = keras.models.load_model(f"{folder}/trained.keras")
predicted = frozen.predict(x, verbose=0)
np.testing.assert_allclose(predicted, y, tolerance, tolerance)
np.testing.assert_allclose(predicted, trained.predict(x, verbose=0), tolerance / 10, tolerance / 10)
assert [w.path.split("/")[1] for w in frozen.layers[0].weights] == ["bits", "alpha", "bias"]
for a, b in zip(frozen.get_weights(), bnn_tf.freeze(trained).get_weights(), strict=True):
    np.testing.assert_array_equal(a, b) if a.dtype == "int32" else np.testing.assert_allclose(a, b, 1e-6)

frozen.compile("sgd", "mse")
try:
    frozen.fit(x, y, verbose=0)
except ValueError as error:
    assert "a frozen layer can't be trained" in str(error)
else:
    raise AssertionError("it trained")
if exact:
    import tensorflow as tf
    exported, saved = tf.saved_model.load(f"{folder}/exported"), tf.saved_model.load(f"{folder}/saved")
    np.testing.assert_array_equal(exported.serve(x), y)
    (served,) = saved.signatures["serving_default"](tf.constant(x)).values()
    np.testing.assert_array_equal(served, y)
print("done", name)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("saved"), np.random.default_rng(3)
    model, x = every_layer(rng), images(rng, 4, 9, 8, 4)
    frozen = bnn_tf.freeze(model)
    y = model(x).numpy()
    np.testing.assert_array_equal(frozen(x), y)
    np.savez(folder / "given.npz", x=x, y=y)
    model.save(folder / "trained.keras")
    frozen.save(folder / "frozen.keras")
    frozen.export(folder / "exported", verbose=False)
    tf.saved_model.save(frozen, str(folder / "saved"))
    return folder


@pytest.mark.parametrize(
    ("name", "environment"),
    [("ops", {}), ("composed", {"BNN_TF_DISABLE_OPS": "1"}), ("jax", {"KERAS_BACKEND": "jax"})],
    ids=["ops", "composed", "jax"],
)
def test_in_another_process(saved, run_python, name, environment):
    assert f"done {name}" in run_python(ELSEWHERE, saved, name, **environment)


# Not to be trained.

UNTRAINABLE = (
    "a frozen layer can't be trained, for it holds bits and no latent weights. Got training=True. Train the orig"
)


@pytest.mark.parametrize("place", ["first", "middle", "last", "time"])
@pytest.mark.parametrize("trainable", [False, True])
def test_fit_is_an_error_wherever_the_layer_is(place, trainable, rng):
    parts = {
        "first": [layers.BinaryDense(4), keras.layers.Dense(3)],
        "middle": [keras.layers.Dense(4), layers.BinaryDenseInput(5), keras.layers.Dense(3)],
        "last": [keras.layers.Dense(4), layers.BinaryDense(3)],
        "time": [
            keras.layers.Reshape((2, 3)),
            keras.layers.TimeDistributed(layers.BinaryDense(4)),
            keras.layers.Flatten(),
        ],
    }[place]
    frozen = bnn_tf.freeze(keras.Sequential([keras.Input((6,)), *parts]))
    assert not frozen.trainable_weights
    frozen.trainable = trainable
    frozen.compile("sgd", "mse")
    before = frozen.get_weights()
    x, y = images(rng, 8, 6), np.zeros((8, *frozen.output_shape[1:]))
    for train in (frozen.fit, frozen.train_on_batch):
        with pytest.raises(ValueError, match=re.escape(UNTRAINABLE)):
            train(x, y)
    with pytest.raises(ValueError, match=re.escape(UNTRAINABLE)):
        frozen(x, training=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, frozen.get_weights(), strict=True))
    assert not any(weight.path.endswith(("bits", "alpha")) for weight in frozen.trainable_weights)

    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        loss = tf.reduce_sum(frozen(inputs))
    with pytest.raises(ValueError, match="a packed kernel has no gradient"):
        tape.gradient(loss, inputs)


def test_inside_a_larger_model(rng):
    """It serves there, and what follows it trains on its predictions."""
    body = bnn_tf.freeze(every_layer(rng))
    head = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    whole = keras.Sequential([keras.Input((9, 8, 4)), body, head])
    for model in (head, whole):
        model.compile("sgd", "mse")
    x, y = images(rng, 4, 9, 8, 4), np.ones((4, 2))
    with pytest.raises(ValueError, match=re.escape(UNTRAINABLE)):
        whole.fit(x, y, verbose=0)
    before = whole.predict(x, verbose=0)
    head.fit(body.predict(x, verbose=0), y, verbose=0)
    assert (whole.predict(x, verbose=0) != before).all()


# Mistakes.


class Block(keras.layers.Layer):
    """Makes its binary layer itself."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.BinaryDense(3, name="inside")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = layers.BinaryDense(3)

    def call(self, x):
        return self.dense(x)


class Derived(layers.BinaryDense):
    pass


def sequential(*parts):
    return keras.Sequential([keras.Input((4,)), *parts], name="model")


def called(model):
    model(np.ones((1, 4), np.float32))
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.BinaryDense(3, name="it"), "`model` must be a Keras model. Got <BinaryDense name=it"),
        (
            lambda: keras.Sequential([layers.BinaryDense(3)], name="model"),
            "model 'model' has no weights yet. Call it on",
        ),
        (
            lambda: sequential(keras.layers.Dense(3), keras.layers.ReLU()),
            "model 'model' has no binary layer. Got Dense, ReLU; expected BinaryConv2D, BinaryConvInput2D, "
            "BinaryDense, BinaryDenseInput among them. Save it as it is.",
        ),
        (
            lambda: called(Subclassed()),
            "can't see how the subclassed model 'mine' (Subclassed) calls its layers. Expected",
        ),
        (lambda: sequential(Block(name="block")), "can't replace 'inside' (BinaryDense) in 'block' (Block). Expected"),
        (lambda: sequential(called(Subclassed())), "can't see how the subclassed model 'mine' (Subclassed)"),
        (lambda: sequential(Derived(3, name="it")), "can't replace 'it' (Derived) in 'it' (Derived). Expected"),
        (
            lambda: sequential(keras.layers.SpectralNormalization(layers.BinaryDense(3, name="it"), name="sn")),
            "can't freeze 'it' (BinaryDense) in the wrapper 'sn' (SpectralNormalization). Expected TimeDistributed",
        ),
    ],
    ids=["layer", "unbuilt", "float", "subclassed", "block", "nested subclassed", "derived", "wrapper"],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=re.escape(f"freeze: {text}")):
        bnn_tf.freeze(make())


def test_errors_of_the_layers(rng):
    with pytest.raises(ValueError, match=r"FrozenBinaryDense: a frozen layer isn't trained, so it has no `ste`\."):
        layers.FrozenBinaryDense(3, ste="ede")
    layer = layers.FrozenBinaryConv2D(16, 3, name="it")
    layer.build((None, 9, 9, 2))
    other = layers.BinaryConv2D(16, (2, 3))  # 18 weights a filter, too: the bits would fit
    other.build((None, 9, 9, 3))
    with pytest.raises(
        ValueError, match=r"kernels must be of one shape. Got \(2, 3, 3, 16\) to pack into \(3, 3, 2, 16\)"
    ):
        layer.pack(other)
    for refused in (lambda: layer.enable_lora(2), lambda: layer.quantize("int8")):
        with pytest.raises(NotImplementedError, match=r"FrozenBinaryConv2D \(it\) doesn't support"):
            refused()
    with pytest.raises(ValueError, match="BinaryConv2D: the kernel is larger than the image"):
        layer(images(rng, 1, 2, 2, 2))
    with pytest.raises(ValueError, match="FrozenBinaryConv2D: the channels of the input must be known"):
        layers.FrozenBinaryConv2D(16, 3).build((None, 9, 9, None))
