"""Batches: their order, their shards, resuming, and the same ones through tf.data."""

import numpy as np
import pytest

from bnn_tf import data
from bnn_tf.data.pipeline import epoch_order


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def joined(batches):
    pairs = list(batches)
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


def assert_same(one, other):
    for (x, y), (other_x, other_y) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


def test_an_epoch_has_each_image_once(digits):
    batches = digits.batches("train", 100, seed=5)
    assert len(batches) == 12 and [len(y) for _, y in batches] == [100] * 11 + [98]
    chosen = np.concatenate([batches.indices(step) for step in range(12)])
    assert sorted(chosen.tolist()) == list(range(1198)) and chosen.tolist() != sorted(chosen.tolist())
    x, y = joined(batches)
    np.testing.assert_array_equal(x, digits.normalize(digits.x_train[chosen]))
    np.testing.assert_array_equal(y, digits.y_train[chosen])
    assert x.dtype == np.float32 and y.dtype == np.int64


def test_seed_and_epoch_decide_the_order():
    assert np.array_equal(epoch_order(50, 3, 4), epoch_order(50, 3, 4))
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_the_test_part_is_in_order(digits):
    x, y = joined(digits.batches("test", 100, seed=5))
    np.testing.assert_array_equal(y, digits.y_test)
    np.testing.assert_array_equal(x, digits.normalize(digits.x_test))
    shuffled = joined(digits.batches("test", 100, seed=5, shuffle=True))[1]
    assert not np.array_equal(shuffled, y) and np.array_equal(np.sort(shuffled), np.sort(y))


def test_resuming_in_the_middle_of_an_epoch(digits):
    options = {"seed": 2, "epoch": 7, "augment": "crop:1,rotation:10"}
    whole = list(digits.batches("train", 128, **options))
    assert_same(whole[4:], digits.batches("train", 128, **options).from_step(4))
    assert_same(whole[3:5], digits.batches("train", 128, **options)[3:5])
    assert_same([whole[-1]], [digits.batches("train", 128, **options)[-1]])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_are_disjoint_and_complete(digits, count):
    whole = digits.batches("train", 100, seed=1, epoch=2)
    shards = [digits.batches("train", 100, seed=1, epoch=2, shard=(index, count)) for index in range(count)]
    for step in range(len(whole)):
        parts = [shard.indices(step) for shard in shards]
        assert sorted(np.concatenate(parts)) == sorted(whole.indices(step))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert {len(shard) for shard in shards} == {len(whole)}


def test_an_image_looks_the_same_in_every_shard(digits):
    augment = "crop:1,rotation:30,blur"
    whole = digits.batches("train", 64, seed=1, augment=augment)
    shard = digits.batches("train", 64, seed=1, augment=augment, shard=(1, 2))
    np.testing.assert_array_equal(whole[3][0][1::2], shard[3][0])


def test_drop_remainder(digits):
    batches = digits.batches("train", 100, drop_remainder=True)
    assert len(batches) == 11 and {len(y) for _, y in batches} == {100}


def test_a_loop_that_is_left(digits):
    for x, _ in digits.batches("train", 10):
        assert x.shape == (10, 8, 8, 1)
        break


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"seed": -1}, "`seed` and `epoch` must be at least 0. Got -1 and 0"),
        ({"shard": (2, 2)}, r"`shard` must be \(index, count\)"),
        ({"shard": (0, 101)}, "count at most the 100 images of a batch"),
        ({"batch_size": 399, "shard": (0, 3)}, "The last batch has 1 of 1198 images, and 3 shards have to share it"),
        ({"part": "valid"}, "Unknown part of a data set 'valid'"),
        ({"augment": "pca"}, "pca: colours need 3 channels. Got images of 1"),
        ({"augment": "alexnet:9"}, "a window of 9×9 doesn't fit in images of 8×8"),
    ],
)
def test_errors(digits, options, message):
    with pytest.raises(ValueError, match=message):
        digits.batches(**{"part": "train", "batch_size": 100, **options})
    with pytest.raises(IndexError, match="step 12 of 12"):
        digits.batches("train", 100)[12]


def test_only_training_images_are_augmented(digits):
    plain, augmented = (joined(digits.batches("test", 100, augment=augment)) for augment in (None, "flip:1,blur"))
    np.testing.assert_array_equal(plain[0], augmented[0])
    x = digits.batches("train", 50, shuffle=False, augment="flip:1")[0][0]
    np.testing.assert_array_equal(x, digits.normalize(digits.x_train[:50])[:, :, ::-1])


def test_windows_change_the_size_of_both_parts(digits):
    for part in data.dataset.PARTS:
        assert digits.batches(part, 10, augment="alexnet:6")[0][0].shape == (10, 6, 6, 1)
    centre = digits.normalize(digits.x_test[:10])[:, 1:7, 1:7]
    np.testing.assert_array_equal(digits.batches("test", 10, augment="alexnet:6")[0][0], centre)


def test_tf_data_has_the_same_batches(digits):
    options = {"seed": 4, "augment": ["crop:1", "rotation:5"], "shard": (1, 2)}
    stream = digits.tf_dataset("train", 100, epoch=3, epochs=2, **options)
    assert stream.element_spec[0].shape.as_list() == [None, 8, 8, 1] and stream.cardinality() == 24
    numbers = [(x.numpy(), y.numpy()) for x, y in stream]
    expected = [pair for epoch in (3, 4) for pair in digits.batches("train", 100, epoch=epoch, **options)]
    assert_same(numbers, expected)
    with pytest.raises(ValueError, match="`epochs` must be at least 1"):
        digits.tf_dataset("train", 100, epochs=0)


def test_a_model_trains_on_tf_data(digits):
    import keras

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    stream = digits.tf_dataset("train", 32, epochs=3)
    history = model.fit(stream, epochs=3, steps_per_epoch=38, shuffle=False, verbose=0)
    assert history.history["accuracy"][-1] > 0.8


def test_keras_layers_augment_on_jax(run_python):
    pytest.importorskip("jax")
    run_python(
        """
import keras
import numpy as np
from bnn_tf import data
digits = data.load("digits")
layers = ["flip", keras.layers.RandomTranslation(0.2, 0.2)]
one, other = (digits.batches("train", 64, seed=1, augment=layers)[2][0] for _ in range(2))
np.testing.assert_array_equal(one, other)
assert keras.backend.backend() == "jax"
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
assert all(np.isfinite(model.train_on_batch(x, y)) for x, y in digits.batches("train", 300, augment=layers))
""",
        KERAS_BACKEND="jax",
    )


def test_batches_need_no_tensorflow(run_python):
    run_python(
        """
import sys
from bnn_tf import data
assert not {"tensorflow", "keras", "jax"} & set(sys.modules)
digits = data.load("digits")
x, y = next(iter(digits.batches("train", 32, augment="flip,crop:1,rotation:5,blur")))
assert x.shape == (32, 8, 8, 1)
assert not {"tensorflow", "keras", "jax"} & set(sys.modules)
"""
    )
