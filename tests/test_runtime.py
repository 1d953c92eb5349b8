"""Packed models without TensorFlow: files that a writer of the tests made, against the NumPy oracle."""

import threading

import numpy as np
import oracle
import pytest
from conftest import ROOT
from packed_files import RELU, Writer, window

from bnn_tf.runtime import PackedModel, PackedModelError


def load(tmp_path, writer, threads=2):
    path = tmp_path / "net.bnn"
    path.write_bytes(writer if isinstance(writer, bytes) else writer.bytes())
    return PackedModel(path, threads)


def small_classifier(rng, **head):
    """Some of everything, for images of any size; three scores. Also the same in NumPy."""
    kernels = [rng.normal(size=shape) for shape in [(3, 3, 2, 20), (3, 3, 20, 20), (20, 3)]]
    alpha, bias = rng.normal(size=20), rng.normal(size=20)
    writer = Writer((8, 6, 2), resizable=True, **head)
    sizes = {"window": window((3, 3), strides=(2, 1)), "groups": 1, "activation": RELU}
    writer.node(
        "binary_conv2d", -1, bits=writer.bits(kernels[0]), alpha=writer.tensor(alpha), bias=writer.tensor(bias), **sizes
    )
    writer.node(
        "binary_conv_input2d",
        window=window((3, 3), padding="valid"),
        groups=1,
        bits=writer.bits(kernels[1]),
        alpha=writer.tensor(np.ones(20)),
        bias=None,
        activation=None,
        input_scaling=True,
        pad_value=0,
        pre_scale=None,
        pre_shift=writer.tensor(-alpha),
    )
    writer.node("global_average_pool", keepdims=False)
    writer.node("dense", kernel=writer.tensor(kernels[2]), bias=None, activation=None)

    def expected(x):
        first = oracle.conv2d(x, kernels[0], strides=(2, 1), scaling="none") * alpha.astype("f4") + bias.astype("f4")
        signed = np.maximum(first, 0) - alpha.astype("f4")
        second = oracle.conv2d(signed, kernels[1], padding="valid", scaling="none", binary_input=True)
        return second.mean((1, 2)) @ kernels[2]

    return writer, expected


@pytest.mark.parametrize("padding", ["same", "valid", ((1, 0), (2, 3))])
@pytest.mark.parametrize("strides, dilations, groups", [((1, 1), (1, 1), 1), ((2, 3), (1, 1), 2), ((1, 1), (2, 2), 1)])
def test_convolutions(tmp_path, rng, padding, strides, dilations, groups):
    x, kernel = rng.normal(size=(2, 11, 9, 6)), rng.normal(size=(3, 3, 6 // groups, 10))
    geometry = {"strides": strides, "padding": padding, "dilations": dilations}
    attributes = {"window": window((3, 3), **geometry), "groups": groups, "bias": None, "activation": None}
    windows = oracle.Windows((11, 9), (3, 3), strides, padding, dilations)
    parts = [
        np.einsum("npiqjc,ijco->npqo", windows.gather(image, 0.0), weights)
        for image, weights in zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
    ]

    writer = Writer((11, 9, 6))
    writer.node("conv2d", -1, kernel=writer.tensor(kernel), **attributes)
    np.testing.assert_allclose(load(tmp_path, writer).predict(x), np.concatenate(parts, -1), rtol=1e-4, atol=1e-5)

    binary = {**attributes, "alpha": 0}
    writer = Writer((11, 9, 6))
    writer.tensor(np.ones(10))
    writer.node("binary_conv2d", -1, bits=writer.bits(kernel, groups), **binary)
    expected = oracle.conv2d(x, kernel, groups=groups, scaling="none", **geometry)
    np.testing.assert_allclose(load(tmp_path, writer).predict(x), expected, rtol=1e-4, atol=1e-5)

    writer = Writer((11, 9, 6))
    writer.tensor(np.ones(10))
    signed = {"input_scaling": False, "pad_value": -1, "pre_scale": None, "pre_shift": None}
    writer.node("binary_conv_input2d", -1, bits=writer.bits(kernel, groups), **binary, **signed)
    y = load(tmp_path, writer).predict(x)
    options = {"binary_input": True, "input_scaling": False, "pad_value": -1}
    np.testing.assert_array_equal(y, oracle.conv2d(x, kernel, groups=groups, scaling="none", **options, **geometry))


@pytest.mark.parametrize("average", [False, True])
def test_pools_leave_out_what_is_padded(tmp_path, rng, average):
    x = rng.normal(size=(2, 7, 6, 5))
    sizes = window((3, 2), strides=(2, 2))
    del sizes["dilations"]
    writer = Writer((7, 6, 5))
    writer.node("average_pool2d" if average else "max_pool2d", -1, window=sizes)
    taken = oracle.Windows((7, 6), (3, 2), (2, 2), "same", (1, 1)).gather(x, np.nan)
    expected = (np.nanmean if average else np.nanmax)(taken, axis=(2, 4))
    np.testing.assert_allclose(load(tmp_path, writer).predict(x), expected, rtol=1e-5, atol=1e-6)


def test_a_whole_network_of_any_size(tmp_path, rng):
    writer, expected = small_classifier(rng)
    model = load(tmp_path, writer)
    assert model.input_shape == (None, None, None, 2)
    assert model.default_shape == (8, 6, 2)
    assert model.output_shape == (None, 3)
    for shape in [(5, 8, 6, 2), (1, 8, 6, 2), (2, 13, 20, 2), (5, 8, 6, 2)]:
        x = rng.normal(size=shape).astype("float32")
        np.testing.assert_allclose(model.predict(x, batch_size=2), expected(x), rtol=1e-3, atol=1e-4)
    assert model.predict(np.zeros((0, 8, 6, 2))).shape == (0, 3)
    assert model.memory(4) > model.memory(1) > 0
    assert model.memory(1, (30, 30)) > model.memory(1)


def test_arrays_of_any_float_and_layout(tmp_path, rng):
    writer, _ = small_classifier(rng)
    model = load(tmp_path, writer)
    x = rng.normal(size=(3, 8, 6, 2)).astype("float16")
    y = model.predict(x)
    assert y.dtype == np.float32
    for other in [
        x.astype("float64"),
        x.astype(">f4"),
        np.asfortranarray(x, "float32"),
        x.astype("float32")[::-1][::-1],
        x.tolist(),
    ]:
        np.testing.assert_array_equal(model.predict(other), y)


def test_pixels_are_preprocessed(tmp_path, rng):
    pixels = rng.integers(0, 256, (3, 8, 6, 2), np.uint8)
    mean, deviation = np.float32([100, 120.5]), np.float32([50, 60])
    writer, _ = small_classifier(
        rng, preprocessing={"mean": mean.tolist(), "deviation": deviation.tolist(), "short_side": 9}
    )
    model = load(tmp_path, writer)
    assert model.preprocessing == {"mean": [100, 120.5], "deviation": [50, 60], "short_side": 9}
    np.testing.assert_array_equal(model.predict(pixels), model.predict((pixels - mean) / deviation))
    writer.graph["preprocessing"] = None
    plain = load(tmp_path, writer)
    np.testing.assert_array_equal(plain.predict(pixels[:, ::-1]), plain.predict(pixels[:, ::-1].astype("float32")))


def test_vectors(tmp_path, rng):
    x, kernel = rng.normal(size=(4, 7)), rng.normal(size=(7, 3))
    for shape in [(7,), (1, 1, 7)]:
        writer = Writer(shape)
        writer.node("flatten", -1)
        writer.node("dense", kernel=writer.tensor(kernel, "float16"), bias=None, activation=None)
        expected = x @ kernel.astype("float16").astype("float64")
        np.testing.assert_allclose(load(tmp_path, writer).predict(x), expected, rtol=1e-4, atol=1e-5)


def test_says_what_it_is(tmp_path, rng):
    writer, _ = small_classifier(rng, classes=["a", "b", "ç"])
    model = load(tmp_path, writer)
    assert model.name == "test"
    assert model.classes == ("a", "b", "ç")
    assert model.provenance == {"producer": "tests", "made": "by hand"}
    lines = model.summary().splitlines()
    assert lines[0] == f"test: {len(writer.bytes()):,} bytes, input (None, None, None, 2), tests"
    assert lines[4].split() == ["binary_conv2d_0", "binary_conv2d", "4×6×20", "360", "40"]
    assert lines[-1].split() == ["total", "3,960", "140"]


def test_summary_counts_slopes_and_what_is_shared_once(tmp_path, rng):
    writer = Writer((4, 4, 3))
    kernel = writer.tensor(rng.normal(size=(1, 1, 3, 3)))
    same = {"window": window((1, 1)), "groups": 1, "kernel": kernel, "bias": None}
    writer.node("conv2d", -1, **same, activation={"kind": "prelu", "slope": writer.tensor(rng.normal(size=3))})
    writer.node("conv2d", **same, activation=RELU)
    writer.node("lrn", depth_radius=1, bias=1, alpha=1, beta=1)
    lines = load(tmp_path, writer).summary().splitlines()
    assert [line.split()[2:] for line in lines[4:7]] == [["4×4×3", "12"], ["4×4×3", "9"], ["4×4×3"]]
    assert lines[-1].split() == ["total", "0", "12"]


def test_profile_names_every_node(tmp_path, rng):
    writer, _ = small_classifier(rng)
    times = load(tmp_path, writer).profile(np.zeros((2, 8, 6, 2)), repeats=3)
    assert [node.op for node in times] == [node["op"] for node in writer.graph["nodes"]]
    assert times[0].output_shape == (2, 4, 6, 20)
    assert all(node.microseconds > 0 for node in times)


def test_several_threads_on_one_model(tmp_path, rng):
    writer, _ = small_classifier(rng)
    model = load(tmp_path, writer)
    images = [rng.normal(size=(100 + i % 3, 8 + i % 2, 6, 2)).astype("float32") for i in range(6)]
    expected = [model.predict(x) for x in images]
    wrong = []

    def work(i):
        wrong.extend(i for _ in range(50) if not np.array_equal(model.predict(images[i]), expected[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_numbers_of_threads(tmp_path, rng):
    writer, _ = small_classifier(rng)
    assert load(tmp_path, writer, threads=2**40).predict(np.zeros((1, 9, 9, 2), "f4")).shape == (1, 3)
    with pytest.raises(PackedModelError, match=r"`threads` must not be negative\. Got -1"):
        load(tmp_path, writer, threads=-1)
    with pytest.raises(TypeError, match="float"):
        load(tmp_path, writer, threads=1.5)


def test_inputs_that_do_not_fit(tmp_path, rng):
    writer, _ = small_classifier(rng)
    model = load(tmp_path, writer)
    cases = [
        (np.zeros((8, 6, 2)), r"Got shape \(8, 6, 2\). Put a batch before it: x\[None\]"),
        (np.zeros((1, 8, 6, 3)), r"takes an input of shape \[\?, \?, \?, 2\]. Got shape \[1, 8, 6, 3\]"),
        (np.zeros((1, 8, 6, 2), int), "Got dtype int64. Convert it with"),
        (np.zeros((1, 2, 2, 2)), "node 1 .* the kernel is larger than the image"),
    ]
    for x, message in cases:
        with pytest.raises(PackedModelError, match=message):
            model.predict(x)
    with pytest.raises(PackedModelError, match="takes an input of shape"):
        model.predict(np.zeros((0, 8, 6, 3)))
    with pytest.raises(ValueError, match=r"`batch_size` must be at least 1\. Got 0"):
        model.predict(np.zeros((1, 8, 6, 2)), batch_size=0)


@pytest.mark.parametrize("value", [np.float32(1), np.uint8(1)])
def test_an_input_for_which_there_is_no_memory(tmp_path, rng, value):
    writer, _ = small_classifier(rng)
    x = np.broadcast_to(value, (2**48, 8, 6, 2))
    with pytest.raises(MemoryError, match="Unable to allocate"):
        load(tmp_path, writer).predict(x, batch_size=len(x))


def test_files_that_are_refused(tmp_path, rng):
    writer, _ = small_classifier(rng)
    good = writer.bytes()
    future = good[:8] + b"\2" + good[9:]
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    for content, message in [
        (future, "net.bnn: is of format version 2, and this bnn_tf reads version 1"),
        (good[:-64], "net.bnn: should have .* it was cut"),
        (damaged, "net.bnn: the weights are damaged"),
        (b"PK\3\4" * 100, "net.bnn: is no packed model"),
    ]:
        with pytest.raises(PackedModelError, match=message):
            load(tmp_path, content)
    writer.graph["nodes"][1]["inputs"] = [2]
    with pytest.raises(PackedModelError, match=r'node 1 "binary_conv_input2d_1" .* its inputs must be'):
        load(tmp_path, writer)
    with pytest.raises(PackedModelError, match=r"missing.bnn: can't be opened: No such file or directory\."):
        PackedModel(tmp_path / "missing.bnn")


def test_imports_neither_tensorflow_nor_keras_and_is_quick(run_python, tmp_path, rng):
    writer, _ = small_classifier(rng)
    (tmp_path / "net.bnn").write_bytes(writer.bytes())
    printed = run_python(
        f"""
import sys, time
import numpy as np
start = time.process_time()
from bnn_tf.runtime import PackedModel
y = PackedModel({str(tmp_path / "net.bnn")!r}).predict(np.zeros((1, 8, 6, 2)))
print("seconds:", time.process_time() - start)
heavy = ("tensorflow", "keras", "jax", "scipy", "matplotlib", "rich")
print("modules:", *(name for name in sys.modules if name.split(".")[0] in heavy))
assert y.shape == (1, 3)
"""
    )
    seconds, modules = printed.splitlines()[-2:]
    assert modules == "modules:"
    assert float(seconds.split()[1]) < 0.2


def test_every_op_is_described(tmp_path):
    writer = Writer((1,))
    writer.node("nothing", -1)
    with pytest.raises(PackedModelError, match="unknown op") as refused:
        load(tmp_path, writer)
    known = str(refused.value).split("Known: ")[1].split(". ")[0].split(", ")
    described = (ROOT / "docs" / "packed-format.md").read_text()
    assert len(known) > 20
    assert [op for op in known if f"`{op}`" not in described] == []
