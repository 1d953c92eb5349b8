"""Networks for images of any size: equal to the original on each crop, and what stands in the way of one."""

import re

import keras
import numpy as np
import pytest
from test_binarize import Subclassed, called, images, randomize

import bnn_tf
from bnn_tf import layers, models
from bnn_tf.errors import ArgumentError

K = keras.layers


def chain(*parts, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *parts], name="model")


def check_crops(model, wide, stride, rng, more=(9, 6)):
    """The map on a larger image is the original's prediction for each crop."""
    height, width, channels = model.input_shape[1:]
    x = images(rng, 2, height + more[0], width + more[1], channels)
    maps = keras.ops.convert_to_numpy(wide(x))
    rows, columns = maps.shape[1:3]
    assert (rows, columns) == (more[0] // stride + 1, more[1] // stride + 1)
    corners = [(stride * p, stride * q) for p in range(rows) for q in range(columns)]
    crops = np.concatenate([x[:, top : top + height, left : left + width] for top, left in corners])
    expected = keras.ops.convert_to_numpy(model(crops)).reshape(rows, columns, 2, -1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(maps / scale, expected.transpose(2, 0, 1, 3) / scale, 1e-5, 1e-5)


def check_training_size(model, wide, rng):
    x = images(rng, 3, *model.input_shape[1:])
    expected = keras.ops.convert_to_numpy(model(x))
    result = keras.ops.convert_to_numpy(wide(x))
    assert result.shape == (3, 1, 1, expected.shape[-1])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.reshape(expected.shape) / scale, expected / scale, 1e-5, 1e-5)


# The networks of the literature.


@pytest.mark.parametrize("scheme", models.SCHEMES)
def test_lenet5(scheme, rng):
    model = randomize(models.lenet5(scheme, binarize_last=True, width=0.5), rng)
    wide = bnn_tf.convolutionize(model)
    assert wide.input_shape == (None, None, None, 1) and wide.output_shape == (None, None, None, 10)
    check_training_size(model, wide, rng)
    check_crops(model, wide, 4, rng)

    dense = bnn_tf.convolutionize(model, dense_pooling=True)
    check_training_size(model, dense, rng)
    check_crops(model, dense, 2, rng)

    if scheme != "float":
        x = images(rng, 1, 37, 40, 1)
        for other in (bnn_tf.convolutionize(bnn_tf.freeze(model)), bnn_tf.freeze(wide)):
            np.testing.assert_array_equal(other(x), wide(x))
        assert models.model_size(wide) == models.model_size(model)


@pytest.mark.parametrize("scheme", ["float", "xnor"])
@pytest.mark.parametrize("name", ["alexnet", "alexnet_torch"])
def test_alexnet(name, scheme, rng):
    """Its own size, at an eighth of its width."""
    model = randomize(models.build(name, scheme, width=0.125, classes=20), rng)
    wide = bnn_tf.convolutionize(model)
    check_training_size(model, wide, rng)
    x = images(rng, 1, 259, 291, 3)
    maps = wide(x)
    assert maps.shape == (1, 2, 3, 20)
    dense = bnn_tf.convolutionize(model, dense_pooling=True)
    np.testing.assert_allclose(dense(x)[:, ::2, ::2], maps, 1e-4, 1e-4 * np.abs(maps).max())


def test_alexnet_without_padding_on_each_crop(rng):
    """AlexNet's strides, groups and poolings; its own paddings would see more of the image than a crop has."""
    parts = [
        K.Conv2D(12, 11, 4, activation="relu", name="conv1"),
        layers.LocalResponseNormalization(),
        K.MaxPooling2D(3, 2),
        layers.BinaryConv2D(8, 3, groups=2, activation="relu", name="conv2"),
        K.MaxPooling2D(3, 2, name="pool"),
        K.Flatten(name="flatten"),
        layers.BinaryDense(9, activation="relu", name="fc6"),
        K.Dropout(0.5),
        K.Dense(5, activation="softmax", name="fc7"),
    ]
    model = randomize(chain(*parts, shape=(99, 83, 3)), rng)
    wide = bnn_tf.convolutionize(model)
    assert [layer.name for layer in wide.layers[1:]] == [layer.name for layer in parts if layer.name != "flatten"]
    assert type(wide.get_layer("fc6")) is layers.BinaryConv2D and wide.get_layer("fc6").kernel_size == (4, 3)
    check_training_size(model, wide, rng)
    check_crops(model, wide, 16, rng, more=(33, 18))
    check_crops(model, bnn_tf.convolutionize(model, dense_pooling=True), 8, rng, more=(17, 8))


@pytest.mark.parametrize("name", ["ResNet50", "MobileNet", "VGG16"])
def test_applications(name, rng):
    options = {"alpha": 0.25} if name == "MobileNet" else {}
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=5, **options)
    wide = bnn_tf.convolutionize(model)
    check_training_size(model, wide, rng)
    assert wide(np.zeros((1, 64, 97, 3), np.float32)).shape == (1, 2, 4 if name == "ResNet50" else 3, 5)


# Heads.


HEADS = {
    "dense": lambda: [K.Flatten(), K.Dense(6, activation="relu"), K.Dense(4, activation="softmax")],
    "reshape": lambda: [K.Reshape((-1,)), K.Dense(4, use_bias=False)],
    "norm between": lambda: [K.Flatten(), K.BatchNormalization(), K.ReLU(), K.Dense(6), K.BatchNormalization(axis=1)],
    "prelu between": lambda: [K.Flatten(), K.PReLU(), K.Dense(6), K.PReLU(), K.LayerNormalization(), K.Dense(4)],
    "softmax": lambda: [K.Flatten(), K.Activation("tanh"), K.Dense(4), K.Softmax()],
    "xnor": lambda: [K.Flatten(), layers.BinaryDenseInput(6, ste="ede", input_ste="reste"), layers.BinaryDenseInput(4)],
    "xnor, norm": lambda: [K.Flatten(), K.BatchNormalization(), layers.BinaryDenseInput(6, scaling="tensor")],
    "average": lambda: [K.GlobalAveragePooling2D(), K.Dropout(0.5), K.Dense(4)],
    "maximum": lambda: [K.GlobalMaxPooling2D(keepdims=True), K.Conv2D(4, 1), K.Reshape((4,)), K.Activation("softmax")],
    "alone": lambda: [K.Conv2D(4, 1), K.GlobalAveragePooling2D()],
    "one pixel": lambda: [K.Conv2D(5, 6), K.Flatten(), K.Flatten(), K.Dense(4)],
    "same": lambda: [K.Conv2D(5, 4), K.MaxPooling2D(3, 3, "same"), K.Flatten(), K.Dense(4)],
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_on_each_crop(head, rng):
    model = randomize(chain(K.Conv2D(5, 3, activation="relu"), *HEADS[head]()), rng)
    wide = bnn_tf.convolutionize(model)
    check_training_size(model, wide, rng)
    # A pooling that pads nothing at the training size nor here is as good as one without padding.
    check_crops(model, wide, 3 if head == "same" else 1, rng, more=(6, 3))
    assert {layer.name for layer in wide.layers} <= {
        layer.name for layer in [model._functional, *model._functional.layers]
    }


def test_a_network_of_dense_layers_alone(rng):
    model = randomize(chain(K.Flatten(), K.Dense(6, activation="relu"), K.Dense(4)), rng)
    check_crops(model, bnn_tf.convolutionize(model), 1, rng, more=(2, 3))


def test_models_in_models_and_two_heads(rng):
    body = keras.Sequential([keras.Input((8, 8, 3)), K.Conv2D(5, 3), K.MaxPooling2D(2)], name="body")
    flat = keras.Sequential([keras.Input((3, 3, 5)), K.Flatten()], name="flat")
    head = keras.Sequential([keras.Input((45,)), K.Dense(6, activation="relu"), K.Dense(4)], name="head")
    image = keras.Input((8, 8, 3))
    features = body(image)
    flattened = flat(features)
    joined = K.Concatenate()([head(flattened), K.Dense(2, name="side")(flattened)])
    model = randomize(keras.Model(image, {"joined": joined, "features": features}, name="all"), rng)
    model.get_layer("head").trainable = False
    wide = bnn_tf.convolutionize(model)
    x = images(rng, 2, 8, 8, 3)
    np.testing.assert_allclose(wide(x)["joined"][:, 0, 0], model(x)["joined"], 1e-5, 1e-5)
    np.testing.assert_array_equal(wide(x)["features"], model(x)["features"])
    assert wide(images(rng, 1, 13, 12, 3))["joined"].shape == (1, 3, 3, 6)
    assert wide.get_layer("head").get_layer(head.layers[0].name).kernel.shape == (3, 3, 5, 6)
    assert not wide.get_layer("head").trainable and wide.get_layer("side").trainable


def test_arguments_and_training_go_on(rng):
    options = {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "kernel_initializer": "he_normal"}
    parts = [K.Dense(4, name="a", dtype="mixed_bfloat16", **options), layers.BinaryDense(3, name="b", trainable=False)]
    model = chain(K.Flatten(), *parts)
    model.compile("sgd", "mse")
    before = model.get_weights()
    wide = bnn_tf.convolutionize(model)
    assert not wide.compiled and model.compiled
    for name in ("a", "b"):
        old, new = model.get_layer(name).get_config(), wide.get_layer(name).get_config()
        assert {key for key in old.keys() & new.keys() if old[key] != new[key]} == set()
    wide.compile("sgd", "mse")
    wide.fit(images(rng, 2, 9, 10, 3), np.ones((2, 2, 3, 3)), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert not np.array_equal(wide.get_layer("a").kernel.numpy().ravel(), before[0].ravel())


def test_saved_and_loaded(tmp_path, rng):
    model = randomize(models.lenet("xnor", input_shape=(8, 8, 1), width=0.25), rng)
    wide = bnn_tf.convolutionize(model)
    wide.save(tmp_path / "wide.keras")
    x = images(rng, 2, 20, 16, 1)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "wide.keras")(x), wide(x))
    assert layers.Windows in {type(layer) for layer in wide.layers}


def test_windows(rng):
    x = images(rng, 2, 7, 9, 3)
    layer = layers.Windows((2, 3), (2, 1))
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(x.shape) == (2, 5, 7, 18)
    for p, q in ((0, 0), (4, 6), (2, 3)):
        np.testing.assert_array_equal(y[:, p, q], x[:, p : p + 3 : 2, q : q + 3].reshape(2, -1))
    assert layer.compute_output_shape((None, None, 9, 3)) == (None, None, 7, 18)


# Denser poolings.


@pytest.mark.parametrize("pool", [K.MaxPooling2D, K.AveragePooling2D])
@pytest.mark.parametrize("scheme", ["float", "xnor"])
def test_dense_pooling_goes_on_with_dilated_layers(pool, scheme, rng):
    make = models.SCHEMES[scheme]
    parts = [
        pool(2, (2, 3), name="pool"),
        K.ReLU(),
        K.ZeroPadding2D(((1, 0), (0, 1))),
        make.conv(4, 3, name="conv"),
        K.BatchNormalization(),
        K.DepthwiseConv2D(2),
        K.Flatten(),
        *([K.BatchNormalization()] if scheme == "xnor" else []),
        make.dense(4, activation="relu"),
        K.Dense(3),
    ]
    model = randomize(chain(*parts, shape=(12, 17, 3)), rng)
    wide, dense = bnn_tf.convolutionize(model), bnn_tf.convolutionize(model, dense_pooling=True)
    assert dense.get_layer("pool").strides == (1, 1) and dense.get_layer("conv").dilation_rate == (2, 3)
    x = images(rng, 2, 18, 26, 3)
    maps = wide(x).numpy()
    np.testing.assert_allclose(dense(x)[:, ::2, ::3], maps, 1e-5, 1e-5 * np.abs(maps).max())


# Mistakes.


class Fixed(K.Layer):
    """Has a weight for each pixel."""

    def build(self, shape):
        self.weight = self.add_weight(shape=shape[1:])

    def call(self, x):
        return x * self.weight


def squeezed():
    image = keras.Input((8, 8, 3))
    scale = K.Dense(3, activation="sigmoid")(K.GlobalAveragePooling2D(keepdims=True)(image))
    return keras.Model(image, K.Dense(4)(K.Flatten()(K.Multiply(name="excite")([image, scale]))), name="model")


def shared():
    image = keras.Input((8, 8, 3))
    once, pooled = K.Dense(3, name="twice"), K.GlobalAveragePooling2D()(image)
    return keras.Model(image, [once(pooled), K.GlobalAveragePooling2D()(once(image))], name="model")


def head(*parts):
    return lambda: chain(*parts, K.Flatten(name="flatten"), K.Dense(4, name="dense"))


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (lambda: K.Dense(3, name="it"), {}, "`model` must be a Keras model. Got <Dense name=it"),
        (lambda: keras.Sequential([K.Dense(3)], name="m"), {}, "model 'm' has no weights yet. Call it on data"),
        (lambda: called(Subclassed()), {}, "can't see how the subclassed model 'mine' (Subclassed) calls its layers."),
        (lambda: chain(K.Conv2D(3, 3)), {}, "model 'model' has no dense head: it takes images of any size already, or"),
        (lambda: chain(K.Conv2D(3, 3), K.Flatten()), {}, "has no dense head: it ends in a flattened image. Expected"),
        (lambda: chain(K.Dense(3), shape=(5,)), {}, "(InputLayer) has the shape (None, 5); expected images (batch"),
        (
            head(K.Reshape((16, 4, 3), name="it")),
            {},
            "layer 'it' (Reshape) always gives (None, 16, 4, 3). Leave it out",
        ),
        (head(K.Resizing(6, 6, name="it")), {}, "layer 'it' (Resizing) always gives (None, 6, 6, 3). Leave it out of"),
        (head(Fixed(name="it")), {}, "layer 'it' (Fixed) fails on them: "),
        (head(K.Reshape((64, 3), name="it")), {}, "layer 'it' (Reshape) makes (None, 64, 3) of an image; expected an"),
        (
            head(K.Conv2D(4, 1, data_format="channels_first", name="it")),
            {},
            "layer 'it' (Conv2D) has its channels first; expected channels last",
        ),
        (head(K.TimeDistributed(K.Dense(3), name="it")), {}, "layer 'it' (Dense) is in TimeDistributed."),
        (
            lambda: chain(K.Flatten(), K.Reshape((12, 16), name="it"), K.Flatten(), K.Dense(3)),
            {},
            "layer 'it' (Reshape) comes after the image was flattened or pooled; expected a layer that works on each",
        ),
        (squeezed, {}, "layer 'excite' (Multiply) brings a whole image together with what came of each window of it."),
        (shared, {}, "layer 'twice' (Dense) is shared by places that would need different layers."),
        (
            lambda: chain(K.GlobalMaxPooling2D(name="it"), K.Dense(3), shape=(None, None, 3)),
            {},
            "layer 'it' (GlobalMaxPooling2D) sees images of unknown size; expected a model, and models in it, made for",
        ),
        (
            head(),
            {"dense_pooling": True},
            "model 'model' has no pooling with strides to make dense. Expected a MaxPool",
        ),
        (
            head(K.MaxPooling2D(3, 2, "same", name="it")),
            {"dense_pooling": True},
            "layer 'it' (MaxPooling2D) is the last pooling and pads the image; expected padding='valid' to make it",
        ),
        (
            head(K.MaxPooling2D(2), K.Conv2D(3, 2, 2, name="it")),
            {"dense_pooling": True},
            "layer 'it' (Conv2D) comes after the last pooling with strides or an even kernel; set dense_pooling off.",
        ),
        (
            head(K.MaxPooling2D(2), K.UpSampling2D(2, name="it")),
            {"dense_pooling": True},
            "layer 'it' (UpSampling2D) comes after the last pooling, and isn't known to work on each pixel alone; set",
        ),
        (
            lambda: chain(K.MaxPooling2D(2), K.GlobalAveragePooling2D(name="it"), K.Dense(3)),
            {"dense_pooling": True},
            "layer 'it' (GlobalAveragePooling2D) comes after the last pooling, and can't pool what that makes denser;",
        ),
    ],
    ids=[
        *("layer", "unbuilt", "subclassed", "no head", "no dense", "vectors", "reshape", "resizing", "fixed weights"),
        *("sequence", "channels first", "time", "reshape flat", "squeeze", "shared", "unknown size", "no pooling"),
        *("padded pooling", "strides after", "upsampling after", "global after"),
    ],
)
def test_errors(make, options, text):
    with pytest.raises(ArgumentError, match=re.escape(text)) as caught:
        bnn_tf.convolutionize(make(), **options)
    assert str(caught.value).startswith("convolutionize: ")
