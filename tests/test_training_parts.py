"""What trainings are made of: losses, folds, precision and what other networks have learnt."""

import keras
import numpy as np
import pytest

from bnn_tf import data, layers, models, training
from bnn_tf.errors import ArgumentError
from bnn_tf.training import Recipe
from bnn_tf.training.arrays import array
from bnn_tf.training.batches import TrainingBatches
from bnn_tf.training.events import kernel_grid
from bnn_tf.training.losses import Accuracy, Crossentropy, class_weights, loss_of


@pytest.fixture(scope="module")
def digits():
    """A few of the digits."""
    full = data.load("digits")
    return data.Dataset(
        "digits", full.x_train[:60], full.y_train[:60], full.x_test[:30], full.y_test[:30], tuple("0123456789")
    )


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


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class TestLosses:
    def test_distillation_and_smoothing_by_their_formula(self, rng):
        z, t = rng.normal(size=(7, 5)).astype(np.float32), 3 * rng.normal(size=(7, 5)).astype(np.float32)
        labels = rng.integers(0, 5, 7)
        temperature, mix, smoothing = 3.0, 0.7, 0.1
        targets = (1 - smoothing) * np.eye(5)[labels] + smoothing / 5
        hard = -(targets * np.log(softmax(z))).sum(axis=1)
        p, q = softmax(t / temperature), softmax(z / temperature)
        soft = (p * np.log(p / q)).sum(axis=1)
        loss = Crossentropy(smoothing, temperature, mix)
        found = float(loss(np.column_stack([labels, t]), z))
        assert found == pytest.approx(np.mean((1 - mix) * hard + mix * temperature**2 * soft), rel=1e-5)
        assert float(loss(labels, z)) == pytest.approx(hard.mean(), rel=1e-5)  # evaluation has no teacher
        assert float(loss(labels[:, None], z)) == pytest.approx(hard.mean(), rel=1e-5)

    def test_a_teacher_that_says_the_same_adds_nothing(self, rng):
        z, labels = rng.normal(size=(4, 3)).astype(np.float32), np.array([0, 1, 2, 0])
        assert float(Crossentropy(0, 4.0, 1.0)(np.column_stack([labels, z]), z)) == pytest.approx(0, abs=1e-6)

    def test_keras_own_where_that_serves(self):
        assert type(loss_of(Recipe())) is keras.losses.SparseCategoricalCrossentropy

    def test_saved(self):
        loss = Crossentropy(0.1, 2.0, 0.3)
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert (copy.label_smoothing, copy.temperature, copy.mix) == (0.1, 2.0, 0.3)

    def test_accuracy_looks_at_the_label_only(self):
        metric = Accuracy()
        metric.update_state(np.array([[1.0, 9.0, 0.0], [0.0, 0.0, 9.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]))
        assert float(array(metric.result())) == 0.5


class TestClassWeights:
    def test_balanced_is_one_over_the_number_of_images(self):
        labels = np.array([0] * 6 + [1] * 3 + [2])
        weights = class_weights(labels, 3, "balanced")
        np.testing.assert_allclose(weights * [6, 3, 1], weights[2])  # proportional to 1/count
        assert weights[labels].mean() == pytest.approx(1)

    def test_as_given(self):
        assert class_weights(np.array([0, 1]), 2, (0.5, 3.0)).tolist() == [0.5, 3.0]
        assert class_weights(np.array([0, 1]), 2, None) is None

    def test_a_class_without_images(self):
        assert class_weights(np.array([0, 2]), 3, "balanced").tolist() == [1, 0, 1]

    @pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (1.0, 2.0, 3.0)])
    def test_mistakes(self, weights):
        with pytest.raises(ArgumentError, match="must be 2 numbers, one for each class, none negative"):
            class_weights(np.array([0, 1]), 2, weights)

    def test_each_image_has_that_of_its_class(self, digits):
        weights = np.arange(10, dtype=np.float32)
        _, labels, found = TrainingBatches(digits, 16, weights=weights)[0]
        np.testing.assert_array_equal(found, labels)


class TestTeacher:
    def test_its_logits_stand_beside_the_labels(self, digits):
        teacher = network()
        for augment in ((), ("flip:1",)):
            x, targets = TrainingBatches(digits, 16, seed=3, augment=augment, teacher=teacher)[1]
            _, labels = digits.batches("train", 16, seed=3)[1]
            np.testing.assert_array_equal(targets[:, 0], labels)
            np.testing.assert_allclose(targets[:, 1:], teacher.predict_on_batch(x), atol=1e-5)

    def test_of_other_classes(self, digits):
        teacher = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        with pytest.raises(ArgumentError, match="tells 3 classes apart, and digits has 10"):
            TrainingBatches(digits, 16, teacher=teacher)


class TestFolds:
    def test_disjoint_complete_and_stratified(self, rng):
        labels = rng.permutation(np.repeat(np.arange(4), [40, 20, 13, 7]))
        folds = training.stratified_folds(labels, 5, seed=1)
        held = np.concatenate([held_out for _, held_out in folds])
        np.testing.assert_array_equal(np.sort(held), np.arange(len(labels)))
        for chosen, held_out in folds:
            np.testing.assert_array_equal(np.sort(np.concatenate([chosen, held_out])), np.arange(len(labels)))
            counts = np.bincount(labels[held_out], minlength=4)
            assert (np.abs(counts - np.array([40, 20, 13, 7]) / 5) < 1).all()

    def test_the_seed_decides(self):
        labels = np.arange(40) % 4
        first, again, other = (training.stratified_folds(labels, 2, seed)[0][1].tolist() for seed in (0, 0, 1))
        assert first == again != other

    @pytest.mark.parametrize("folds", [1, 4])
    def test_mistakes(self, folds):
        with pytest.raises(ArgumentError, match=f"at most the 3 images of the smallest class. Got {folds}"):
            training.stratified_folds(np.array([0, 0, 0, 1, 1, 1]), folds)

    def test_the_best_fold_is_tested(self, digits, tmp_path):
        result = training.cross_validate(network, digits, 2, Recipe(1, 16), out=tmp_path)
        assert result.best == int(np.argmax(result.accuracies))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["fold1", "fold2"]
        best = keras.models.load_model(tmp_path / f"fold{result.best + 1}" / "last.keras")
        chosen, _ = training.stratified_folds(digits.y_train, 2)[result.best]
        mean, deviation = digits.x_train[chosen].mean(), digits.x_train[chosen].std()
        logits = best.predict((digits.x_test - mean) / deviation, verbose=0)
        assert result.test.accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == digits.y_test))


class TestTransfer:
    def test_warm_start_takes_what_fits_and_says_what_does_not(self, tmp_path):
        twin, model = (
            models.lenet("float", input_shape=(8, 8, 1), width=0.1, seed=5),
            models.lenet("bwn", input_shape=(8, 8, 1), width=0.1),
        )
        twin.save(tmp_path / "twin.keras")
        report = training.warm_start(model, tmp_path / "twin.keras")
        for name in ("conv1", "conv2", "dense1", "logits"):
            assert f"{name}/kernel" in report.taken
            np.testing.assert_array_equal(array(model.get_layer(name).kernel), array(twin.get_layer(name).kernel))
        assert "conv2/bias" in report.unused and "conv2_bn/gamma" in report.missing and report.mismatched == ()
        assert f"{len(report.taken)} weights taken; not in the source: " in str(report)

    def test_other_shapes_are_left_out(self):
        report = training.warm_start(network(8), network(4))
        assert set(report.taken) == {"logits/bias"} and "first/kernel" in report.mismatched

    def test_nothing_fits(self):
        stranger = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="alien")])
        with pytest.raises(ArgumentError, match=r"has no weight of .* under the same name and in the same shape"):
            training.warm_start(network(), stranger)

    def test_a_file_that_is_no_model(self, tmp_path):
        (tmp_path / "model.keras").write_bytes(b"nothing")
        with pytest.raises(training.ModelFileError, match="can't be loaded as a Keras model"):
            training.load_model(tmp_path / "model.keras")

    @pytest.mark.parametrize(("at", "value"), [(6, 1), (8, 99)], ids=["encrypted", "compressed in an unknown way"])
    def test_a_model_whose_archive_can_not_be_read(self, tmp_path, at, value):
        path = tmp_path / "model.keras"
        network().save(path)
        content = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # of each entry, and in the directory
            place = content.find(signature)
            while place >= 0:
                content[place + offset + at] = value
                place = content.find(signature, place + 4)
        path.write_bytes(content)
        with pytest.raises(training.ModelFileError, match="can't be loaded as a Keras model"):
            training.load_model(path)

    def test_a_new_head_on_a_trained_body(self):
        body = models.resnet_cifar("bwn", n=1, width=0.25)
        before = [array(v) for v in body.weights]
        model = training.new_head(body, classes=3, seed=1)
        x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
        assert model(x).shape == (2, 3)
        pooled = [keras.Model(m.input, m.get_layer("pool").output)(x) for m in (body, model)]
        np.testing.assert_array_equal(*map(array, pooled))
        model.get_layer("conv1").kernel.assign_add(1.0 + 0 * model.get_layer("conv1").kernel)
        assert all((array(v) == old).all() for v, old in zip(body.weights, before, strict=True))

    def test_a_head_that_is_a_convolution(self):
        assert training.new_head(models.nin(width=0.1), classes=4).output_shape == (None, 4)

    def test_no_head(self):
        with pytest.raises(ArgumentError, match=r"must be a dense layer or a convolution. It is BatchNormalization"):
            training.new_head(keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()]), 2)

    def test_frozen_layers_stay(self, digits):
        model = network()
        before = {v.path: array(v) for v in model.weights}
        training.train(model, digits, Recipe(1, 16, frozen=("first", "bn", "binary")))
        moved = {v.path for v in model.weights if (array(v) != before[v.path]).any()}
        assert moved == {"net/logits/kernel", "net/logits/bias"}

    def test_frozen_mistakes(self):
        with pytest.raises(ArgumentError, match=r"`frozen`: no layer of .* matches 'conv"):
            training.freeze_layers(network(), ["conv*"])
        with pytest.raises(ArgumentError, match=r"leaves nothing of .* to train"):
            training.freeze_layers(network(), ["*"])


class TestPrecision:
    def test_layers_follow_and_kernels_stay(self):
        with training.precision("mixed_float16"):
            model = network()
        assert keras.config.dtype_policy().name == "float32"
        assert model.get_layer("first").compute_dtype == "float16"
        assert {str(keras.backend.standardize_dtype(v.dtype)) for v in model.weights} == {"float32"}

    def test_trains_with_scaled_loss(self, digits):
        with training.precision("mixed_float16"):
            model = network()
        recipe = Recipe(3, 16, 0.01, binary_optimizer="bop", schedule="plateau")
        history = training.train(model, digits, recipe).history
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert history["loss"][-1] < history["loss"][0]

    def test_mistakes(self):
        with pytest.raises(ArgumentError, match="Unknown precision 'float16'"), training.precision("float16"):
            pass


def test_kernel_grid():
    kernel = np.zeros((3, 3, 3, 5), np.float32)
    kernel[..., 4] = 1
    grid = kernel_grid(kernel)
    assert grid.shape == (2 * 4 * 8, 3 * 4 * 8, 3)
    assert (grid[32:56, 32:56] == 255).all() and grid[:32].max() == 0
