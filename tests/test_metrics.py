"""The figures of a confusion matrix: those of scikit-learn on random and on degenerate cases, and the rules beyond."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from bnn_tf.training.metrics import FIGURES, ClassMetrics, Confusion, confusion_matrix, top_k_right

RANDOM = [(classes, images) for classes in (2, 3, 7, 10, 100) for images in (1, 5, 64, 1000)]


def with_scikit_learn(labels, predictions, classes):
    """Accuracy, precision and recall of each class as scikit-learn has them."""
    everything = list(range(classes))
    precision, recall, _, images = sklearn_metrics.precision_recall_fscore_support(
        labels, predictions, labels=everything, zero_division=0
    )
    one_against_all = sklearn_metrics.multilabel_confusion_matrix(labels, predictions, labels=everything)
    accuracy = np.array([np.trace(two_by_two) / two_by_two.sum() for two_by_two in one_against_all])
    return accuracy, precision, recall, images


def check(labels, predictions, classes):
    metrics = ClassMetrics(confusion_matrix(labels, predictions, classes))
    everything = list(range(classes))
    assert np.array_equal(metrics.matrix, sklearn_metrics.confusion_matrix(labels, predictions, labels=everything))
    assert metrics.overall_accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, predictions), rel=1e-15)
    *figures, images = with_scikit_learn(labels, predictions, classes)
    present = images > 0
    assert np.array_equal(metrics.images, images)
    for name, expected in zip(("accuracy", "precision", "recall"), figures, strict=True):
        found = getattr(metrics, name)
        np.testing.assert_allclose(found[present], expected[present], rtol=1e-15)
        assert np.isnan(found[~present]).all()
        assert metrics.averages[name] == pytest.approx(expected[present].mean(), rel=1e-14)
    precision, recall, _, _ = sklearn_metrics.precision_recall_fscore_support(
        labels, predictions, labels=np.flatnonzero(present), average="macro", zero_division=0
    )
    assert (metrics.averages["precision"], metrics.averages["recall"]) == pytest.approx((precision, recall), rel=1e-14)
    return metrics


class TestAgainstScikitLearn:
    @pytest.mark.parametrize(("classes", "images"), RANDOM)
    def test_random(self, rng, classes, images):
        labels = rng.integers(classes, size=images)
        guesses = np.where(rng.random(images) < 0.6, labels, rng.integers(classes, size=images))
        check(labels, guesses, classes)

    @pytest.mark.parametrize(
        ("labels", "predictions"),
        [
            ([0, 1, 2, 3], [0, 1, 2, 3]),
            ([0, 1, 2, 3], [1, 2, 3, 0]),
            ([0, 0, 1, 1], [2, 2, 2, 2]),
            ([3, 3, 3], [3, 3, 3]),
            ([0, 1, 1], [1, 1, 1]),
            ([2], [1]),
        ],
        ids=["all right", "all wrong", "says what never occurs", "one class", "never says 0", "one image"],
    )
    def test_degenerate(self, labels, predictions):
        check(labels, predictions, classes=4)

    @pytest.mark.parametrize("classes", [6, 10, 100])
    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_top_k(self, rng, classes, k):
        scores = rng.normal(size=(200, classes)).astype(np.float32)
        labels = rng.integers(classes, size=200)
        expected = sklearn_metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(classes))
        assert np.mean(top_k_right(labels, scores, k)) == expected


class TestRules:
    """What scikit-learn leaves to its caller."""

    def test_a_class_without_images_has_no_figures(self):
        metrics = ClassMetrics(confusion_matrix([0, 0, 1, 1], [0, 2, 1, 1], classes=4))
        for absent in (2, 3):  # one that is predicted, one that isn't
            assert all(math.isnan(getattr(metrics, name)[absent]) for name in FIGURES)
        assert metrics.recall[0] == 0.5  # the prediction of 2 is still a mistake
        assert metrics.averages["recall"] == 0.75
        assert sorted(metrics.best()) == sorted(metrics.worst()) == [0, 1]

    def test_a_class_that_is_never_predicted_has_no_precision(self):
        metrics = ClassMetrics(confusion_matrix([0, 1, 1, 1], [1, 1, 1, 1], classes=2))
        assert (metrics.precision[0], metrics.recall[0], metrics.bcr[0]) == (0, 0, 0)
        assert metrics.score[0] == 0.75 / 4

    def test_bcr_and_score(self, rng):
        metrics = ClassMetrics(confusion_matrix(rng.integers(5, size=99), rng.integers(5, size=99), 5))
        np.testing.assert_allclose(metrics.bcr, (metrics.precision + metrics.recall) / 2, rtol=1e-15)
        four = [metrics.accuracy, metrics.precision, metrics.recall, metrics.bcr]
        np.testing.assert_allclose(metrics.score, np.mean(four, axis=0), rtol=1e-15)

    def test_best_and_worst(self):
        labels = np.repeat(np.arange(12), 12)
        predictions = labels.copy()
        for label in range(12):  # class n has n mistakes, all of them taken for class 0
            predictions[label * 12 : label * 12 + label] = 0
        metrics = ClassMetrics(confusion_matrix(labels, predictions, 12))
        assert metrics.best() == [1, 2, 3, 4, 5]
        assert metrics.worst(4) == [0, 11, 10, 9]  # a class that all others are taken for has little precision
        assert list(metrics.score[metrics.best(12)]) == sorted(metrics.score, reverse=True)

    def test_confusions(self):
        matrix = np.array([[8, 2, 0], [0, 4, 1], [3, 0, 7]])
        assert ClassMetrics(matrix).confusions() == [
            Confusion(2, 0, 3, 0.3),
            Confusion(0, 1, 2, 0.2),
            Confusion(1, 2, 1, 0.2),
        ]
        assert ClassMetrics(matrix).confusions(1) == [Confusion(2, 0, 3, 0.3)]
        assert ClassMetrics(np.eye(3, dtype=np.int64)).confusions() == []

    def test_equal_scores_count_once(self):
        scores = np.zeros((3, 3))
        assert [np.mean(top_k_right([0, 1, 2], scores, k)) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
        assert top_k_right([2, 1], [[3.0, 2.0, 1.0]] * 2, k=5).all()
        assert list(top_k_right([0, 1, 2], scores, 1)) == list(scores.argmax(axis=1) == [0, 1, 2])

    @pytest.mark.parametrize(
        ("labels", "predictions", "message"),
        [
            ([0, 1], [0], r"as many predictions as labels, .* Got the shapes \(1,\) and \(2,\)"),
            ([[0, 1]], [[0, 1]], "each in one dimension"),
            ([0, 3], [0, 1], r"`labels` must lie in 0\.\.2\. Got 3\."),
            ([0, 1], [0, -1], r"`predictions` must lie in 0\.\.2\. Got -1\."),
        ],
        ids=["lengths", "dimensions", "label", "prediction"],
    )
    def test_mistakes(self, labels, predictions, message):
        with pytest.raises(ValueError, match=message):
            confusion_matrix(labels, predictions, classes=3)
