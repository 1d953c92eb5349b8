"""The composed path against the NumPy oracle, values and gradients: no shared object takes part."""

import itertools

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import DELIBERATE, tensors

from bnn_tf import composed, quantizers
from bnn_tf.geometry import Window

RTOL, ATOL = 2e-5, 2e-5  # float32 sums of a few thousand terms near 1

GRADIENT_CASES = DELIBERATE[::5]


def window_of(case):
    explicit = (0, 0, 0, 0) if isinstance(case.padding, str) else tuple(itertools.chain(*case.padding))
    mode = case.padding if isinstance(case.padding, str) else "explicit"
    return Window(case.strides, mode, explicit, case.dilations, case.groups)


def convolve(
    case,
    x,
    kernel,
    scaling="channel",
    ste="identity",
    binary_input=False,
    input_scaling=True,
    pad_value=0,
    input_ste="clip",
):
    signs, alpha = composed.binarize_kernel(kernel, scaling, quantizers.get(ste))
    if not binary_input:
        return composed.binary_conv2d(x, signs, alpha, window_of(case))
    return composed.binary_conv_input2d(
        x, signs, alpha, window_of(case), input_scaling, pad_value, quantizers.get(input_ste)
    )


@pytest.mark.parametrize("case", DELIBERATE, ids=str)
def test_convolutions(case, rng):
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    y = convolve(case, tf.constant(x), tf.constant(kernel))
    np.testing.assert_allclose(y, oracle.conv2d(x, kernel, **case.window), RTOL, ATOL)
    for input_scaling, pad_value in ((True, 0), (False, -1), (True, 1)):
        options = {"binary_input": True, "input_scaling": input_scaling, "pad_value": pad_value}
        y = convolve(case, tf.constant(x), tf.constant(kernel), **options)
        np.testing.assert_allclose(y, oracle.conv2d(x, kernel, **case.window, **options), RTOL, ATOL)


@pytest.mark.parametrize("case", GRADIENT_CASES, ids=str)
@pytest.mark.parametrize("binary_input", [False, True], ids=["float", "binary"])
def test_gradients(case, binary_input, rng):
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    for scaling, ste, input_scaling, pad_value in (
        ("channel", "identity", True, 0),
        ("tensor", "clip", True, -1),
        ("none", "clip", False, 1),
    ):
        options = {
            "scaling": scaling,
            "ste": ste,
            "binary_input": binary_input,
            "input_scaling": input_scaling,
            "pad_value": pad_value,
        }
        variables = tf.Variable(x), tf.Variable(kernel)
        with tf.GradientTape() as tape:
            y = convolve(case, *(tf.convert_to_tensor(v) for v in variables), **options)
        dy = rng.normal(size=y.shape).astype(np.float32)
        dx, dkernel = tape.gradient(y, variables, output_gradients=tf.constant(dy))
        expected_dx, expected_dkernel = oracle.conv2d_gradients(x, kernel, dy, **case.window, **options)
        np.testing.assert_allclose(dx, expected_dx, 1e-4, 1e-4, err_msg=f"dx, {options}")
        np.testing.assert_allclose(dkernel, expected_dkernel, 1e-4, 1e-4, err_msg=f"dkernel, {options}")


@pytest.mark.parametrize("scaling", ["channel", "tensor", "none"])
def test_dense(scaling, rng):
    x, kernel = tensors(rng, (6, 37), (37, 11))
    signs, alpha = composed.binarize_kernel(tf.constant(kernel), scaling, quantizers.get("identity"))
    np.testing.assert_allclose(composed.binary_dense(x, signs, alpha), oracle.dense(x, kernel, scaling), RTOL, ATOL)
    for input_scaling in (True, False):
        y = composed.binary_dense_input(tf.constant(x), signs, alpha, input_scaling, quantizers.get("clip"))
        np.testing.assert_allclose(y, oracle.dense(x, kernel, scaling, True, input_scaling), RTOL, ATOL)


def test_unknown_sizes_in_a_function(rng):
    """Nothing is known but ranks and channels; the padding follows the sizes at run time."""
    for case in DELIBERATE[::13]:

        @tf.function(
            input_signature=[tf.TensorSpec([None, None, None, case.image[3]]), tf.TensorSpec(case.kernel_shape)]
        )
        def function(x, kernel, case=case):
            return convolve(case, x, kernel, binary_input=True, pad_value=1)

        x, kernel = tensors(rng, case.image, case.kernel_shape)
        expected = oracle.conv2d(x, kernel, **case.window, binary_input=True, pad_value=1)
        np.testing.assert_allclose(function(x, kernel), expected, RTOL, ATOL, err_msg=str(case))


@pytest.mark.parametrize("shape", [(3, 3, 5, 17), (1, 1, 1, 1), (2, 3, 32, 16), (1, 7, 9, 33), (65, 3)], ids=str)
@pytest.mark.parametrize("groups", [1, 3])
def test_packing_then_unpacking_is_the_identity(shape, groups, rng):
    if len(shape) == 2 and groups > 1:
        pytest.skip("a dense kernel has no groups")
    shape = (*shape[:-1], shape[-1] * groups)
    kernel = rng.normal(size=shape).astype(np.float32)
    bits = composed.pack_kernel(tf.constant(kernel), groups)
    run, filters = int(np.prod(shape[:-1])), shape[-1] // groups
    assert bits.dtype == tf.int32
    assert tuple(bits.shape) == (groups, -(-filters // 16), -(-run // 32), 16)
    np.testing.assert_array_equal(composed.unpack_kernel(bits, shape), oracle.sign(kernel))


def test_bits_lie_where_the_layout_says():
    """bits[group][block][word][lane]: filter 16 * block + lane, bit b of a word = run index 32 * word + b."""
    kernel = np.ones((1, 1, 40, 34), np.float32)
    kernel[0, 0, 33, 19] = -1  # run index 33 = word 1, bit 1; group 1 (17 filters each), filter 2
    bits = keras.ops.convert_to_numpy(composed.pack_kernel(tf.constant(kernel), 2))
    assert list(zip(*np.nonzero(bits), strict=True)) == [(1, 0, 1, 2)]
    assert bits[1, 0, 1, 2] == 2


def test_negating_the_input_negates_the_output(rng):
    case = DELIBERATE[4]
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in (case.image, case.kernel_shape))
    for binary_input in (False, True):
        y, negated = (
            convolve(case, tf.constant(s * x), tf.constant(kernel), binary_input=binary_input) for s in (1, -1)
        )
        np.testing.assert_array_equal(y, -negated)
