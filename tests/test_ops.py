"""The ops: every backend and TensorFlow's ops against the oracle, wherever TensorFlow runs them; every error."""

import concurrent.futures
import itertools
import os
import re

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import CHANNELS, DELIBERATE, ConvCase, random_cases, tensors

from bnn_tf import _core, ops

SEED = int(os.environ.get("BNN_TF_TEST_SEED", "0"))

BACKENDS = _core.supported_backends()
INPUT_OPTIONS = [
    {"input_scaling": input_scaling, "pad_value": pad_value}
    for input_scaling in (True, False)
    for pad_value in (-1, 0, 1)
]
EXACT = {"scaling": "none", "input_scaling": False}


def core_window(case):
    explicit = isinstance(case.padding, tuple)
    return {
        **case.window,
        "padding": "explicit" if explicit else case.padding,
        "explicit_padding": tuple(itertools.chain(*case.padding)) if explicit else (0, 0, 0, 0),
    }


def assert_close(actual, expected, what):
    """Equal to 1e-5 of the largest value: float32 sums of up to 10^4 terms stay well inside; a wrong bit never does."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if actual.size == 0:
        return
    error = np.abs(actual - expected)
    wrong = ~(error <= 1e-5 * np.abs(expected).max())
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        pytest.fail(
            f"{what}: {wrong.sum()} of {wrong.size} wrong, first {first}: {actual[first]}, expected {expected[first]}"
        )


def assert_same_bits(actual, expected, what):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    wrong = actual != expected
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        pytest.fail(
            f"{what}: {wrong.sum()} of {wrong.size} wrong, first {first}: {actual[first]}, expected {expected[first]}"
        )


# Values.


def test_the_c_plus_plus_ops_serve():
    """Everything below would pass on the composed path too, and say nothing about the C++ ops."""
    info = ops.backend_info()
    assert info["custom_ops"], info["reason"]
    assert info["isa"] in info["available_isas"] == BACKENDS
    assert info["threads"] >= 1 and info["threading"] in ("tensorflow", "openmp")
    assert "reason" not in info


@pytest.fixture(scope="module")
def expectations():
    """What the oracle says, once for all backends: (what, core function, x, kernel, keywords, result, exact)."""
    rng = np.random.default_rng(SEED)
    answers = []
    for case in (*DELIBERATE, *random_cases(rng, 60)):
        x, kernel = tensors(rng, case.image, case.kernel_shape)
        for scaling in ("channel", "tensor", "none"):
            y = oracle.conv2d(x, kernel, **case.window, scaling=scaling)
            answers.append(
                (
                    f"{case} {scaling}",
                    _core.binary_conv2d,
                    x,
                    kernel,
                    {**core_window(case), "scaling": scaling},
                    y,
                    False,
                )
            )
        for options in (*INPUT_OPTIONS, *({**options, **EXACT} for options in INPUT_OPTIONS[3:])):
            y = oracle.conv2d(x, kernel, **case.window, binary_input=True, **options)
            exact = options.get("scaling") == "none"
            answers.append(
                (f"{case} {options}", _core.binary_conv_input2d, x, kernel, {**core_window(case), **options}, y, exact)
            )
    return answers


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_against_the_oracle(backend, expectations):
    for what, function, x, kernel, options, expected, exact in expectations:
        y = function(x, kernel, **options, backend=backend, threads=1)
        (assert_same_bits if exact else assert_close)(y, expected, f"{backend} {function.__name__} {what}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_dense_backends_against_the_oracle(backend, rng):
    for batch, channels, units in [(3, c, 5) for c in CHANNELS] + [(1, 1000, 33), (9, 5, 130), (0, 4, 3), (64, 64, 64)]:
        x, kernel = tensors(rng, (batch, channels), (channels, units))
        what = f"{backend} {batch}x{channels}x{units}"
        for scaling in ("channel", "tensor", "none"):
            assert_close(_core.binary_dense(x, kernel, scaling, backend), oracle.dense(x, kernel, scaling), what)
            y = _core.binary_dense_input(x, kernel, scaling, True, backend)
            assert_close(y, oracle.dense(x, kernel, scaling, binary_input=True), what)
        y = _core.binary_dense_input(x, kernel, "none", False, backend)
        assert_same_bits(y, oracle.dense(x, kernel, "none", True, False), what)


@pytest.mark.parametrize("case", DELIBERATE[::3], ids=str)
def test_tensorflow_ops_against_the_oracle(case, rng):
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    packed = ops.pack_kernel(kernel, groups=case.groups)
    y = ops.binary_conv2d(x, kernel, **case.window)
    assert_close(y, oracle.conv2d(x, kernel, **case.window), case)
    assert_same_bits(ops.binary_conv2d(x, packed, **case.window), y, f"{case} packed")
    for options in INPUT_OPTIONS:
        y = ops.binary_conv_input2d(x, kernel, **case.window, **options)
        assert_close(y, oracle.conv2d(x, kernel, **case.window, binary_input=True, **options), f"{case} {options}")
        assert_same_bits(ops.binary_conv_input2d(x, packed, **case.window, **options), y, f"{case} {options} packed")


def test_tensorflow_dense_ops_against_the_oracle(rng):
    for shape, units in (((4, 37), 11), ((2, 3, 5, 64), 7), ((0, 9), 3), ((2, 0, 9), 3)):
        x, kernel = tensors(rng, shape, (shape[-1], units))
        for scaling in ("channel", "tensor", "none"):
            packed = ops.pack_kernel(kernel, scaling)
            y = ops.binary_dense(x, kernel, scaling)
            assert_close(y, oracle.dense(x, kernel, scaling), f"{shape} {scaling}")
            assert_same_bits(ops.binary_dense(x, packed), y, f"{shape} {scaling} packed")
            for input_scaling in (True, False):
                y = ops.binary_dense_input(x, kernel, scaling, input_scaling=input_scaling)
                assert_close(
                    y, oracle.dense(x, kernel, scaling, True, input_scaling), f"{shape} {scaling} {input_scaling}"
                )
                again = ops.binary_dense_input(x, packed, input_scaling=input_scaling)
                assert_same_bits(again, y, f"{shape} {scaling} {input_scaling} packed")


def test_equal_to_tensorflows_convolution_of_signs(rng):
    """The claim of the package, over random shapes: bit for bit with binary input, to 1e-5 with float input."""
    compared = 0
    for case in random_cases(rng, 150):
        if case.groups > 1 or (case.image[3] == 1 and case.strides[0] != case.strides[1]):
            continue  # a case that TensorFlow's CPU convolution lacks, and one that it gets wrong
        x, kernel = tensors(rng, case.image, case.kernel_shape)
        padding = case.padding.upper() if isinstance(case.padding, str) else [[0, 0], *map(list, case.padding), [0, 0]]
        signs = oracle.sign(kernel).astype(np.float32)
        expected = tf.nn.conv2d(
            oracle.sign(x).astype(np.float32), signs, case.strides, padding, dilations=case.dilations
        )
        y = ops.binary_conv_input2d(x, kernel, **case.window, **EXACT)
        assert_same_bits(y, expected, case)
        expected = tf.nn.conv2d(x, signs, case.strides, padding, dilations=case.dilations)
        assert_close(ops.binary_conv2d(x, kernel, **case.window, scaling="none"), expected, case)
        compared += 1
    assert compared > 50


def test_flipping_one_weight_moves_one_output_by_two(rng):
    """By ±2 in its own channel, wherever that tap lies inside the image, and nothing else."""
    case = ConvCase((1, 5, 6, 35), (3, 3), 18)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in (case.image, case.kernel_shape))
    before = ops.binary_conv_input2d(x, kernel, **EXACT).numpy()
    for i, j, c, o in ((0, 0, 0, 0), (1, 1, 31, 17), (2, 0, 34, 16), (2, 2, 32, 3)):
        flipped = kernel.copy()
        flipped[i, j, c, o] *= -1
        moved = ops.binary_conv_input2d(x, flipped, **EXACT).numpy() - before
        inside = np.zeros(moved.shape[1:3], bool)
        inside[max(0, 1 - i) : 5 + min(0, 1 - i), max(0, 1 - j) : 6 + min(0, 1 - j)] = True
        np.testing.assert_array_equal(np.abs(moved[0, ..., o]), 2.0 * inside)
        assert not np.delete(moved, o, axis=-1).any()


def test_results_depend_on_neither_threads_nor_the_batch_split(rng):
    case = ConvCase((6, 9, 10, 70), (3, 3), 40, (2, 1))
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    dense_x, dense_kernel = tensors(rng, (310, 200), (200, 130))  # a smaller one isn't shared
    for backend in BACKENDS:
        for function, a, b, options in (
            (_core.binary_conv2d, x, kernel, core_window(case)),
            (_core.binary_conv_input2d, x, kernel, core_window(case)),
            (_core.binary_dense, dense_x, dense_kernel, {}),
            (_core.binary_dense_input, dense_x, dense_kernel, {}),
        ):
            expected = function(a, b, **options, backend=backend, threads=1)
            for threads in (2, 3, 5):
                y = function(a, b, **options, backend=backend, threads=threads)
                assert_same_bits(y, expected, f"{backend} {function.__name__} {threads} threads")
            halves = [function(part, b, **options, backend=backend) for part in (a[:1], a[1:4], a[4:])]
            assert_same_bits(np.concatenate(halves), expected, f"{backend} {function.__name__} in parts")


FORCED = """
import sys
import numpy as np
import tensorflow as tf
from bnn_tf import ops

folder, backend, threads = sys.argv[1:]
tf.config.threading.set_intra_op_parallelism_threads(int(threads))
info = ops.backend_info()
assert info["isa"] == backend and info["custom_ops"], info
assert info["threads"] == int(threads), info
data = np.load(folder + "/data.npz")
x, kernel = data["x"], data["kernel"]
np.testing.assert_array_equal(ops.binary_conv_input2d(x, kernel, scaling="none", input_scaling=False), data["exact"])
np.testing.assert_allclose(ops.binary_conv_input2d(x, kernel), data["scaled"], 1e-5)
np.testing.assert_allclose(ops.binary_conv2d(x, kernel), data["float"], 1e-5, 1e-4)
function = tf.function(ops.binary_conv2d)
restored = tf.saved_model.load(folder + "/model")
np.testing.assert_array_equal(restored(x), function(x, restored.kernel))
with tf.GradientTape() as tape:
    y = restored(x)
assert np.isfinite(tape.gradient(y, restored.kernel)).all()
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Inputs, expected outputs and a SavedModel, for fresh interpreters."""
    folder = tmp_path_factory.mktemp("saved")
    rng = np.random.default_rng(5)
    x, kernel = tensors(rng, (4, 14, 14, 37), (3, 3, 37, 40))  # large enough for threads to share it
    expected = {
        "exact": oracle.conv2d(x, kernel, binary_input=True, **EXACT),
        "scaled": oracle.conv2d(x, kernel, binary_input=True),
        "float": oracle.conv2d(x, kernel),
    }
    np.savez(folder / "data.npz", x=x, kernel=kernel, **expected)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 37])])
        def __call__(self, x):
            return ops.binary_conv2d(x, self.kernel)

    tf.saved_model.save(Model(), str(folder / "model"))
    return folder


@pytest.mark.parametrize(("index", "backend"), list(enumerate(BACKENDS)), ids=BACKENDS)
def test_forced_backends_and_saved_models_in_a_fresh_interpreter(index, backend, saved, run_python):
    run_python(FORCED, saved, backend, index + 1, BNN_TF_ISA=backend)


def test_an_unknown_backend_lists_the_names(run_python):
    printed = run_python(
        """
from bnn_tf import ops
import numpy as np
import tensorflow as tf
run = lambda: ops.binary_dense(np.ones((1, 2)), np.ones((2, 1)))
for function, expected in ((ops.backend_info, ValueError), (run, tf.errors.InvalidArgumentError)):
    try:
        function()
    except expected as error:
        print(error)
""",
        BNN_TF_ISA="sse9",
    )
    assert printed.count("sse9") == 2
    for backend in BACKENDS:
        assert printed.count(backend) >= 2


# Corners.


def test_zeros_infinities_and_nans():
    """-0 has the sign +1, NaN -1; infinities and the smallest numbers their own."""
    values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-38, -1e-38, -1.0], np.float32)
    signs = np.array([1, 1, 1, -1, -1, 1, -1, -1], np.float32)
    one = np.ones((1, 1), np.float32)
    for options in ({}, {"ste": "approx_sign", "input_ste": "swish_sign"}):
        y = ops.binary_dense_input(values[:, None], one, "none", input_scaling=False, **options)
        np.testing.assert_array_equal(y[:, 0], signs)
        y = ops.binary_dense_input(one, values[None], "none", input_scaling=False, **options)
        np.testing.assert_array_equal(y[0], signs)
    np.testing.assert_array_equal(ops.binary_dense(one, values[None], "none")[0], signs)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_infinity_reaches_its_own_windows_only(backend):
    x, kernel = np.ones((1, 5, 5, 3), np.float32), np.ones((3, 3, 3, 2), np.float32)
    x[0, 0, 0, 0], x[0, 4, 4, 2] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(_core.binary_conv2d(x, kernel, backend=backend), oracle.conv2d(x, kernel), 1e-6)
        expected = oracle.conv2d(x, kernel, binary_input=True)
    np.testing.assert_allclose(_core.binary_conv_input2d(x, kernel, backend=backend), expected, 1e-6)


def test_an_empty_batch_gives_an_empty_result_and_zero_gradients():
    x, kernel = tf.zeros((0, 5, 4, 3)), tf.ones((3, 3, 3, 2))
    for op in (ops.binary_conv2d, ops.binary_conv_input2d):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = op(x, kernel, strides=2)
        assert y.shape == (0, 3, 2, 2)
        dx, dkernel = tape.gradient(y, [x, kernel])
        assert dx.shape == x.shape
        np.testing.assert_array_equal(dkernel, np.zeros(kernel.shape))


def test_an_empty_image_gives_an_empty_result():
    for op in (ops.binary_conv2d, ops.binary_conv_input2d):
        for padding in ("same", "valid"):
            assert (
                op(np.zeros((2, 0, 4, 3), np.float32), np.ones((3, 3, 3, 2), np.float32), padding=padding).shape[1] == 0
            )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_dtypes_come_back(dtype, rng):
    x, kernel = tensors(rng, (2, 5, 5, 4), (3, 3, 4, 6))
    for op in (ops.binary_conv2d, ops.binary_conv_input2d):
        y = op(tf.cast(x, dtype), tf.cast(kernel, "float64"))
        assert y.dtype == dtype
        expected = op(tf.cast(tf.cast(x, dtype), "float32"), kernel)
        np.testing.assert_array_equal(y, tf.cast(expected, dtype))


def test_k_of_a_large_image_is_accurate_to_float32(rng):
    """On 1024x1024 pixels K errs by less than 1e-6 of itself: float64 sums within a window, rounded once."""
    x = rng.random((1, 1024, 1024, 1)).astype(np.float32)
    x[0, :4] *= 1e6  # what a table over the whole image would carry along
    y = ops.binary_conv_input2d(x, np.ones((7, 7, 1, 1), np.float32), padding="valid", scaling="none").numpy() / 49
    a = x.astype(np.float64)[0, ..., 0]
    rows = sum(a[i : 1018 + i] for i in range(7))
    expected = sum(rows[:, j : 1018 + j] for j in range(7)) / 49
    np.testing.assert_allclose(y[0, ..., 0], expected, 1e-6)


# Wherever TensorFlow runs ops.


@pytest.fixture
def problem(rng):
    x, kernel = tensors(rng, (20, 16, 15, 9), (3, 3, 9, 4))  # large enough for threads to share it
    return x, kernel, ops.binary_conv_input2d(x, kernel).numpy()


def test_in_a_function_with_unknown_sizes(problem):
    x, kernel, expected = problem
    for shape in ([None, None, None, 9], [None, None, None, None], None):
        function = tf.function(
            ops.binary_conv_input2d, input_signature=[tf.TensorSpec(shape), tf.TensorSpec(shape and [None] * 4)]
        )
        np.testing.assert_array_equal(function(x, kernel), expected)
    dense = tf.function(ops.binary_dense, input_signature=[tf.TensorSpec([None, None, 9]), tf.TensorSpec([9, 4])])
    np.testing.assert_array_equal(dense(x[0], kernel[0, 0]), ops.binary_dense(x[0], kernel[0, 0]))


@pytest.mark.parametrize("packed", [False, True], ids=["float kernel", "packed kernel"])
def test_one_op_that_meets_other_images(packed, rng):
    kernel = tensors(rng, (), (3, 3, 9, 4))[1]
    weights = ops.pack_kernel(kernel) if packed else kernel
    function = tf.function(
        lambda x: ops.binary_conv_input2d(x, weights), input_signature=[tf.TensorSpec(None)]
    ).get_concrete_function()
    images = {shape: tensors(rng, (*shape, 9), (1,))[0] for shape in ((2, 8, 7), (2, 7, 8), (3, 8, 7), (0, 8, 7))}
    expected = {shape: oracle.conv2d(x, kernel, binary_input=True) for shape, x in images.items()}

    def check(shape):
        assert_close(function(tf.constant(images[shape])), expected[shape], shape)

    for shape in (*images, *images):
        check(shape)
        with pytest.raises(tf.errors.InvalidArgumentError, match="the kernel sees 9 channels"):
            function(tf.zeros((*shape, 8)))
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have rank 4"):
            function(tf.zeros(shape))
        check(shape)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(check, list(images) * 50))


def test_one_op_that_meets_other_kernels(rng):
    x, kernel = tensors(rng, (2, 8, 7, 9), (3, 3, 9, 20))
    anything = tf.TensorSpec(None)
    float_kernel = tf.function(lambda k: ops.binary_conv_input2d(x, k), input_signature=[anything])
    for other in (kernel, kernel[:, :2], kernel[..., :5], kernel):
        assert_close(float_kernel(other), oracle.conv2d(x, other, binary_input=True), other.shape)

    packed = ops.pack_kernel(kernel)
    packed_kernel = tf.function(
        lambda bits, alpha: ops.binary_conv_input2d(x, packed._replace(bits=bits, alpha=alpha)),
        input_signature=[tf.TensorSpec([1, None, None, None], tf.int32), anything],
    )
    expected = oracle.conv2d(x, kernel, binary_input=True)
    for bits, alpha, wrong in (
        (packed.bits[:, :1], packed.alpha, "bits"),
        (packed.bits[..., :8], packed.alpha, "bits"),
        (packed.bits, packed.alpha[:3], "alpha"),
    ):
        assert_close(packed_kernel(packed.bits, packed.alpha), expected, "as packed")
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"`{wrong}` must have shape"):
            packed_kernel(bits, alpha)
    assert_close(packed_kernel(packed.bits, packed.alpha), expected, "as packed")


def test_in_a_graph_session(problem):
    x, kernel, expected = problem
    with tf.GradientTape() as tape:
        inputs = [tf.constant(x), tf.constant(kernel)]
        tape.watch(inputs)
        y = ops.binary_conv_input2d(*inputs)
    gradients = tape.gradient(y, inputs)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        feeds = [
            tf.compat.v1.placeholder(tf.float32, [None, None, None, 9]),
            tf.compat.v1.placeholder(tf.float32, kernel.shape),
        ]
        y = ops.binary_conv_input2d(*feeds)
        actual = session.run([y, *tf.gradients(y, feeds)], dict(zip(feeds, (x, kernel), strict=True)))
    np.testing.assert_array_equal(actual[0], expected)
    np.testing.assert_array_equal(actual[1], gradients[0])
    np.testing.assert_array_equal(actual[2], gradients[1])


def test_in_a_data_pipeline(problem):
    x, kernel, expected = problem
    dataset = (
        tf.data.Dataset.from_tensor_slices(x).batch(1).map(lambda image: ops.binary_conv_input2d(image, kernel), 2)
    )
    np.testing.assert_array_equal(np.concatenate(list(dataset)), expected)


def test_in_four_threads_at_once(problem):
    x, kernel, expected = problem
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ops.binary_conv_input2d(x, kernel).numpy(), range(40)))
    for y in results:
        np.testing.assert_array_equal(y, expected)


def test_xla_says_that_it_does_not_know_the_op(problem):
    x, kernel, _ = problem
    compiled = tf.function(ops.binary_conv_input2d, jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="BinaryConvInput2D"):
        compiled(tf.constant(x), tf.constant(kernel))


def shapes_of(case):
    """Every subset of the four input sizes hidden, then of the kernel's."""
    for hidden in itertools.product((False, True), repeat=4):
        yield tuple(None if h else s for h, s in zip(hidden, case.image, strict=True)), case.kernel_shape
        yield case.image, tuple(None if h else s for h, s in zip(hidden, case.kernel_shape, strict=True))


@pytest.mark.parametrize("case", DELIBERATE[40:80:6], ids=str)
def test_shape_functions_know_what_can_be_known(case, rng):
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    real = ops.binary_conv2d(x, kernel, **case.window).shape
    window = core_window(case)
    for shape, kernel_shape in shapes_of(case):
        for op in (ops.binary_conv2d, ops.binary_conv_input2d):
            with tf.Graph().as_default():
                feeds = [tf.compat.v1.placeholder(tf.float32, s) for s in (shape, kernel_shape)]
                y = op(*feeds, **case.window)
                gradients = tf.gradients(y, feeds)
            known, _ = _core.conv_geometry(
                "op",
                shape,
                kernel_shape,
                *(window[k] for k in list(window)[:2]),
                window["explicit_padding"],
                window["dilations"],
                window["groups"],
            )
            assert tuple(y.shape) == known, f"{shape} {kernel_shape}"
            assert y.shape.is_compatible_with(real)
            assert [
                g.shape.is_compatible_with(s) for g, s in zip(gradients, (case.image, case.kernel_shape), strict=True)
            ] == [True] * 2


def test_shape_functions_of_dense_and_packed_ops():
    library = ops._native.library
    with tf.Graph().as_default():
        placeholder = tf.compat.v1.placeholder
        x, kernel = placeholder(tf.float32, [None, 40]), placeholder(tf.float32, [40, 17])
        bits, alpha = library.binary_pack_kernel(kernel)
        assert (bits.shape, alpha.shape) == ((1, 2, 2, 16), (17,))
        for y in (library.binary_dense(x, kernel), library.binary_dense_packed(x, bits, alpha, kernel_shape=[40, 17])):
            assert y.shape.as_list() == [None, 17]
        assert library.binary_dense_input(placeholder(tf.float32), kernel).shape.as_list() == [None, 17]
        image = placeholder(tf.float32, [None, 8, None, 6])
        bits, alpha = library.binary_pack_kernel(placeholder(tf.float32, [3, 3, 2, 9]), groups=3)
        assert (bits.shape, alpha.shape) == ((3, 1, 1, 16), (9,))
        y = library.binary_conv2d_packed(image, bits, alpha, kernel_shape=[3, 3, 2, 9], groups=3, padding="VALID")
        assert y.shape.as_list() == [None, 6, None, 9]


# Packed kernels.


@pytest.mark.parametrize("shape", [(3, 3, 5, 17), (2, 3, 32, 16), (65, 3)], ids=str)
def test_packing_is_the_same_everywhere(shape, rng):
    kernel = rng.normal(size=shape).astype(np.float32)
    for scaling in ("channel", "tensor", "none"):
        packed = ops.pack_kernel(kernel, scaling)
        assert packed.shape == shape
        np.testing.assert_allclose(packed.alpha, oracle.alpha(kernel, scaling), 1e-6)
        np.testing.assert_array_equal(_core.unpack_kernel(packed.bits.numpy(), shape), oracle.sign(kernel))
        for backend in BACKENDS:
            bits, alpha = _core.pack_kernel(kernel, scaling=scaling, backend=backend)
            np.testing.assert_array_equal(bits, packed.bits)
            np.testing.assert_allclose(alpha, packed.alpha, 1e-6)
    composed_bits = ops.composed.pack_kernel(tf.constant(kernel), 1)
    np.testing.assert_array_equal(composed_bits, packed.bits)


def test_a_packed_kernel_cannot_go_stale(rng):
    """It is a copy: what becomes of the float kernel afterwards changes nothing."""
    x, kernel = tensors(rng, (1, 4, 4, 3), (3, 3, 3, 20))
    variable = tf.Variable(kernel)
    packed = ops.pack_kernel(variable)
    before = ops.binary_conv2d(x, packed)
    variable.assign(-2 * kernel - 1)
    kernel[:] = -1
    np.testing.assert_array_equal(ops.binary_conv2d(x, packed), before)
    assert (ops.binary_conv2d(x, variable).numpy() != before.numpy()).any()


PACKED_OPS = [(op, (1, 4, 4, 3), (3, 3, 3, 2)) for op in (ops.binary_conv2d, ops.binary_conv_input2d)] + [
    (op, (5, 40), (40, 7)) for op in (ops.binary_dense, ops.binary_dense_input)
]


@pytest.mark.parametrize(("op", "image", "kernel_shape"), PACKED_OPS)
def test_a_packed_kernel_has_no_gradient(op, image, kernel_shape, rng):
    x, kernel = tensors(rng, image, kernel_shape)
    packed = ops.pack_kernel(kernel)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x, packed)
        return tape.gradient(y, x)

    for function in (gradient, tf.function(gradient)):
        with pytest.raises(ValueError, match=r"a packed kernel has no gradient\. It is for inference; give the op"):
            function(tf.constant(x))


@pytest.mark.parametrize(("op", "image", "kernel_shape"), PACKED_OPS)
def test_packed_kernels_in_a_tf1_session(op, image, kernel_shape, rng):
    x, kernel = tensors(rng, image, kernel_shape)
    packed = ops.pack_kernel(kernel)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        inputs = tf.compat.v1.placeholder(tf.float32, (None, *image[1:]))
        constants = ops.PackedKernel(packed.bits.numpy(), packed.alpha.numpy(), packed.shape)
        in_graph = ops.pack_kernel(tf.constant(kernel))
        ys = [op(inputs, constants), op(inputs, in_graph)]
        results = session.run(ys, {inputs: x})
        with pytest.raises(ValueError, match="a packed kernel has no gradient"):
            tf.compat.v1.gradients(ys[0], inputs)
    for y in results:
        np.testing.assert_array_equal(y, op(x, packed))


# Errors.

X, KERNEL = np.zeros((2, 5, 5, 4), np.float32), np.zeros((3, 3, 4, 6), np.float32)

CONV_ERRORS = [
    (
        (X[0], KERNEL),
        {},
        "`x` must have rank 4. Got shape [5, 5, 4] of rank 3. Reshape it to [batch, height, width, channels].",
    ),
    ((X, KERNEL[0]), {}, "`kernel` must have rank 4. Got shape [3, 4, 6] of rank 3."),
    ((X, KERNEL[:, :, :3]), {}, "the kernel sees 3 channels a group and the input has 4 in 1 group."),
    ((X, KERNEL[:, :, :2]), {"groups": 3}, "`groups` must divide the input channels. Got groups=3 and 4 channels"),
    ((X, KERNEL[:, :, :1]), {"groups": 4}, "`groups` must divide the filters. Got groups=4 and 6 filters"),
    ((X, KERNEL), {"groups": 0}, "`groups` must be at least 1. Got groups=0."),
    ((X, KERNEL), {"strides": 0}, "`strides` must lie in 1..2^30. Got 0 along the height."),
    ((X, KERNEL), {"dilations": (1, -1)}, "`dilations` must lie in 1..2^30. Got -1 along the width."),
    ((X, KERNEL), {"padding": "full"}, 'unknown padding "full". Expected "same", "valid" or explicit pairs'),
    ((X, KERNEL), {"padding": ((0, 0), (-1, 0))}, "explicit padding must lie in 0..2^30. Got [0, 0, -1, 0]"),
    ((X, KERNEL[:, :0]), {}, "the kernel is empty. Got a kernel of shape [3, 0, 4, 6]"),
    ((X, KERNEL), {"padding": "valid", "dilations": 3}, "the kernel is larger than the image. Got a height of 5"),
    ((X, KERNEL), {"scaling": "row"}, 'unknown `scaling` "row". Expected "channel" (a scale per filter)'),
]
PYTHON_ERRORS = [
    (
        (X, KERNEL),
        {"strides": (1, 2, 3)},
        "`strides` must be an integer or a pair of them (height, width). Got (1, 2, 3).",
    ),
    ((X, KERNEL), {"dilations": 1.5}, "`dilations` must be an integer or a pair"),
    ((X, KERNEL), {"groups": "two"}, "`groups` must be an integer. Got 'two'."),
    ((X, KERNEL), {"padding": 3}, 'unknown padding 3. Expected "same", "valid" or explicit pairs'),
    ((X, KERNEL), {"data_format": "channels_first"}, '`data_format` must be "channels_last"'),
    ((X.astype(int), KERNEL), {}, "the input must be of a floating-point dtype. Got int64. Cast it"),
    ((X, KERNEL > 0), {}, "the kernel must be of a floating-point dtype. Got bool."),
    ((keras.Input((5, 5, 4)), KERNEL), {}, "got a symbolic input. In a functional model use the layer bnn_tf.layers."),
    ((X, ops.pack_kernel(KERNEL)), {"groups": 2}, "the kernel was packed for groups=1. Got groups=2."),
]


@pytest.mark.parametrize(
    ("arguments", "options", "text"), CONV_ERRORS + PYTHON_ERRORS, ids=lambda a: a if isinstance(a, str) else ""
)
def test_errors_of_the_convolutions(arguments, options, text):
    for op, name in ((ops.binary_conv2d, "BinaryConv2D"), (ops.binary_conv_input2d, "BinaryConvInput2D")):
        with pytest.raises(ValueError, match=re.escape(f"{name}: {text}")):
            op(*arguments, **options)


@pytest.mark.parametrize(("arguments", "options", "text"), CONV_ERRORS, ids=lambda a: a if isinstance(a, str) else "")
def test_the_ops_themselves_say_the_same(arguments, options, text):
    """As InvalidArgument, when they run and, with the sizes known, when a graph is built."""
    attrs = {"padding": "SAME", **options}
    for name in ("strides", "dilations"):
        if isinstance(attrs.get(name), int):
            attrs[name] = [attrs[name]] * 2
    if isinstance(attrs["padding"], tuple):
        attrs |= {"padding": "EXPLICIT", "explicit_paddings": list(itertools.chain(*attrs["padding"]))}
    for op, name in (
        (ops._native.library.binary_conv2d, "BinaryConv2D"),
        (ops._native.library.binary_conv_input2d, "BinaryConvInput2D"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(f"{name}: {text}")):
            op(*arguments, **attrs)
        if "scaling" not in options:
            with tf.Graph().as_default(), pytest.raises(ValueError, match=re.escape(f"{name}: {text}")):
                op(*(tf.constant(a) for a in arguments), **attrs)


def test_errors_of_one_op_only():
    for value in (2, -2):
        with pytest.raises(ValueError, match=rf"BinaryConvInput2D: `pad_value` must be -1, 0 or \+1. Got {value}"):
            ops.binary_conv_input2d(X, KERNEL, pad_value=value)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"`pad_value` must be -1, 0 or \+1"):
            ops._native.library.binary_conv_input2d(X, KERNEL, pad_value=value)
    with pytest.raises(ValueError, match="Unknown quantizer 'softsign'"):
        ops.binary_conv2d(X, KERNEL, ste="softsign")
    with pytest.raises(tf.errors.InvalidArgumentError, match='unknown `input_ste` "soft"'):
        ops._native.library.binary_conv_input2d(X, KERNEL, input_ste="soft")


def test_errors_of_dense():
    x, kernel = X[0, 0], KERNEL[0, 0]
    for op, raw, name in (
        (ops.binary_dense, ops._native.library.binary_dense, "BinaryDense"),
        (ops.binary_dense_input, ops._native.library.binary_dense_input, "BinaryDenseInput"),
    ):
        for arguments, text in (
            ((x[0], kernel), "`x` must have rank 2. Got shape [4] of rank 1. Reshape it to [batch, channels]."),
            (
                (x, KERNEL),
                "`kernel` must have rank 2. Got shape [3, 3, 4, 6] of rank 4. Reshape it to [channels, units].",
            ),
            ((x, kernel[:3]), "the kernel takes 3 channels and the input has 4."),
            ((x[:, :0], kernel[:0]), "the kernel is empty."),
        ):
            with pytest.raises(ValueError, match=re.escape(f"{name}: {text}")):
                op(*arguments)
            with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(f"{name}: {text}")):
                raw(*arguments)
        with pytest.raises(ValueError, match=f"{name}: the input must be of a floating-point dtype. Got int64"):
            op(x.astype(int), kernel)
        with pytest.raises(ValueError, match=f'{name}: unknown `scaling` "row"'):
            op(x, kernel, scaling="row")


def test_errors_of_packing():
    for kernel, options, text in (
        (KERNEL[0], {}, "the kernel must be of rank 2 or 4 and of known shape. Got shape (3, 4, 6)"),
        (KERNEL[:0], {}, "the kernel is empty."),
        (KERNEL, {"groups": 4}, "`groups` must divide the filters."),
        (KERNEL, {"scaling": "row"}, 'unknown `scaling` "row"'),
    ):
        with pytest.raises(ValueError, match=re.escape(f"BinaryPackKernel: {text}")):
            ops.pack_kernel(kernel, **options)


def test_errors_of_packed_kernels():
    packed, dense = ops.pack_kernel(KERNEL), ops.pack_kernel(KERNEL[0, 0])
    for kernel, text in (
        (packed._replace(bits=packed.bits[:, :, :1]), "`bits` must have shape [1, 1, 2, 16]. Got [1, 1, 1, 16]."),
        (
            packed._replace(alpha=packed.alpha[:3]),
            "`alpha` must have shape [6]. Got [3]. Pass what packing a kernel of",
        ),
        (packed._replace(alpha=packed.alpha[0]), "`alpha` must have shape [6]. Got []."),
        (packed._replace(shape=(3, 3, 4, 40)), "`bits` must have shape [1, 3, 2, 16]. Got [1, 1, 2, 16]."),
    ):
        for op, name in ((ops.binary_conv2d, "BinaryConv2D"), (ops.binary_conv_input2d, "BinaryConvInput2D")):
            with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(f"{name}Packed: {text}")):
                op(X, kernel)
    for op, name in ((ops.binary_dense, "BinaryDense"), (ops.binary_dense_input, "BinaryDenseInput")):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=re.escape(f"{name}Packed: `alpha` must have shape [6].")
        ):
            op(X[0, 0], dense._replace(alpha=dense.alpha[:3]))
        with pytest.raises(ValueError, match=re.escape(f"{name}: `kernel` must have rank 2. Got shape [3, 3, 4, 6]")):
            op(X[0, 0], packed)
        with pytest.raises(ValueError, match=f"{name}: the kernel takes 4 channels and the input has 3"):
            op(X[0, 0, :, :3], dense)
    with pytest.raises(
        ValueError, match=r"BinaryConv2D: the kernel was packed for groups=2. Got groups=1. Pack it again"
    ):
        ops.binary_conv2d(X, ops.pack_kernel(KERNEL[:, :, :2], groups=2))


def test_sizes_whose_product_overflows():
    text = "the output would have more than 2^56 elements"
    with pytest.raises(ValueError, match=re.escape(f"BinaryConv2D: {text}")):
        ops.conv_output_shape("BinaryConv2D", (2**30, 2**10, 2**10, 4), (3, 3, 4, 2**34))
    with tf.Graph().as_default():
        x, kernel = (
            tf.compat.v1.placeholder(tf.float32, shape) for shape in ((2**30, 2**10, 2**10, 4), (3, 3, 4, 2**34))
        )
        with pytest.raises(ValueError, match=re.escape(f"BinaryConv2D: {text}")):
            ops._native.library.binary_conv2d(x, kernel)
