"""Each augmentation against what it says, and how they are named, combined and seeded."""

import numpy as np
import pytest

from bnn_tf import data
from bnn_tf.data.draws import Draws
from bnn_tf.data.statistics import statistics

NAMES = ["flip", "crop:2", "rotation:20", "blur:1.5", "alexnet:9", "pca", "rotation:-5:40"]


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (200, 12, 11, 3), dtype=np.uint8)


def augmented(specs, x, seed=1, epoch=0, index=None):
    index = np.arange(len(x)) if index is None else index
    return data.augmentation(specs)(x, index, seed, epoch, statistics(x))


class TestDraws:
    def test_each_number_belongs_to_its_image(self):
        whole = Draws(1, 2, 3, np.arange(1000))
        some = Draws(1, 2, 3, np.array([7, 999, 3]))
        for _ in range(3):
            np.testing.assert_array_equal(whole.uniform()[[7, 999, 3]], some.uniform())

    def test_seed_epoch_stream_and_call_draw_others(self):
        keys = [(seed, epoch, stream) for seed in range(3) for epoch in range(3) for stream in range(3)]
        drawn = []
        for key in keys:
            draws = Draws(*key, np.arange(500))
            drawn += [draws.uniform(), draws.uniform()]
        correlation = np.corrcoef(drawn) - np.eye(len(drawn))
        assert np.abs(correlation).max() < 0.25  # 500 independent pairs: a deviation of 0.045

    def test_distributions(self):
        from scipy import stats

        draws = Draws(0, 0, 0, np.arange(100_000))
        assert stats.kstest(draws.uniform(), "uniform").pvalue > 1e-4
        assert stats.kstest(draws.normal(), "norm").pvalue > 1e-4
        assert stats.chisquare(np.bincount(draws.integers(9))).pvalue > 1e-4


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_seed_epoch_and_index_decide(self, name, images):
        once = augmented(name, images)
        np.testing.assert_array_equal(once, augmented(name, images))
        some = np.array([150, 3, 77])
        np.testing.assert_array_equal(
            once[some],
            data.augmentation(name)(images[some], some, 1, 0, statistics(images)),
        )
        for other in ({"seed": 2}, {"epoch": 1}, {"index": np.arange(200) + 200}):
            assert not np.array_equal(once, augmented(name, images, **other))

    def test_the_argument_stays(self, name, images):
        before = images.copy()
        augmented(name, images)
        np.testing.assert_array_equal(images, before)

    def test_shape(self, name, images):
        augmentation = data.augmentation(name)
        assert augmented(name, images).shape[1:] == augmentation.output_shape(images.shape[1:])
        assert augmentation.at_test(images).shape == augmented(name, images).shape


class TestFlip:
    def test_half_are_mirrored(self, images):
        out = augmented("flip", images)
        mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
        assert np.all(mirrored | (out == images).all(axis=(1, 2, 3))) and 70 < mirrored.sum() < 130

    @pytest.mark.parametrize(("share", "mirrored"), [("0", 0), ("1", 200)])
    def test_share(self, images, share, mirrored):
        assert (augmented(f"flip:{share}", images) == images[:, :, ::-1]).all(axis=(1, 2, 3)).sum() == mirrored


class TestCrop:
    def test_every_place_is_cut(self, images):
        image = images[:1]
        out = augmented("crop:1", np.repeat(image, 500, axis=0))
        padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
        places = {padded[y : y + 12, x : x + 11].tobytes() for y in range(3) for x in range(3)}
        assert {one.tobytes() for one in out} == places


class TestRotation:
    @pytest.mark.parametrize(("angle", "turns"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
    def test_right_angles(self, rng, angle, turns):
        x = rng.integers(0, 256, (3, 9, 9, 2), dtype=np.uint8)
        turned = augmented(f"rotation:{angle}:{angle}", x)
        np.testing.assert_allclose(turned, np.rot90(x, turns, axes=(1, 2)), atol=1e-3)

    def test_equals_scipy(self, rng):
        from scipy import ndimage

        x = rng.integers(0, 256, (2, 15, 12, 1), dtype=np.uint8)
        turned = augmented("rotation:33:33", x)
        for image, out in zip(x, turned, strict=True):
            expected = ndimage.rotate(image[..., 0].astype(float), 33, reshape=False, order=1, mode="grid-constant")
            np.testing.assert_allclose(out[..., 0], expected, atol=1e-2)

    def test_angles_fill_the_range(self):
        """A dot to the right of the centre moves up by the sine of the angle."""
        x = np.zeros((400, 41, 41, 1), np.uint8)
        x[:, 18:23, 36:41] = 255
        out = augmented("rotation:-10:30", x)
        centre = (out[..., 0] * np.arange(41)[:, None]).sum(axis=(1, 2)) / out.sum(axis=(1, 2, 3))
        angle = np.degrees(np.arcsin(np.clip((20 - centre) / 18, -1, 1)))
        assert -11 < angle.min() < -8 and 28 < angle.max() < 32


class TestBlur:
    def test_equals_scipy(self, images):
        from scipy import ndimage

        from bnn_tf.data.transforms import Blur

        draws = Draws(0, 0, 0, np.arange(4))
        out = Blur(2.0)(images[:4], draws, statistics(images))
        sigmas = Draws(0, 0, 0, np.arange(4)).uniform(0, 2)
        for image, sigma, blurred in zip(images, sigmas, out, strict=False):
            expected = ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest", radius=6)
            np.testing.assert_allclose(blurred, expected, atol=1e-3)

    def test_a_flat_image_stays(self):
        np.testing.assert_allclose(augmented("blur:3", np.full((5, 6, 6, 3), 200, np.uint8)), 200, rtol=1e-6)


class TestPca:
    def test_the_shift_is_along_the_components(self, rng):
        """Pixels that vary along one direction alone are shifted along it."""
        along = rng.integers(0, 101, (64, 4, 4, 1))
        x = (along * [1, 2, 0]).astype(np.uint8)
        shift = augmented("pca:0.5", x) - x
        assert np.ptp(shift, axis=(1, 2)).max() < 1e-3  # all pixels of an image alike
        shift = shift[:, 0, 0]
        np.testing.assert_allclose(shift[:, 1], 2 * shift[:, 0], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(shift[:, 2], 0, atol=1e-3)
        variance = np.var(along) * 5 / 255**2
        expected = 255 * 0.5 * variance / np.sqrt(5)
        assert expected * 0.7 < shift[:, 0].std() < expected * 1.3


class TestAlexNet:
    def test_windows_and_their_mirror_images(self, images):
        out = augmented("alexnet:11", np.repeat(images[:1], 300, axis=0))
        windows = [images[0, top : top + 11] for top in range(2)]
        expected = {one.tobytes() for window in windows for one in (window, window[:, ::-1].copy())}
        assert {one.tobytes() for one in out} == expected

    def test_the_central_one_in_evaluation(self, images):
        np.testing.assert_array_equal(data.augmentation("alexnet:8").at_test(images), images[:, 2:10, 1:9])


class TestTenCrops:
    def test_windows(self, images):
        crops = data.ten_crops(images, 8)
        assert crops.shape == (200, 10, 8, 8, 3)
        np.testing.assert_array_equal(crops[:, 0], images[:, :8, :8])
        np.testing.assert_array_equal(crops[:, 3], images[:, 4:, 3:])
        np.testing.assert_array_equal(crops[:, 4], images[:, 2:10, 1:9])
        np.testing.assert_array_equal(crops[:, 5:], crops[:, :5, :, ::-1])
        with pytest.raises(ValueError, match="windows of 12×12 don't fit in images of 12×11"):
            data.ten_crops(images, 12)

    def test_probabilities_are_averaged(self, images):
        x = images.astype(np.float64) / 50

        def logits(windows):
            return windows[:, 0, 0]

        def softmax(values):
            return np.exp(values) / np.exp(values).sum(axis=-1, keepdims=True)

        found = data.predict_ten_crops(logits, x, 8)
        np.testing.assert_allclose(found, softmax(data.ten_crops(x, 8)[:, :, 0, 0]).mean(axis=1), rtol=1e-9)
        np.testing.assert_allclose(found.sum(axis=1), 1)


class TestSpecs:
    def test_a_list_is_done_in_order(self, images):
        both = augmented(["flip:1", "alexnet:8"], images)
        assert both.shape == (200, 8, 8, 3)
        np.testing.assert_array_equal(both, augmented(" flip:1 , alexnet:8", images))
        assert data.augmentation(["flip:1", "alexnet:8"]).names == ("flip:1", "alexnet:8")

    def test_the_same_name_twice_draws_twice(self, images):
        assert not np.array_equal(augmented("flip,flip", images), images)

    def test_none(self, images):
        np.testing.assert_array_equal(augmented(None, images), images)
        np.testing.assert_array_equal(augmented([], images), images)

    def test_every_name_has_defaults(self):
        assert data.AUGMENTATIONS == ("alexnet", "blur", "crop", "flip", "pca", "rotation")
        for name in set(data.AUGMENTATIONS) - {"rotation"}:
            assert data.augmentation(name).names == (name,)

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("flipp", "Unknown augmentation 'flipp'. Did you mean flip?"),
            ("", "Unknown augmentation ''"),
            ("flip:2", "flip: expected flip or flip:SHARE, a share of 0..1. Got 'flip:2'"),
            ("crop:x", "crop: expected crop or crop:PIXELS, a whole number from 1. Got 'crop:x'"),
            ("crop:1.5", "Got 'crop:1.5'"),
            ("crop:0", "Got 'crop:0'"),
            ("crop:1:2", "Got 'crop:1:2'"),
            ("rotation", "rotation: expected rotation:DEGREES or rotation:LOW:HIGH"),
            ("rotation:200", "-180 <= LOW <= HIGH <= 180. Got 'rotation:200'"),
            ("rotation:5:-5", "Got 'rotation:5:-5'"),
            ("blur:nan", "blur: expected blur or blur:PIXELS"),
            ("pca:-1", "pca: expected pca or pca:DEVIATION"),
            ("alexnet:0", "alexnet: expected alexnet or alexnet:SIZE"),
            ([3], "An augmentation is a name or a Keras layer. Got 3. Known: alexnet, blur"),
        ],
    )
    def test_errors(self, spec, message):
        import re

        with pytest.raises(ValueError, match=re.escape(message)):
            data.augmentation(spec)


class TestKerasLayers:
    def test_by_seed_and_epoch(self, images):
        import keras

        specs = ["flip", keras.layers.RandomTranslation(0.3, 0.3)]
        once = augmented(specs, images)
        assert once.shape == images.shape and not np.array_equal(once, augmented("flip", images))
        np.testing.assert_array_equal(once, augmented(specs, images))
        again = ["flip", keras.layers.RandomTranslation(0.3, 0.3)]
        np.testing.assert_array_equal(once, augmented(again, images))  # whatever seed the layer came with
        assert not np.array_equal(once, augmented(specs, images, epoch=1))

    def test_nothing_random_in_evaluation(self, images):
        import keras

        augmentation = data.augmentation([keras.layers.RandomContrast(0.5), keras.layers.RandomCrop(8, 8)])
        assert augmentation.names == ("keras:RandomContrast", "keras:RandomCrop")
        out = augmentation.at_test(images)
        np.testing.assert_allclose(out, images[:, 2:10, 1:9], atol=1e-4)
        assert augmentation.output_shape((12, 11, 3)) == (8, 8, 3)

    def test_in_tf_data(self):
        import keras

        digits = data.load("digits")
        options = {"seed": 3, "augment": [keras.layers.RandomTranslation(0.2, 0.2)]}
        for (x, _), (other, _) in zip(
            digits.tf_dataset("train", 300, **options), digits.batches("train", 300, **options), strict=True
        ):
            np.testing.assert_array_equal(x, other)
