"""What a packed file holds, how it is written, and what can't be packed."""

import json
import resource

import keras
import numpy as np
import pytest
from packed_cases import IMAGE, assert_agrees, functional, images, packed, sequential, small
from packed_oracle import PackedFile

import bnn_tf
from bnn_tf import layers

L = keras.layers


class TestFile:
    def test_deterministic_and_aligned(self, tmp_path):
        model = small("bireal_cifar", "xnor")
        first, second = (bnn_tf.pack(model, tmp_path / name) for name in ("a.bnn", "b.bnn"))
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.bytes == first.path.stat().st_size == first.report.bytes
        offsets = [row["offset"] for row in PackedFile(first.path).graph["tensors"]]
        assert offsets == sorted(offsets) and all(offset % 64 == 0 for offset in offsets)

    def test_one_bit_a_weight(self, tmp_path):
        model = keras.Sequential([keras.Input((8, 8, 64)), layers.BinaryConv2D(64, 3, use_bias=False)])
        result = bnn_tf.pack(model, tmp_path / "net.bnn")
        assert result.report.bits_bytes == 64 * 64 * 9 // 8 and result.report.binary_weights == 64 * 64 * 9
        assert result.bytes < result.report.bits_bytes + 1500

    def test_head(self, tmp_path):
        preprocessing = {"mean": np.float32([1, 2, 3]), "deviation": (4, 5, 6)}
        model = small("mobilenet_v2_small", "float")
        graph = packed(model, tmp_path, classes="abcd", preprocessing=preprocessing).graph
        assert (graph["format"], graph["name"]) == (1, "mobilenet_v2_small_float")
        assert graph["classes"] == ["a", "b", "c", "d"]
        assert graph["preprocessing"] == {"mean": [1, 2, 3], "deviation": [4, 5, 6]}
        assert graph["producer"] == f"bnn_tf {bnn_tf.__version__}"
        assert graph["provenance"]["keras"] == keras.__version__
        assert graph["input"] == {"shape": [16, 16, 3], "resizable": True}

    @pytest.mark.parametrize(("name", "resizable"), [("lenet", False), ("resnet18", True), ("mlp_mnist", False)])
    def test_resizable(self, name, resizable, tmp_path):
        assert packed(small(name, "bwn"), tmp_path).graph["input"]["resizable"] == resizable

    def test_shared_weights_are_there_once(self, tmp_path):
        shared = layers.BinaryConv2D(6, 3, padding="same")
        model = functional(lambda x: shared(L.ReLU()(shared(x))))
        result = bnn_tf.pack(model, tmp_path / "net.bnn")
        file = PackedFile(result.path)
        assert file.nodes[0]["bits"] == file.nodes[1]["bits"] and len(file.tensors) == 3
        assert result.report.binary_weights == 3 * 3 * 6 * 6

    def test_float16_halves_float_kernels(self, tmp_path):
        model = sequential(L.Conv2D(64, 3), L.GlobalAveragePooling2D(), L.Dense(100))
        full, half = (bnn_tf.pack(model, tmp_path / f"{float16}.bnn", float16=float16) for float16 in (False, True))
        assert abs(full.bytes - half.bytes - 2 * (64 * 9 * 6 + 6400)) < 256
        file = PackedFile(half.path)
        assert {row["dtype"] for row in file.graph["tensors"] if len(row["shape"]) > 1} == {"float16"}
        x = images(model)
        assert_agrees(file, model, x, 3e-3)

    def test_report(self, tmp_path):
        model = small("lenet", "bwn")
        result = bnn_tf.pack(model, tmp_path / "net.bnn")
        assert result.report.float_bytes == 4 * model.count_params()
        assert result.report.folded == ("conv2_bn into conv2", "dense1_bn into dense1")
        assert str(result).startswith(f"{tmp_path / 'net.bnn'}: {result.bytes:,} bytes, 1/")

    def test_full_disk_leaves_the_old_file(self, tmp_path):
        model, path = small("mlp_mnist", "bwn"), tmp_path / "net.bnn"
        before = bnn_tf.pack(model, path).path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as raised:
                bnn_tf.pack(model, path, float16=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert raised.value.filename == str(path)
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_graph_is_readable_text(tmp_path):
    """`head -c 4000 net.bnn` shows it: a line for each node."""
    bnn_tf.pack(small("lenet", "bwn"), tmp_path / "net.bnn")
    lines = (tmp_path / "net.bnn").read_bytes()[64:4000].split(b"\n")
    (conv,) = [line for line in lines if b'"op": "binary_conv2d"' in line]
    assert json.loads(conv.rstrip(b","))["name"] == "conv2"


@keras.saving.register_keras_serializable(package="test_packing")
class Doubled(L.Layer):
    """A layer that no rule knows."""

    def call(self, inputs):
        return inputs * 2


@keras.saving.register_keras_serializable(package="test_packing")
class Wider(L.Conv2D):
    """A class derived from one that has a rule may compute something else."""


class Subclassed(keras.Model):
    """Its calls can't be seen."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.dense = L.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def subclassed():
    model = Subclassed()
    model(np.ones((1, 3), np.float32))
    return model


def diverged():
    model = sequential(L.Conv2D(4, 3, name="conv"))
    model.layers[0].kernel.assign(np.full((3, 3, 6, 4), np.nan))
    return model


def quantized():
    model = sequential(L.Flatten(), L.Dense(4, name="dense"))
    model.get_layer("dense").quantize("int8")
    return model


def two_outputs():
    x = keras.Input((4,))
    return keras.Model(x, [L.Dense(2)(x), L.Dense(2)(x)], name="twins")


REFUSED = {
    "no-model": (lambda: "net.keras", r"^pack: `model` must be a Keras model\. Got 'net\.keras'"),
    "unbuilt": (lambda: keras.Sequential([L.Dense(2)], name="net"), r"^pack: model 'net' has no weights yet\. Call it"),
    "subclassed": (subclassed, r"^pack: can't see how the subclassed model 'subclassed' \(Subclassed\) calls"),
    "outputs": (two_outputs, r"^pack: model 'twins' has 2 outputs; a packed model has one\. Pack a part of it"),
    "sequences": (lambda: sequential(L.Dense(2), shape=(5, 3)), r"takes \(None, 5, 3\), batch first\. Expected images"),
    "nothing": (lambda: sequential(L.Dropout(0.5)), r"computes nothing\. Expected at least one layer that does"),
    "unknown": (
        lambda: sequential(Doubled(name="twice")),
        r"^pack: can't convert 'twice' \(Doubled\): a packed model has nothing like it\. Express it",
    ),
    "derived": (lambda: sequential(Wider(3, 3, name="wide")), r"^pack: can't convert 'wide' \(Wider\)"),
    "lambda": (lambda: sequential(L.Lambda(lambda x: x + 1, name="one")), r"^pack: can't convert 'one' \(Lambda\)"),
    "transposed": (lambda: sequential(L.Conv2DTranspose(3, 3, name="up")), r"^pack: can't convert 'up' \(Conv2DTransp"),
    "inside": (
        lambda: sequential(keras.Sequential([keras.Input(IMAGE), L.UpSampling2D(name="up")], name="block")),
        r"^pack: can't convert 'block/up' \(UpSampling2D\)",
    ),
    "activation": (
        lambda: sequential(L.Conv2D(3, 3, activation="mish", name="conv")),
        r"^pack: can't convert 'conv' \(Conv2D\): its activation is mish, which a packed model doesn't know\. It kn",
    ),
    "threshold": (lambda: sequential(L.ReLU(threshold=1.0, name="relu")), r"'relu' \(ReLU\): its threshold is 1\.0"),
    "prelu": (
        lambda: sequential(L.PReLU(name="prelu")),
        r"differ from pixel to pixel\. Make it with shared_axes=\[1, 2\]",
    ),
    "prelu-unbuilt": (
        lambda: sequential(L.Dense(2, activation=L.PReLU(name="slopes"), name="dense"), shape=(3,)),
        r"'dense' \(Dense\): its activation, the layer 'slopes' \(PReLU\), has no weights yet\. Call the model on data",
    ),
    "axis": (
        lambda: sequential(L.BatchNormalization(axis=1, name="bn")),
        r"'bn' \(BatchNormalization\): its axis is 1\.",
    ),
    "concat-axis": (
        lambda: functional(lambda x: L.Concatenate(axis=1, name="join")([x, x])),
        r"'join' \(Concatenate\): its axis is 1, and a packed model joins channels\. Use axis=-1",
    ),
    "broadcast": (
        lambda: functional(lambda x: L.Multiply(name="gate")([x, L.GlobalAveragePooling2D(keepdims=True)(x)])),
        r"'gate' \(Multiply\): its inputs differ in shape: \[\(9, 8, 6\), \(1, 1, 6\)\], without the batch",
    ),
    "constant": (
        lambda: functional(lambda x: x + 1.0),
        r"\(Add\): one of its operands is a constant\. Use a Rescaling",
    ),
    "each-step": (
        lambda: sequential(L.TimeDistributed(L.Dense(2), name="steps"), L.Flatten(), shape=IMAGE),
        r"'steps' \(Dense\): it is called once for each time step\. Pack the model inside",
    ),
    "rank": (
        lambda: sequential(L.Reshape((72, 6), name="rows"), L.Flatten()),
        r"'rows' \(Reshape\): it has to do with a tensor of shape \('batch', 72, 6\)\. A packed model knows",
    ),
    "any-size": (
        lambda: functional(lambda x: L.Reshape((4, 4, 6))(x), (None, None, 6)),
        r"takes images of any size, but flattens them\. Build it for one size",
    ),
    "quantized": (quantized, r"'dense' \(Dense\): it is quantized to int8\. Pack the model as it was before"),
    "channels-first": (
        lambda: sequential(L.GlobalMaxPooling2D("channels_first", name="pool")),
        r"'pool' \(GlobalMaxPooling2D\): its channels come first\. Build the model with data_format",
    ),
    "nan": (diverged, r"'conv' \(Conv2D\): a weight isn't a finite number\. Train the model again"),
}


class TestErrors:
    @pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
    def test_what_cant_be_packed_is_named(self, make, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            bnn_tf.pack(make(), tmp_path / "net.bnn")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("choices", "message"),
        [
            ({"classes": ["a"]}, r"`classes` must name each of the 4 outputs\. Got 1 names"),
            ({"preprocessing": {"mean": [1]}}, r"`preprocessing` must be .* with 1 finite numbers each.* Got \{.mean"),
            ({"preprocessing": {"mean": [1], "deviation": [0]}}, "deviations positive"),
            ({"preprocessing": {"mean": [1, 2], "deviation": [1, 2]}}, "one a channel"),
            ({"preprocessing": {"mean": [np.nan], "deviation": [1]}}, "finite"),
            ({"preprocessing": {"mean": ["grey"], "deviation": [1]}}, "1 finite numbers each.* Got .*grey"),
            ({"preprocessing": {"mean": [[1], [2, 3]], "deviation": [1]}}, "1 finite numbers each"),
            ({"preprocessing": "imagenet"}, "`preprocessing` must be .* Got imagenet"),
            ({"preprocessing": {"mean": [1], "deviation": [1], "std": [1]}}, "Got .*std"),
            ({"preprocessing": {"mean": [1], "deviation": [1], "short_side": 0}}, "in pixels"),
            ({"preprocessing": {"mean": [1], "deviation": [1], "short_side": "8"}}, "in pixels"),
        ],
    )
    def test_choices(self, choices, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            bnn_tf.pack(small("lenet", "bwn"), tmp_path / "net.bnn", **choices)

    def test_too_large_for_float16(self, tmp_path):
        model = sequential(L.Conv2D(4, 3))
        model.layers[0].kernel.assign(np.full((3, 3, 6, 4), 1e5))
        with pytest.raises(ValueError, match=r"a weight of 100000 doesn't fit into float16.* Leave float16=True out"):
            bnn_tf.pack(model, tmp_path / "net.bnn", float16=True)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            (".", r"is a folder\. Name a file in it"),
            ("none/net.bnn", r"there is no folder .*none to write net\.bnn to"),
        ],
    )
    def test_path(self, path, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            bnn_tf.pack(small("lenet", "bwn"), tmp_path / path)
