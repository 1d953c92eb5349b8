"""How fast weights move: schedules, optimizers in groups, and Bop."""

import keras
import numpy as np
import pytest

from bnn_tf import layers, training
from bnn_tf.errors import ArgumentError
from bnn_tf.training import Recipe
from bnn_tf.training.arrays import array
from bnn_tf.training.losses import loss_of
from bnn_tf.training.optimizers import Grouped, leaves, make_optimizer
from bnn_tf.training.plateau import Plateau
from bnn_tf.training.schedules import WarmUp, rate_of


def network(width=8):
    """A float layer, a binary one and a last one, with a normalisation between."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(width, name="first"),
            keras.layers.BatchNormalization(name="bn"),
            layers.BinaryDense(width, use_bias=False, name="binary"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="net",
    )


def rates(recipe, steps_per_epoch, steps):
    rate = rate_of(recipe, steps_per_epoch)
    return [float(array(rate(step))) if callable(rate) else rate for step in steps]


class TestSchedules:
    def test_the_student_report_in_steps(self):
        recipe = Recipe(epochs=49, schedule="0:0.1,14:0.02,29:0.004,39:0.0008")
        at = {0: 0.1, 13: 0.1, 14: 0.02, 28: 0.02, 29: 0.004, 38: 0.004, 39: 0.0008, 48: 0.0008}
        first = rates(recipe, 10, [epoch * 10 for epoch in at])
        last = rates(recipe, 10, [epoch * 10 + 9 for epoch in at])
        np.testing.assert_allclose(first, list(at.values()), rtol=1e-6)
        np.testing.assert_allclose(last, list(at.values()), rtol=1e-6)
        assert recipe.peak == 0.1

    def test_cosine(self):
        found = rates(Recipe(epochs=4, learning_rate=0.2), 5, range(21))
        np.testing.assert_allclose(found, [0.1 * (1 + np.cos(np.pi * step / 20)) for step in range(21)], atol=1e-7)

    def test_constant(self):
        assert rates(Recipe(schedule="constant", learning_rate=0.3), 5, [0, 100]) == [0.3, 0.3]

    @pytest.mark.parametrize("schedule", ["constant", "cosine", "0:0.2,1:0.05"])
    def test_warm_up_rises_in_front_of_any(self, schedule):
        cold = rates(Recipe(epochs=4, learning_rate=0.2, schedule=schedule), 4, range(16))
        warm = rates(Recipe(epochs=4, learning_rate=0.2, schedule=schedule, warmup_epochs=1.5), 4, range(16))
        rise = np.minimum((np.arange(16) + 1) / 6, 1)
        np.testing.assert_allclose(warm, cold * rise, rtol=1e-6)

    def test_warm_up_is_saved_with_its_schedule(self):
        schedule = WarmUp(keras.optimizers.schedules.CosineDecay(0.1, 50), 7)
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
        assert float(copy(3)) == float(schedule(3)) and float(copy(30)) == float(schedule(30))

    def test_plateau(self):
        model = network()
        model.compile(make_optimizer(model, Recipe(schedule="plateau", weight_decay=0.1), 1), "mse")
        plateau = Plateau(patience=2, factor=0.5, warmup_epochs=2)
        plateau.set_model(model)
        plateau.set_rates([0.1, 0.2])
        seen = []
        for epoch, loss in enumerate([5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0]):
            plateau.on_epoch_begin(epoch)
            seen.append([float(array(leaf.learning_rate)) for leaf in leaves(model.optimizer)])
            plateau.on_epoch_end(epoch, {"val_loss": loss})
        expected = np.array([0.5, 1, 1, 1, 0.5, 0.5, 0.5, 0.25])[:, None] * [0.1, 0.2]
        np.testing.assert_allclose(seen, expected, rtol=1e-6)

    @pytest.mark.parametrize(
        ("schedule", "message"),
        [
            ("cosin", "Unknown schedule 'cosin'. Did you mean cosine"),
            ("0:0.1,x:2", "a list of epoch:rate"),
            ("1:0.1", "must rise from 0"),
            ("0:0.1,5:0.2,5:0.1", "must rise from 0"),
            ("0:0.1,5:0", "rates of a step schedule must be positive"),
        ],
    )
    def test_mistakes(self, schedule, message):
        with pytest.raises(ArgumentError, match=message):
            Recipe(schedule=schedule)


class TestRecipe:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"optimizer": "adm"}, "Unknown optimizer 'adm'. Did you mean adam"),
            ({"optimizer": "bop"}, "Unknown optimizer 'bop'"),
            ({"binary_optimizer": "bopp"}, "Did you mean bop"),
            ({"class_weights": "balance"}, "Did you mean balanced"),
            ({"label_smoothing": 1.0}, "`label_smoothing` must lie in 0..1, below 1"),
            ({"mix": 1.5}, "`mix` must lie in 0..1"),
            ({"weight_decay": -1}, "`weight_decay` can't be negative"),
            ({"plateau_factor": 1}, "`plateau_factor` must lie between 0 and 1"),
            ({"early_stopping": 0}, "`early_stopping` must be positive, or None"),
        ],
    )
    def test_mistakes(self, options, message):
        with pytest.raises(ArgumentError, match=message):
            Recipe(**options)


class TestOptimizers:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            # Two steps with the gradient 1 from the weight 0, rate 0.1; by the papers' formulas.
            ("sgd", -0.2),
            ("momentum", -(0.1 + 0.1 * 1.9)),
            ("nesterov", -(0.1 * 1.9 + 0.1 * (1 + 0.9 * 1.9))),
            ("adam", -0.2),
            ("adamw", -0.2),
            ("adadelta", None),
        ],
    )
    def test_two_steps(self, name, expected):
        if expected is None:
            rho, epsilon, mean, moved, expected = 0.95, 1e-7, 0.0, 0.0, 0.0
            for _ in range(2):
                mean = rho * mean + (1 - rho)
                step = np.sqrt(moved + epsilon) / np.sqrt(mean + epsilon)
                moved = rho * moved + (1 - rho) * step**2
                expected -= 0.1 * step
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros", name="dense")])
        optimizer = make_optimizer(model, Recipe(optimizer=name, learning_rate=0.1, schedule="constant"), 1)
        for _ in range(2):
            optimizer.apply([np.ones((1, 1), np.float32), np.ones(1, np.float32)])
        np.testing.assert_allclose(array(model.trainable_variables[0]), [[expected]], rtol=1e-3)

    def test_one_optimizer_where_all_are_treated_alike(self):
        assert type(make_optimizer(network(), Recipe(), 1)) is keras.optimizers.Adam

    def test_weight_decay_spares_binary_kernels_biases_and_normalisations(self):
        model = network()
        recipe = Recipe(optimizer="sgd", learning_rate=0.5, schedule="constant", weight_decay=0.1)
        before = {v.path: array(v) for v in model.trainable_variables}
        optimizer = make_optimizer(model, recipe, 1)
        optimizer.apply([np.zeros(v.shape, np.float32) for v in model.trainable_variables])
        for variable in model.trainable_variables:
            shrinks = variable.path in ("net/first/kernel", "net/logits/kernel")
            np.testing.assert_allclose(array(variable), before[variable.path] * (0.95 if shrinks else 1), rtol=1e-6)

    def test_latent_kernels_have_their_own(self):
        model = network()
        optimizer = make_optimizer(model, Recipe(binary_optimizer="bop", weight_decay=1e-4), 1)
        by_class = {type(leaf).__name__: leaf for leaf in leaves(optimizer) if isinstance(leaf, training.Bop)}
        assert [v.path for v in by_class["Bop"]._trainable_variables] == ["net/binary/kernel"]
        assert float(array(by_class["Bop"].learning_rate)) == pytest.approx(1e-4)

    def test_layer_rates(self):
        model = network()
        recipe = Recipe(
            optimizer="sgd", learning_rate=1e-3, schedule="constant", layer_rates={"logits": 10.0, "b*": 0.0}
        )
        before = {v.path: array(v) for v in model.trainable_variables}
        make_optimizer(model, recipe, 1).apply([np.ones(v.shape, np.float32) for v in model.trainable_variables])
        moved = {v.path: before[v.path] - array(v) for v in model.trainable_variables}
        for path, step in moved.items():
            rate = {"logits": 1e-2, "first": 1e-3}.get(path.split("/")[1], 0.0)
            np.testing.assert_allclose(step, rate, atol=1e-6)

    def test_an_unknown_layer(self):
        with pytest.raises(ArgumentError, match=r"no layer of .* matches 'head'. It has first, bn, binary, logits"):
            make_optimizer(network(), Recipe(layer_rates={"head": 10.0}), 1)

    def test_saved_with_its_state(self, tmp_path):
        model = network()
        recipe = Recipe(binary_optimizer="bop", layer_rates={"logits": 10.0}, warmup_epochs=1)
        model.compile(make_optimizer(model, recipe, 10), loss_of(recipe))
        x, y = np.random.default_rng(0).normal(size=(16, 8, 8, 1)), np.arange(16) % 10
        model.train_on_batch(x, y)
        model.save(tmp_path / "model.keras")
        copy = keras.models.load_model(tmp_path / "model.keras")
        assert isinstance(copy.optimizer, Grouped) and float(array(copy.optimizer.learning_rate)) > 0
        own, other = model.optimizer.variables, copy.optimizer.variables
        assert len(own) == len(other) > 15
        for mine, loaded in zip(own, other, strict=True):
            np.testing.assert_array_equal(array(mine), array(loaded))
        # and so both take the same next step
        model.train_on_batch(x, y)
        copy.train_on_batch(x, y)
        for mine, loaded in zip(model.weights, copy.weights, strict=True):
            np.testing.assert_array_equal(array(mine), array(loaded))


class TestBop:
    def test_flips_as_in_the_paper(self):
        gamma, threshold = 0.3, 0.05
        random = np.random.default_rng(0)
        weights = random.choice([-1.0, 1.0], 50).astype(np.float32)
        variable = keras.Variable(weights)
        optimizer = training.Bop(gamma, threshold)
        average, flips = np.zeros(50, np.float32), 0
        for _ in range(20):
            gradient = random.normal(scale=0.2, size=50).astype(np.float32)
            optimizer.apply([gradient], [variable])
            average = (1 - gamma) * average + gamma * gradient
            flipping = (np.abs(average) > threshold) & (np.sign(average) == np.sign(weights))
            weights = np.where(flipping, -weights, weights)
            flips += flipping.sum()
            np.testing.assert_array_equal(array(variable), weights)
        assert flips > 20

    def test_config(self):
        copy = training.Bop.from_config(training.Bop(0.01, 1e-6).get_config())
        assert copy.threshold == 1e-6 and float(array(copy.learning_rate)) == pytest.approx(0.01)
