"""Binary twins of float models: the same graph, the formula on the same kernels, and a report of what stayed."""

import re

import keras
import numpy as np
import pytest

import bnn_tf
from bnn_tf import layers, models
from bnn_tf.binarizing import plan
from bnn_tf.errors import ArgumentError
from bnn_tf.layers.binary import BinaryLayer

K = keras.layers
SCALING = {"bwn": "channel", "dorefa": "tensor", "xnor": "channel"}


def chain(*parts, shape=(9, 8, 4), ends=True):
    """A Sequential model, by default with a first and a last layer that stay float."""
    first, last = ([K.Conv2D(4, 1, name="first")], [K.Conv2D(3, 1, name="last")]) if ends else ([], [])
    return keras.Sequential([keras.Input(shape), *first, *parts, *last], name="model")


def randomize(model, rng):
    """Weights as training leaves them: biases and statistics that aren't 0 and 1."""
    model.set_weights([rng.uniform(0.1, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    for layer in model._flatten_layers():
        if isinstance(layer, K.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    return model


def images(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def binary(model):
    return [layer.name for layer in model._flatten_layers() if isinstance(layer, BinaryLayer)]


def alpha_sign(kernel, scaling):
    """What a float layer's kernel would be to compute as its twin with binary weights does."""
    axes = {"channel": tuple(range(kernel.ndim - 1)), "tensor": None}[scaling]
    return np.abs(kernel).mean(axes) * np.where(kernel >= 0, 1, -1)


# The formula.


@pytest.mark.parametrize("scheme", ["bwn", "dorefa"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: K.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="it"),
        lambda: K.Conv2D(6, (3, 2), dilation_rate=2, groups=2, use_bias=False, name="it"),
        lambda: K.Conv2D(6, 3, activation=K.PReLU(shared_axes=(1, 2)), name="it"),
        lambda: K.Dense(7, activation=my_activation, name="it"),
        lambda: K.TimeDistributed(K.Dense(7, name="it")),
    ],
    ids=["strides", "groups", "prelu", "dense", "time"],
)
def test_the_formula_on_the_same_kernel(make, scheme, rng):
    model = randomize(chain(make()), rng)
    twin = bnn_tf.binarize(model, scheme)
    assert binary(twin) == ["it"] and type(twin) is keras.Sequential and not twin.compiled
    x = images(rng, 2, 9, 8, 4)
    result = twin.predict(x, verbose=0)

    layer = next(layer for layer in model._flatten_layers() if layer.name == "it")
    layer.kernel.assign(alpha_sign(layer.kernel.numpy(), SCALING[scheme]))
    np.testing.assert_allclose(result, model.predict(x, verbose=0), 1e-5, 1e-5)


def my_activation(x):
    return 2 * x


@pytest.mark.parametrize("make", [lambda: K.Conv2D(6, 3, padding="same", name="it"), lambda: K.Dense(7, name="it")])
def test_xnor_takes_the_layers_of_the_scheme(make, rng):
    model = randomize(chain(make()), rng)
    twin = bnn_tf.binarize(model, "xnor").get_layer("it")
    layer = model.get_layer("it")
    assert type(twin) in (layers.BinaryConvInput2D, layers.BinaryDenseInput)
    x = images(rng, 2, 9, 8, 4)
    expected = type(twin).from_config(twin.get_config())
    expected.build(x.shape)
    expected.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(x), expected(x))
    assert twin.scaling == "channel" and isinstance(twin.kernel_constraint, layers.WeightClip)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_if_asked(multiplier, rng):
    options = {"padding": "same", "dilation_rate": 2, "depth_multiplier": multiplier, "activation": "relu"}
    model = randomize(chain(K.DepthwiseConv2D(3, **options, depthwise_regularizer="l2", name="it"), K.Dense(5)), rng)
    assert binary(bnn_tf.binarize(model, "bwn")) == [model.layers[2].name]
    twin = bnn_tf.binarize(model, "bwn", depthwise=True)
    layer = twin.get_layer("it")
    assert (type(layer), layer.groups, layer.filters) == (layers.BinaryConv2D, 4, 4 * multiplier)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)

    kernel = model.get_layer("it").kernel  # height, width, channels, multiplier: a scale for each of the last two
    scale = np.abs(kernel.numpy()).mean((0, 1))
    kernel.assign(scale * np.where(kernel.numpy() >= 0, 1, -1))
    model.layers[2].kernel.assign(alpha_sign(model.layers[2].kernel.numpy(), "channel"))
    x = images(rng, 2, 9, 8, 4)
    np.testing.assert_allclose(twin.predict(x, verbose=0), model.predict(x, verbose=0), 1e-5, 1e-5)


def test_arguments_stay(rng):
    options = {
        "kernel_initializer": "he_normal",
        "kernel_regularizer": "l2",
        "bias_regularizer": "l1",
        "bias_initializer": "ones",
        "bias_constraint": "non_neg",
        "activity_regularizer": "l2",
        "activation": "relu",
        "trainable": False,
        "dtype": "mixed_float16",
    }
    parts = [K.Conv2D(6, 3, (2, 1), "same", name="conv", **options), K.Dense(7, name="dense", **options)]
    model = chain(*parts)
    twin = bnn_tf.binarize(model, "dorefa")
    for name in ("conv", "dense"):
        old, new = model.get_layer(name).get_config(), twin.get_layer(name).get_config()
        differing = {key for key in old.keys() & new.keys() if old[key] != new[key]}
        assert differing <= {"kernel_constraint"}, {key: (old[key], new[key]) for key in differing}
        assert not twin.get_layer(name).trainable
    names = [[weight.path.split("/")[-2:] for weight in each.weights] for each in (model, twin)]
    assert names[0] == names[1]
    assert len(twin.trainable_weights) == len(model.trainable_weights) == 4


@pytest.mark.parametrize(
    ("constraint", "largest", "expected"),
    [
        (None, 0.5, {"limit": 1.0}),
        (None, 2.5, {"limit": 2.5}),
        (keras.constraints.MaxNorm(3), 2.5, {"max_value": 3, "axis": 0}),
    ],
    ids=["within", "beyond", "own"],
)
def test_no_training_step_clips_what_was_taken_over(constraint, largest, expected, rng):
    model = chain(K.Dense(6, kernel_constraint=constraint, name="it"))
    kernel = model.get_layer("it").kernel
    kernel.assign(largest * rng.choice([-1, 0.3], kernel.shape))
    twin = bnn_tf.binarize(model, "bwn").get_layer("it")
    np.testing.assert_array_equal(twin.kernel, kernel)
    assert twin.kernel_constraint.get_config() == expected
    if constraint is None:
        np.testing.assert_array_equal(twin.kernel_constraint(twin.kernel), kernel)


# Which layers.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["a", "b", "c", "d"]),
        ({"binarize_first": True}, ["first", "a", "b", "c", "d"]),
        ({"binarize_last": True}, ["a", "b", "c", "d", "last"]),
        ({"skip": "a"}, ["b", "c", "d"]),
        ({"skip": "inner"}, ["a", "d"]),
        ({"skip": "inner/?"}, ["a", "d"]),
        ({"skip": "[ab]"}, ["c", "d"]),
        ({"skip": re.compile(r"er/c$|^a$")}, ["b", "d"]),
        ({"skip": K.Dense}, ["a", "b", "c"]),
        ({"skip": lambda layer: getattr(layer, "filters", 0) == 5}, ["a", "c", "d"]),
        ({"skip": ["a", K.Dense, re.compile("b")]}, ["c"]),
    ],
    ids=["default", "first", "last", "name", "model", "glob", "set", "regex", "class", "predicate", "list"],
)
def test_what_is_skipped(options, expected):
    twin = bnn_tf.binarize(nested(), "bwn", **options)
    assert sorted(binary(twin)) == sorted(expected)


def nested():
    inner = keras.Sequential([keras.Input((9, 8, 4)), K.Conv2D(5, 3, name="b"), K.Conv2D(4, 3, name="c")], name="inner")
    return chain(K.Conv2D(4, 1, name="a"), inner, K.Dense(4, name="d"))


def branches():
    """Two inputs and outputs, a shortcut around everything, a layer and a model that are used twice."""
    left, right = keras.Input((8, 8, 4), name="left"), keras.Input((8, 8, 4), name="right")
    stem, stem2 = K.Conv2D(4, 3, padding="same", name="stem"), K.Conv2D(4, 3, padding="same", name="stem2")
    a, b = stem(left), stem2(right)
    shared = K.Conv2D(4, 3, padding="same", name="shared")
    body = keras.Input((8, 8, 4))
    deeper = keras.Model(body, K.BatchNormalization()(shared(body) + body), name="deeper")
    deeper.trainable = False
    c = keras.ops.relu(deeper(shared(a)) + deeper(b)) + left
    head = K.Dense(5, name="head")(K.GlobalAveragePooling2D()(c))
    side = K.Conv2D(3, 1, name="side")(K.ReLU()(c))
    return keras.Model({"left": left, "right": right}, {"head": head, "side": side}, name="all")


def test_first_and_last_follow_the_graph():
    report = plan(branches(), "bwn")
    assert {row.layer: row.remark for row in report.kept} == {
        "stem": "first layer",
        "stem2": "first layer",
        "head": "last layer",
        "side": "last layer",
    }
    assert [(row.layer, row.becomes, row.weights) for row in report.converted] == [("shared", "BinaryConv2D", 144)]


def test_models_of_every_build(rng):
    model = randomize(branches(), rng)
    twin = bnn_tf.binarize(model, "bwn")
    assert binary(twin) == ["shared"]
    assert [layer.name for layer in twin._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    assert [layer.trainable for layer in twin._flatten_layers()] == [
        layer.trainable for layer in model._flatten_layers()
    ]
    assert not twin.get_layer("shared").trainable and twin.get_layer("stem").trainable
    x = {"left": images(rng, 2, 8, 8, 4), "right": images(rng, 2, 8, 8, 4)}
    result = twin(x)
    kernel = model.get_layer("shared").kernel
    kernel.assign(alpha_sign(kernel.numpy(), "channel"))
    for name, expected in model(x).items():
        np.testing.assert_allclose(result[name], expected, 1e-4, 1e-4)  # sums of some hundreds


def test_the_original_stays_as_it_is(rng):
    model = models.lenet(input_shape=(8, 8, 1), width=0.25)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = images(rng, 8, 8, 8, 1), np.arange(8)
    model.fit(x, y, verbose=0)
    weights, config = model.get_weights(), model.get_config()
    twin = bnn_tf.binarize(model, "bwn")
    twin.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.fit(x, y, verbose=0)
    assert model.get_config() == config and model.compiled and not binary(model)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))
    assert not np.array_equal(twin.get_layer("conv2").kernel, model.get_layer("conv2").kernel)
    model.fit(x, y, verbose=0)


def test_float_is_a_plain_copy(rng):
    model = randomize(branches(), rng)
    copy = bnn_tf.binarize(model, "float")
    assert copy is not model and copy.get_layer("shared") is not model.get_layer("shared")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), copy.get_weights(), strict=True))
    assert [layer.get_config() for layer in copy.layers] == [layer.get_config() for layer in model.layers]
    assert {row.remark for row in plan(model, "float").rows} == {"the scheme is float"}


# What has no twin, and the report.


class Block(K.Layer):
    """Makes its layers itself."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.again = K.Dense(4, name="dense"), K.Dense(4, name="dense")

    def build(self, shape):
        self.dense.build(shape)
        self.again.build(shape)

    def call(self, x):
        return self.again(self.dense(x))


class Derived(K.Conv2D):
    pass


def test_what_stays_is_reported_with_its_reason(capsys, rng):
    parts = [
        K.Conv2D(4, 3, padding="same", name="conv"),
        K.SeparableConv2D(4, 3, name="separable"),
        K.Conv2DTranspose(4, 3, name="transposed"),
        K.DepthwiseConv2D(3, padding="same", name="depthwise"),
        K.EinsumDense("abcd,de->abce", (None, 8, 4), name="einsum"),
        Derived(4, 1, name="derived"),
        K.SpectralNormalization(K.Conv2D(4, 1, name="wrapped"), name="wrapper"),
        Block(name="block"),
        layers.BinaryConv2D(4, 1, name="binary"),
        K.BatchNormalization(),
        K.Reshape((72, 4)),
        K.Conv1D(4, 1, name="conv1d"),
        K.Reshape((9, 8, 4)),
        K.Dense(4, name="skipped"),
    ]
    model = randomize(chain(*parts), rng)
    found = []
    twin = bnn_tf.binarize(model, "bwn", skip="skipped", report=found.append)
    (report,) = found
    assert report == plan(model, "bwn", skip="skipped")
    assert {row.layer: row.remark for row in report.rows} == {
        "first": "first layer",
        "conv": "",
        "separable": "SeparableConv2D has no binary twin",
        "transposed": "Conv2DTranspose has no binary twin",
        "depthwise": "depthwise: few weights; depthwise=True binarizes it",
        "einsum": "EinsumDense has no binary twin",
        "derived": "derived from Conv2D: what it computes isn't known",
        "wrapper/wrapped": "made inside 'wrapper' (SpectralNormalization), which calls it itself",
        "block/dense": "made inside 'block' (Block), which calls it itself",
        "block/dense#2": "made inside 'block' (Block), which calls it itself",
        "binary": "binary already",
        "conv1d": "Conv1D has no binary twin",
        "skipped": "skipped",
        "last": "last layer",
    }
    assert binary(twin) == ["conv", "binary"]
    for name in ("binary", "block", "depthwise", "einsum"):
        old, new = model.get_layer(name).get_weights(), twin.get_layer(name).get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True)), name

    bnn_tf.binarize(model, "bwn", skip="skipped", report=print)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "was", "becomes", "remark", "weights"]
    assert lines[2].split() == ["conv", "Conv2D", "BinaryConv2D", "144"]
    assert lines[-1].startswith("model as bwn: 1 of 14 layers and 144 of ")


def test_other_layouts_stay(rng):
    outside = keras.Input((4, 9, 8))
    x = K.Conv2D(4, 1, data_format="channels_first", name="it")(outside)
    model = keras.Model(outside, K.Dense(4)(K.Dense(8, name="dense")(x)))
    remarks = {row.layer: row.remark for row in plan(model, "bwn", binarize_first=True).rows}
    assert remarks["it"] == "channels_first" and remarks["dense"] == ""


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([K.ReLU(), K.MaxPooling2D(2)], True),
        ([K.Activation("sigmoid"), K.Dropout(0)], True),
        ([K.LeakyReLU()], False),
        ([K.ReLU(), K.BatchNormalization()], False),
        ([K.Conv2D(4, 1, activation="relu", name="before")], True),
    ],
    ids=["relu", "sigmoid", "leaky", "norm", "conv"],
)
def test_xnor_remarks_where_a_sign_says_nothing(before, told):
    remarks = {row.layer: row.remark for row in plan(chain(*before, K.Conv2D(4, 1, name="it")), "xnor").rows}
    assert remarks["it"] == ("after a ReLU: every sign of its input is +1" if told else "")
    for scheme, options in (("bwn", {}), ("xnor", {"normalize": True})):
        assert not plan(chain(*before, K.Conv2D(4, 1, name="it")), scheme, **options).rows[-2].remark


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([K.Dropout(0.1)], True),
        ([K.SpatialDropout2D(0.1), K.MaxPooling2D(2), K.BatchNormalization()], True),
        ([K.Dropout(0)], False),
        ([K.Dropout(0.1), K.Conv2D(4, 1, name="between")], False),
    ],
    ids=["dropout", "further on", "none", "another layer between"],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_xnor_remarks_a_dropout_before_a_sign(before, told, normalize):
    model = chain(*before, K.Conv2D(4, 1, name="it"))
    remarks = {row.layer: row.remark for row in plan(model, "xnor", normalize=normalize).rows}
    assert remarks["it"] == ("after a dropout: its signs are others at inference" if told else "")
    assert not plan(model, "bwn").rows[-2].remark


def test_both_remarks():
    model = chain(K.Activation("sigmoid"), K.Dropout(0.1), K.Conv2D(4, 1, name="it"))
    remark = "after a ReLU: every sign of its input is +1; after a dropout: its signs are others at inference"
    assert plan(model, "xnor").rows[-2].remark == remark


def test_normalized_before_each_sign(rng):
    time = K.TimeDistributed(K.Dense(4, name="time"), name="times")
    model = randomize(chain(K.Conv2D(4, 1, activation="relu", name="a"), nested_twice(), time), rng)
    twin = bnn_tf.binarize(model, "xnor", normalize=True)
    assert [layer.name for layer in twin.layers] == [
        *("first", "a_sign_bn", "a", "inner", "time_sign_bn", "times", "last"),
    ]
    inner = twin.get_layer("inner")
    assert [layer.name for layer in inner.layers[1:]] == ["b_sign_bn", "b"]  # shared by both of its places
    x = images(rng, 4, 9, 8, 4)
    started = bnn_tf.binarize(model, "xnor")(x)
    np.testing.assert_allclose(twin(x), started, 0.01, 0.01 * np.abs(started).max())  # batch norm's epsilon
    twin.compile("sgd", "mse")
    twin.fit(x, np.zeros(twin(x).shape), verbose=0)
    assert (twin.get_layer("a_sign_bn").moving_mean.numpy() != 0).all()


def nested_twice():
    image, layer = keras.Input((9, 8, 4)), K.Conv2D(4, 3, padding="same", activation="relu", name="b")
    return keras.Model(image, layer(layer(image)), name="inner")


# Networks that others wrote.


@pytest.mark.parametrize(
    ("options", "smaller"),
    # 2,048,000 float weights of 25.6 millions are in the last layer, and 1.2 millions in the last convolution.
    [({}, 8.6), ({"binarize_last": True}, 26), ({"include_top": False, "binarize_last": True}, 26)],
    ids=["default", "last", "headless"],
)
def test_resnet50_counted_in_bits(options, smaller):
    top = options.pop("include_top", True)
    model = keras.applications.ResNet50(weights=None, include_top=top)
    twin = bnn_tf.binarize(model, "bwn", **options)
    size = models.model_size(twin)
    frozen = bnn_tf.freeze(twin)
    if "binarize_last" in options and top:
        assert bnn_tf.summary(twin).size == size
    held = sum(weight.numpy().nbytes for weight in frozen.weights)
    assert 4 * model.count_params() == size.float_bytes
    assert size.float_bytes / size.packed_bytes > smaller and size.float_bytes / held > smaller
    assert binary(twin)[0] == "conv2_block1_1_conv" and len(binary(twin)) == 52 + (top and "binarize_last" in options)
    if top:
        for name in ("conv3_block2_2_conv", "predictions", "conv1_bn"):
            old, new = model.get_layer(name).get_weights(), twin.get_layer(name).get_weights()
            assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True)), name


@pytest.mark.parametrize(
    ("name", "scheme", "depthwise", "count"),
    [("MobileNetV2", "dorefa", False, 34), ("MobileNetV2", "xnor", True, 51), ("VGG16", "bwn", False, 14)],
)
def test_applications(name, scheme, depthwise, count, rng):
    build = getattr(keras.applications, name)
    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    model = build(weights=None, input_shape=(32, 32, 3), classes=5, **options)
    twin = bnn_tf.binarize(model, scheme, depthwise=depthwise)
    assert len(binary(twin)) == count and twin.output_shape == (None, 5)
    if name == "MobileNetV2":
        result = twin.predict(images(rng, 2, 32, 32, 3), verbose=0)
        np.testing.assert_allclose(result.sum(-1), 1, 1e-5)


def test_saved_and_loaded(tmp_path, rng):
    twin = bnn_tf.binarize(randomize(nested(), rng), "xnor")
    twin.save(tmp_path / "twin.keras")
    x = images(rng, 2, 9, 8, 4)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "twin.keras")(x), twin(x))


def test_on_another_backend(run_python):
    run_python(
        """
import keras, numpy as np, bnn_tf
from bnn_tf.layers.binary import BinaryLayer
assert keras.backend.backend() == "jax"
parts = [keras.layers.Conv2D(4, 3, name=name) for name in ("a", "b", "c")]
model = keras.Sequential([keras.Input((9, 9, 2)), *parts, keras.layers.Flatten(), keras.layers.Dense(3)])
twin = bnn_tf.binarize(model, "xnor")
assert [layer.name for layer in twin.layers if isinstance(layer, BinaryLayer)] == ["b", "c"]
x = np.ones((1, 9, 9, 2), "float32")
wide = bnn_tf.convolutionize(twin)
np.testing.assert_allclose(wide(x)[:, 0, 0], twin(x), 1e-5, 1e-5)
assert wide(np.ones((1, 12, 9, 2), "float32")).shape == (1, 4, 1, 3)
""",
        KERAS_BACKEND="jax",
    )


# Mistakes.


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = K.Dense(3)

    def call(self, x):
        return self.dense(x)


def called(model):
    model(np.ones((1, 4), np.float32))
    return model


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (lambda: K.Dense(3, name="it"), {}, "binarize: `model` must be a Keras model. Got <Dense name=it"),
        (lambda: keras.Sequential([K.Dense(3)], name="m"), {}, "binarize: model 'm' has no weights yet. Call it on"),
        (
            lambda: called(Subclassed()),
            {},
            "binarize: can't see how the subclassed model 'mine' (Subclassed) calls its layers. Expected a Sequential "
            "or functional model. Build it as one, or binarize such models inside it.",
        ),
        (nested, {"scheme": "bnw"}, "Unknown scheme 'bnw'. Did you mean bwn? Known: bwn, dorefa, float, xnor."),
        (
            nested,
            {"skip": "aa"},
            "binarize: `skip` matches no layer: 'aa'. Did you mean a? There are first, a, inner/b, inner/c, d, last.",
        ),
        (nested, {"skip": ["a", re.compile("x$")]}, "`skip` matches no layer: regular expression 'x$'. There are"),
        (nested, {"skip": K.Conv1D}, "`skip` matches no layer: class Conv1D. Did you mean Conv2D? There are Conv2D, D"),
        (nested, {"skip": lambda layer: False}, "binarize: `skip` matches no layer: <function"),
        (
            nested,
            {"normalize": True},
            "binarize: `normalize` is for schemes with binary inputs. Got normalize=True, s",
        ),
        (nested, {"skip": 3}, "`skip` must be a name, a pattern, a compiled regular expression, a layer class, a"),
        (
            lambda: chain(K.DepthwiseConv2D(3)),
            {},
            "binarize: model 'model' has nothing to binarize. Got first layer: 1, depthwise: few weights; "
            "depthwise=True binarizes it: 1, last layer: 1. Expected a Conv2D or Dense between the first and the last",
        ),
        (lambda: chain(K.ReLU(), ends=False), {}, "has nothing to binarize. Got no layer with a kernel. Expected"),
    ],
    ids=[
        *("layer", "unbuilt", "subclassed", "scheme", "skip name", "skip regex", "skip class", "skip predicate"),
        *("normalize", "skip type", "nothing", "no kernel"),
    ],
)
def test_errors(make, options, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        bnn_tf.binarize(make(), **{"scheme": "bwn", **options})


def test_a_subclassed_model_inside_is_copied_and_reported(rng):
    model = chain(K.Conv2D(4, 1, name="conv"), called(Subclassed()), K.Conv2D(4, 1, name="more"))
    report = plan(model, "bwn")
    assert [row.remark for row in report.rows if row.layer.startswith("mine/")] == [
        "made inside 'mine' (Subclassed), which calls it itself"
    ]
