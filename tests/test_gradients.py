"""The C++ gradients against the composed path under GradientTape, the oracle, and finite differences where smooth."""

import itertools

import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import DELIBERATE, ConvCase, tensors

from bnn_tf import composed, ops, quantizers
from bnn_tf.geometry import Window

CASES = [*DELIBERATE[:: len(DELIBERATE) // 24], ConvCase((3, 6, 5, 33), (3, 3), 34, (2, 1), ((1, 2), (0, 1)))]
NAMES = quantizers.names()


def composed_op(case, x, kernel, scaling="channel", ste="identity", input_ste=None, input_scaling=True, pad_value=0):
    explicit = isinstance(case.padding, tuple)
    window = Window(
        case.strides,
        "explicit" if explicit else case.padding,
        tuple(itertools.chain(*case.padding)) if explicit else (0, 0, 0, 0),
        case.dilations,
        case.groups,
    )
    signs, alpha = composed.binarize_kernel(kernel, scaling, quantizers.get(ste))
    if input_ste is None:
        return composed.binary_conv2d(x, signs, alpha, window)
    return composed.binary_conv_input2d(x, signs, alpha, window, input_scaling, pad_value, quantizers.get(input_ste))


def fast_op(case, x, kernel, input_ste=None, **options):
    if input_ste is None:
        return ops.binary_conv2d(x, kernel, **case.window, **options)
    return ops.binary_conv_input2d(x, kernel, **case.window, input_ste=input_ste, **options)


def gradients(op, x, kernel, dy_of):
    inputs = [tf.constant(x), tf.constant(kernel)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = op(*inputs)
    return tape.gradient(y, inputs, output_gradients=dy_of(y))


def compare(case, rng, **options):
    x, kernel = tensors(rng, case.image, case.kernel_shape)
    dy = rng.normal(size=ops.binary_conv2d(x, kernel, **case.window).shape).astype(np.float32)
    expected = gradients(lambda a, b: composed_op(case, a, b, **options), x, kernel, lambda _: tf.constant(dy))
    actual = gradients(lambda a, b: fast_op(case, a, b, **options), x, kernel, lambda _: tf.constant(dy))
    for name, a, e in zip(("dx", "dkernel"), actual, expected, strict=True):
        # Sums in another order: float32 rounding of the largest value.
        np.testing.assert_allclose(a, e, 1e-5, 2e-6 * max(np.abs(e).max(), 1.0), err_msg=f"{name} of {case}, {options}")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float_input(case, rng):
    for scaling, ste in itertools.product(("channel", "tensor", "none"), ("identity", "clip")):
        compare(case, rng, scaling=scaling, ste=ste)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_binary_input(case, rng):
    for scaling, ste, input_ste in (
        ("channel", "identity", "clip"),
        ("tensor", "clip", "identity"),
        ("none", "clip", "clip"),
    ):
        for input_scaling, pad_value in ((True, 0), (True, -1), (False, 0), (False, 1)):
            options = {
                "scaling": scaling,
                "ste": ste,
                "input_ste": input_ste,
                "input_scaling": input_scaling,
                "pad_value": pad_value,
            }
            compare(case, rng, **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_quantizer_reaches_the_fast_forward(name, rng):
    case = DELIBERATE[5]
    compare(case, rng, ste=name)
    for other in ("identity", "clip", "approx_sign"):
        compare(case, rng, ste=name, input_ste=other)
        compare(case, rng, ste=other, input_ste=name)
    annealed = quantizers.Ede(0.7)
    compare(case, rng, ste=annealed, input_ste=annealed)


@pytest.mark.parametrize("name", ["identity", "clip", "reste", "magnitude_aware_sign"])
@pytest.mark.parametrize("binary_input", [False, True], ids=["float", "binary"])
def test_dense(name, binary_input, rng):
    x, kernel = tensors(rng, (7, 45), (45, 19))
    dy = rng.normal(size=(7, 19)).astype(np.float32)
    for scaling in ("channel", "tensor", "none"):

        def expected_op(x, kernel, scaling=scaling):
            signs, alpha = composed.binarize_kernel(kernel, scaling, quantizers.get(name))
            if not binary_input:
                return composed.binary_dense(x, signs, alpha)
            return composed.binary_dense_input(x, signs, alpha, True, quantizers.get(name))

        def actual_op(x, kernel, scaling=scaling):
            if not binary_input:
                return ops.binary_dense(x, kernel, scaling, name)
            return ops.binary_dense_input(x, kernel, scaling, name, input_ste=name)

        expected, actual = (gradients(op, x, kernel, lambda _: tf.constant(dy)) for op in (expected_op, actual_op))
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, e, 1e-5, 1e-5)


def test_against_the_oracle(rng):
    for case in CASES[::3]:
        x, kernel = tensors(rng, case.image, case.kernel_shape)
        y = ops.binary_conv_input2d(x, kernel, **case.window)
        dy = rng.normal(size=y.shape).astype(np.float32)
        actual = gradients(
            lambda a, b, case=case: fast_op(case, a, b, input_ste="clip"), x, kernel, lambda _, dy=dy: tf.constant(dy)
        )
        expected = oracle.conv2d_gradients(x, kernel, dy, **case.window, binary_input=True)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, e, 1e-4, 1e-5 * max(np.abs(e).max(), 1.0), err_msg=str(case))


def test_a_constant_scale_has_no_gradient(rng):
    """`scale_gradient = False`: only the sign's part is left."""
    x, kernel = tensors(rng, (2, 5, 5, 4), (3, 3, 4, 6))
    dy = rng.normal(size=(2, 5, 5, 6)).astype(np.float32)
    _, actual = gradients(
        lambda a, b: ops.binary_conv2d(a, b, ste="magnitude_aware_sign"), x, kernel, lambda _: tf.constant(dy)
    )
    _, expected = oracle.conv2d_gradients(x, kernel, dy, ste="clip", scale_gradient=False)
    np.testing.assert_allclose(actual, expected, 1e-4, 1e-5)


def test_finite_differences_of_the_float_input(rng):
    """BinaryConv2D is linear in x, so finite differences are exact up to rounding."""
    x, kernel = tensors(rng, (1, 4, 5, 3), (3, 2, 3, 4))
    theoretical, numerical = tf.test.compute_gradient(
        lambda x: ops.binary_conv2d(x, kernel, strides=(2, 1), dilations=(1, 2)), [x], 1e-1
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], 1e-3, 1e-3)


def test_finite_differences_of_the_input_scale(rng):
    """Away from 0, with the sign's own gradient off (|x| > 1, "clip"), BinaryConvInput2D depends on x by K alone."""
    x, kernel = tensors(rng, (1, 4, 5, 3), (3, 2, 3, 4))
    x = np.where(x >= 0, 2 + x, x - 2).astype(np.float32)
    theoretical, numerical = tf.test.compute_gradient(
        lambda x: ops.binary_conv_input2d(x, kernel, dilations=2), [x], 1e-1
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], 1e-3, 1e-3)


def test_finite_differences_of_alpha(rng):
    """With the kernel's own gradient off, y depends on it through alpha alone."""
    x, kernel = tensors(rng, (1, 4, 4, 2), (2, 2, 2, 3))
    kernel = np.where(kernel >= 0, 2 + kernel, kernel - 2).astype(np.float32)
    for scaling in ("channel", "tensor"):
        theoretical, numerical = tf.test.compute_gradient(
            lambda kernel, scaling=scaling: ops.binary_conv2d(x, kernel, scaling=scaling, ste="clip"), [kernel], 1e-1
        )
        np.testing.assert_allclose(theoretical[0], numerical[0], 1e-3, 1e-3)


def test_gradients_through_other_dtypes(rng):
    x, kernel = tensors(rng, (1, 4, 4, 3), (3, 3, 3, 2))
    inputs = [tf.constant(x, tf.float64), tf.constant(kernel, tf.float64)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = ops.binary_conv_input2d(*inputs)
    for gradient, value in zip(tape.gradient(y, inputs), inputs, strict=True):
        assert gradient.dtype == value.dtype
        assert np.isfinite(gradient).all()
