"""Every quantizer: an exact sign forwards, its formula backwards, in and out of a config."""

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf

from bnn_tf import quantizers

U = np.array(
    [-np.inf, -3, -1.5, -1.0001, -1, -0.7, -0.05, -1e-30, -0.0, 0.0, 1e-30, 0.05, 0.3, 1, 1.0001, 1.6, np.inf],
    np.float32,
)
FINITE = U[np.isfinite(U)]


def pseudo_gradients():
    """The papers' formulas, in float64."""
    u = FINITE.astype(np.float64)
    a = np.abs(u)
    t, k = 0.1 * 100**0.25, 1 / (0.1 * 100**0.25)
    o, m = 2.0, 0.1
    return {
        "identity": (quantizers.Identity(), np.ones_like(u)),
        "ste_sign": (quantizers.SteSign(), a <= 1),
        "approx_sign": (quantizers.ApproxSign(), np.where(a <= 1, 2 - 2 * a, 0)),
        "swish_sign": (quantizers.SwishSign(2.0), 2 * (2 - 2 * u * np.tanh(u)) / (1 + np.cosh(2 * u))),
        "magnitude_aware_sign": (quantizers.MagnitudeAwareSign(), a <= 1),
        "ede": (quantizers.Ede(0.25), k * t * (1 - np.tanh(t * u) ** 2)),
        "reste": (
            quantizers.ReSte(0.5),
            np.where(a > 1.5, 0, np.where(a < m, m ** (1 / o) / m, np.maximum(a, m) ** ((1 - o) / o) / o)),
        ),
    }


@pytest.mark.parametrize("name", quantizers.names())
def test_the_sign_is_exact(name):
    quantizer = quantizers.get(name)
    np.testing.assert_array_equal(quantizer.sign(U), oracle.sign(U))
    np.testing.assert_array_equal(quantizer.sign(np.array([np.nan], np.float32)), [-1])
    traced = tf.function(quantizer.sign)
    np.testing.assert_array_equal(traced(U), oracle.sign(U))


@pytest.mark.parametrize("name", quantizers.names())
def test_the_pseudo_gradient_is_the_papers(name):
    quantizer, expected = pseudo_gradients()[name]
    np.testing.assert_allclose(quantizer.pseudo_gradient(tf.constant(FINITE)), expected, 1e-5, 1e-6)
    assert np.isfinite(quantizer.pseudo_gradient(tf.constant(U))).all()


@pytest.mark.parametrize("name", quantizers.names())
def test_autodiff_uses_the_pseudo_gradient(name):
    quantizer = quantizers.get(name)
    u, dy = tf.Variable(FINITE), np.arange(len(FINITE), dtype=np.float32)

    def gradient():
        with tf.GradientTape() as tape:
            y = quantizer.sign(tf.convert_to_tensor(u))
        return tape.gradient(y, u, output_gradients=tf.constant(dy))

    expected = dy * np.asarray(quantizer.pseudo_gradient(tf.constant(FINITE)))
    for run in (gradient, tf.function(gradient)):
        np.testing.assert_allclose(run(), expected, 1e-6)


@pytest.mark.parametrize("name", quantizers.names())
def test_config_round_trip(name):
    quantizer = pseudo_gradients()[name][0]
    for copy in (quantizers.get(quantizers.serialize(quantizer)), type(quantizer).from_config(quantizer.get_config())):
        assert type(copy) is type(quantizer)
        assert copy.get_config() == quantizer.get_config()
    assert quantizers.serialize(quantizers.get(name)) == name


def test_names_and_aliases():
    assert quantizers.names() == [
        "identity",
        "ste_sign",
        "approx_sign",
        "swish_sign",
        "magnitude_aware_sign",
        "ede",
        "reste",
    ]
    assert isinstance(quantizers.get("clip"), quantizers.SteSign)
    assert isinstance(quantizers.get(None), quantizers.Identity)
    mine = quantizers.ApproxSign()
    assert quantizers.get(mine) is mine


@pytest.mark.parametrize(
    "identifier", ["sign", 3, {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}]
)
def test_an_unknown_quantizer_lists_the_names(identifier):
    with pytest.raises(ValueError, match=r'Unknown quantizer .*Expected one of "identity", "ste_sign", .*"clip"'):
        quantizers.get(identifier)


def test_magnitude_aware_sign_scales_and_holds_the_scale_constant(rng):
    w = tf.Variable(rng.normal(size=(3, 3, 4, 5)).astype(np.float32))
    quantizer = quantizers.MagnitudeAwareSign()
    alpha = np.abs(w.numpy()).mean((0, 1, 2))
    with tf.GradientTape() as tape:
        y = quantizer(tf.convert_to_tensor(w))
    np.testing.assert_allclose(y, oracle.sign(w.numpy()) * alpha, 1e-6)
    np.testing.assert_allclose(tape.gradient(y, w), (np.abs(w.numpy()) <= 1) * alpha, 1e-6)


def test_a_quantizer_of_ones_own(rng):
    @keras.saving.register_keras_serializable(package="test")
    class Triangle(quantizers.Quantizer):
        name = "triangle"

        def pseudo_gradient(self, u):
            return keras.ops.maximum(1 - keras.ops.abs(u), 0)

    assert isinstance(quantizers.get(quantizers.serialize(Triangle())), Triangle)
    with pytest.raises(NotImplementedError, match="must override `pseudo_gradient`"):
        quantizers.Quantizer().pseudo_gradient(U)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: quantizers.SwishSign(0), "`beta` must be positive. Got beta=0"),
        (lambda: quantizers.Ede(t_min=2, t_max=1), "expected 0 < t_min <= t_max. Got t_min=2 and t_max=1"),
        (lambda: quantizers.ReSte(o_end=0.5), "expected o_end >= 1"),
        (lambda: quantizers.Ede(1.5), r"`progress` must lie in 0..1. Got progress=1.5"),
        (lambda: quantizers.Anneal(0), "`epochs` must be at least 1. Got epochs=0"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_annealing_reaches_a_compiled_function():
    quantizer = quantizers.Ede()
    function = tf.function(quantizer.pseudo_gradient)
    u = tf.constant([0.5])
    before = function(u).numpy()
    quantizer.progress = 1.0
    np.testing.assert_allclose(function(u), 10 * (1 - np.tanh(5.0) ** 2), 1e-3)
    assert function(u).numpy() != before


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_callback_runs_from_0_to_1(epochs):
    from bnn_tf import layers

    seen = []
    model = keras.Sequential(
        [keras.Input((4,)), layers.BinaryDense(2, ste="ede"), layers.BinaryDenseInput(2, input_ste="reste")]
    )
    model.compile("sgd", "mse")
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append([layer.variables[-1].numpy() for layer in model.layers])
    )
    model.fit(np.ones((4, 4)), np.ones((4, 2)), epochs=epochs, verbose=0, callbacks=[quantizers.Anneal(), watch])
    np.testing.assert_allclose(seen, np.linspace(0, 1, epochs)[:, None] * [1, 1], 1e-6)
