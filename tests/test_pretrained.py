"""Public weights in the float forms: files of arrays and of Keras Applications, good ones and bad ones."""

import pickle
import re

import keras
import numpy as np
import pytest

from bnn_tf import models
from bnn_tf.models import pretrained

TINY = {"input_shape": (67, 67, 3), "classes": 5, "width": 0.04}


def image(rng, model):
    return rng.normal(size=(2, *model.input_shape[1:])).astype(np.float32)


def write_weights(model, path, protocol=4, drop=(), **changes):
    """What `bvlc_alexnet.npy` is: a pickled dictionary of layer → [weights, biases]."""
    arrays = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    arrays["fc8"] = arrays.pop("logits")
    arrays = {name: array for name, array in (arrays | changes).items() if name not in drop}
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        content = pickle.dumps(np.array(arrays, object), protocol)
        file.write(content.replace(b"numpy._core", b"numpy.core") if protocol == 2 else content)
    return path


@pytest.fixture(scope="module")
def donor():
    return models.alexnet(seed=1, **TINY)


class TestAlexnet:
    @pytest.mark.parametrize("protocol", [2, 4], ids=["numpy 1", "numpy 2"])
    def test_taken_over(self, donor, rng, tmp_path, protocol):
        model = models.alexnet(weights=write_weights(donor, tmp_path / "bvlc.npy", protocol), **TINY)
        x = image(rng, model)
        np.testing.assert_array_equal(model(x), donor(x))

    def test_numpy_writes_such_a_file(self, donor, tmp_path):
        np.save(tmp_path / "a.npy", {"conv1": donor.get_layer("conv1").get_weights()}, allow_pickle=True)
        kernel, bias = pretrained.read_arrays("alexnet", tmp_path / "a.npy")["conv1"]
        assert kernel.shape == (11, 11, 3, 4) and bias.shape == (4,)

    def test_a_file_of_python_2(self, tmp_path):
        """Whose strings are bytes; what it pickles is {"conv1": [np.float32([1, 2])]}."""
        array = (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I{}\ntcnumpy\ndtype\n(S'{}'\nI0\n"
            b"I1\ntR(I3\nS'{}'\nNNNI-1\nI-1\nI{}\ntbI00\n"
        )

        def filled(*values):
            pieces = array.split(b"{}")
            return b"".join(piece + value for piece, value in zip(pieces, [*values, b""], strict=True))

        numbers = filled(b"2", b"f4", b"<", b"0") + b"S'\\x00\\x00\\x80?\\x00\\x00\\x00@'\ntb"
        content = b"(dS'conv1'\n(l" + numbers + b"as."
        with (tmp_path / "two.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
            file.write(content)
        (found,) = pretrained.read_arrays("alexnet", tmp_path / "two.npy")["conv1"]
        np.testing.assert_array_equal(found, np.float32([1, 2]))

    def test_other_classes_keep_the_last_layer(self, donor, tmp_path):
        path = write_weights(donor, tmp_path / "bvlc.npy")
        options = {**TINY, "classes": 7}
        fresh, model = models.alexnet(**options), models.alexnet(weights=str(path), **options)
        for layer in model.layers:
            other = fresh if layer.name == "logits" else donor
            for value, expected in zip(layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(value, expected)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"drop": ("conv3", "fc7")}, r"the weights lack the layers conv3, fc7\. Got conv1, conv2, conv4"),
            (
                {"conv2": [np.zeros((5, 5, 2, 9)), np.zeros(9)]},
                r"of layer 'conv2' have the shapes \[\(5, 5, 2, 9\), \(9,\)\], the network's have .*input_shape=\(227",
            ),
        ],
        ids=["missing", "shape"],
    )
    def test_weights_that_do_not_fit(self, donor, tmp_path, changes, message):
        path = write_weights(donor, tmp_path / "bvlc.npy", **changes)
        with pytest.raises(ValueError, match=message):
            models.alexnet(weights=path, **TINY)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "No such file"),
            (b"conv1,conv2", "magic string"),
            (np.arange(3), "it holds one array of int64"),
            (np.array([{}, {}], object), "it holds a ndarray"),
            (np.array({"conv1": [re.compile("a")]}, object), r"it asks for re\._compile, which no array needs"),
        ],
        ids=["none", "text", "numbers", "objects", "code"],
    )
    def test_files_of_something_else(self, tmp_path, content, message):
        path = tmp_path / "bvlc.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            np.save(path, content, allow_pickle=True)
        with pytest.raises(
            ValueError, match=rf"^alexnet: can't read the weights .*bvlc\.npy'.*{message}.*Expected a \.npy"
        ):
            pretrained.read_arrays("alexnet", path)

    def test_only_the_float_form(self):
        with pytest.raises(
            ValueError, match=r"of the float form\. Got scheme='bwn'\..*bnn_tf\.binarize\(model, 'bwn'\)"
        ):
            models.alexnet("bwn", weights="bvlc_alexnet.npy")


class TestVgg:
    @pytest.mark.parametrize(("name", "theirs"), [("vgg16", "VGG16"), ("vgg19", "VGG19")])
    def test_weights_of_keras_applications(self, rng, tmp_path, name, theirs):
        shape = (32, 32, 3)
        donor = getattr(keras.applications, theirs)(weights=None, include_top=False, input_shape=shape)
        path = tmp_path / "donor.weights.h5"
        donor.save_weights(path)
        model = models.build(name, weights=path, input_shape=shape, classes=3)
        features = keras.Model(model.input, model.get_layer("block5_pool").output)
        x = image(rng, model)
        np.testing.assert_allclose(features(x), donor(x), rtol=1e-5, atol=1e-7)  # other order of sums

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"scheme": "xnor"}, r"vgg16: pretrained weights are those of the float form\. Got scheme='xnor'"),
            ({"batch_norm": True}, r"have no batch normalisation\. Use batch_norm=False"),
            ({}, r"vgg16: can't load the weights 'none\.weights\.h5': .*pass weights=PATH"),
        ],
        ids=["scheme", "batch norm", "no file"],
    )
    def test_weights_that_can_not_be_had(self, options, message):
        with pytest.raises(ValueError, match=message):
            models.vgg16(weights="none.weights.h5", input_shape=(32, 32, 3), width=0.03, **options)

    def test_offline(self, run_python, tmp_path):
        printed = run_python(
            """
from bnn_tf import errors, models
try:
    models.vgg16(weights="imagenet", input_shape=(32, 32, 3), classes=2, width=0.03)
except errors.ArgumentError as error:
    print(error)
""",
            KERAS_HOME=str(tmp_path),
            https_proxy="http://127.0.0.1:9",
        )
        assert "vgg16: can't load the weights 'imagenet': URL fetch failure" in printed
        assert "without a network, fetch it elsewhere and pass weights=PATH" in printed
