"""Folders of images and Oxford flowers: layouts, splits, sizes, and each kind of broken file or folder."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bnn_tf import data
from bnn_tf.data import flowers
from bnn_tf.data.images import image_files
from bnn_tf.data.statistics import statistics


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Statistics are kept in Keras' folder."""
    home = tmp_path_factory.mktemp("keras")
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


def picture(path, color, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def parted(tmp_path):
    """Two classes in train and test: dark and bright images, told apart by their red."""
    for part, count in (("train", 3), ("test", 2)):
        for number in range(count):
            picture(tmp_path / "set" / part / "bright" / f"{number}.png", (200 + number, 0, 0))
            picture(tmp_path / "set" / part / "dark" / f"{number}.PNG", (10 + number, 0, 0))
    return tmp_path / "set"


@pytest.fixture
def single(tmp_path):
    for name, count in (("a", 10), ("b", 20), ("c", 2)):
        for number in range(count):
            picture(tmp_path / "set" / name / f"{number:02}.png", (number, len(name), ord(name)))
    return tmp_path / "set"


class TestFolder:
    def test_parts(self, parted):
        dataset = data.load_folder(parted, size=8)
        assert dataset.name == "set" and dataset.class_names == ("bright", "dark") and dataset.streamed
        assert dataset.x_train.shape == (6, 8, 8, 3) and dataset.y_train.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.x_train[:][:, 0, 0, 0].tolist() == [200, 201, 202, 10, 11, 12]
        assert dataset.x_test[2].shape == (8, 8, 3) and dataset.x_test[2][0, 0, 0] == 10
        assert dataset.x_test.dtype == np.uint8 and len(dataset.x_test) == 4

    def test_by_path(self, parted, monkeypatch):
        assert data.load(str(parted), size=8).input_shape == (8, 8, 3)
        monkeypatch.chdir(parted.parent)
        assert data.load("set", size=(4, 6), channels=1).input_shape == (4, 6, 1)
        assert data.source("./set").name == "./set"

    def test_validation_folder_and_lone_train(self, parted):
        (parted / "test").rename(parted / "val")
        assert data.load_folder(parted, size=8).count("test") == 4
        (parted / "val").rename(parted.parent / "away")
        lone = data.load_folder(parted, size=8, test=0.34)
        assert lone.name == "set" and (lone.count("train"), lone.count("test")) == (4, 2)

    def test_in_memory(self, parted):
        dataset = data.load_folder(parted, size=8)
        arrays = dataset.in_memory()
        assert not arrays.streamed and np.array_equal(arrays.x_train, dataset.x_train[:])
        np.testing.assert_array_equal(arrays.normalize(arrays.x_test), dataset.normalize(dataset.x_test))
        for one, other in zip(arrays.batches("train", 4, seed=3), dataset.batches("train", 4, seed=3), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])

    def test_split_is_stratified_seeded_and_complete(self, single):
        splits = [data.load_folder(single, size=8, test=0.3, seed=seed) for seed in (0, 0, 1)]
        for split in splits:
            assert split.histogram("test").tolist() == [3, 6, 1] and split.histogram("train").tolist() == [7, 14, 1]
            assert len({*split.x_train.paths, *split.x_test.paths}) == 32
            names = [split.class_names[label] for label in split.y_train]
            assert names == [path.parent.name for path in split.x_train.paths]
        assert splits[0].x_test.paths == splits[1].x_test.paths != splits[2].x_test.paths

    def test_what_is_no_image_or_hidden_is_left_out(self, parted):
        (parted / "train" / "dark" / "notes.txt").write_text("mine")
        (parted / "train" / "dark" / "._0.png").write_text("of another system")
        (parted / "train" / ".git").mkdir()
        assert data.load_folder(parted, size=8).count("train") == 6

    def test_errors(self, parted, tmp_path):
        def error(path, kind=data.DataFileError, **options):
            with pytest.raises(kind) as error:
                data.load_folder(path, **options)
            return str(error.value)

        assert "There is no folder" in error(tmp_path / "nowhere", data.MissingDataError)
        (tmp_path / "empty").mkdir()
        assert f"{tmp_path / 'empty'} has no class folders. Expected" in error(tmp_path / "empty")
        picture(tmp_path / "empty" / "1.png", 0)
        assert "has no class folders, only images" in error(tmp_path / "empty")
        (parted / "train" / "grey").mkdir()
        assert f"{parted / 'train' / 'grey'} has no images" in error(parted)
        picture(parted / "train" / "grey" / "1.png", 0)
        assert f"The classes of {parted / 'train'} and {parted / 'test'} differ: only the first has grey" in error(
            parted
        )
        assert "`test` must be between 0 and 1" in error(parted / "test", ValueError, test=1)
        assert "a class of one image" in error(parted / "train")
        assert "`size` must be one or two numbers from 1" in error(parted / "test", ValueError, size=0)
        assert "`short_side` must be at least the 8 of `size`" in error(
            parted / "test", ValueError, size=8, short_side=7
        )
        assert "`channels` must be 3 (RGB) or 1 (grey)" in error(parted / "test", ValueError, channels=4)


class TestImages:
    def test_short_side_and_centre(self, tmp_path):
        """Twice as wide as high, thirds of colour: the middle third fills the middle of the square."""
        wide = np.zeros((64, 192, 3), np.uint8)
        wide[:, :64, 0] = wide[:, 64:128, 1] = wide[:, 128:, 2] = 255
        Image.fromarray(wide).save(tmp_path / "wide.png")
        one = image_files([tmp_path / "wide.png"], 32, 32)[0]
        assert one.shape == (32, 32, 3) and np.all(one[:, 2:-2, 1] == 255) and np.all(one[:, 2:-2, 0] == 0)
        exact = image_files([tmp_path / "wide.png"], 64, 64)[0]
        np.testing.assert_array_equal(exact, wide[:, 64:128])

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK", "LA", "I;16"])
    def test_every_kind_becomes_rgb(self, tmp_path, mode):
        suffix = "tif" if mode == "CMYK" else "png"
        Image.new(mode, (9, 9), 0).save(tmp_path / f"a.{suffix}")
        assert image_files([tmp_path / f"a.{suffix}"], 9, 9)[0].shape == (9, 9, 3)

    def test_a_photograph_stands_upright(self, tmp_path):
        image = np.zeros((8, 8, 3), np.uint8)
        image[0] = 255
        exif = Image.Exif()
        exif[0x0112] = 3  # taken upside down
        Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
        np.testing.assert_array_equal(image_files([tmp_path / "a.png"], 8, 8)[0], image[::-1])

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    def test_broken_images_are_named(self, tmp_path, suffix, rng):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
        content, files = path.read_bytes(), image_files([path] * 6, 32)
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(data.DataFileError, match=f"{path} is truncated: "):
            files[3]
        with pytest.raises(data.DataFileError, match=f"{path} is truncated: "):
            files[:]  # in threads
        path.write_bytes(b"<html>")
        with pytest.raises(data.DataFileError, match=f"{path} is no readable picture: "):
            files[3]
        path.unlink()
        with pytest.raises(data.DataFileError, match=f"{path} is gone"):
            files[3]

    def test_indexing(self, single):
        files = data.load_folder(single, size=6).x_train
        whole = np.asarray(files)
        assert whole.shape == files.shape and files.nbytes == whole.nbytes
        for index in (slice(2, 7), [5, 1, 1], np.array([3]), slice(None, None, -2), np.arange(len(files)) % 2 == 0):
            np.testing.assert_array_equal(files[index], whole[index])
        np.testing.assert_array_equal(files[-1], whole[-1])
        np.testing.assert_array_equal(files.subset([4, 2])[:], whole[[4, 2]])


class TestStatistics:
    def test_equals_numpy(self, rng):
        x = rng.integers(0, 256, (50, 7, 5, 3), dtype=np.uint8)
        found, pixels = statistics(x), x.reshape(-1, 3)
        np.testing.assert_allclose(found.mean, pixels.mean(axis=0), rtol=1e-7)
        np.testing.assert_allclose(found.deviation, pixels.std(axis=0), rtol=1e-7)
        np.testing.assert_allclose(found.covariance, np.cov(pixels.T, bias=True), rtol=1e-12)

    def test_kept_and_renewed(self, parted, own_cache):
        cache = own_cache / "bnn_tf" / "statistics"
        first = data.load_folder(parted, size=8)
        np.testing.assert_array_equal(first.mean, first.in_memory().mean)
        [kept] = cache.iterdir()
        content = json.loads(kept.read_text())
        assert content["count"] == 6 * 64
        kept.write_text(json.dumps(content | {"sum": [0, 0, 0]}))
        assert data.load_folder(parted, size=8).mean.tolist() == [0, 0, 0]  # read, not computed
        picture(parted / "train" / "dark" / "9.png", 0)
        assert data.load_folder(parted, size=8).mean[0] > 0 and len(list(cache.iterdir())) == 2

    @pytest.mark.parametrize("content", ["", "{}", '{"count": 0, "sum": [1], "products": [[1]]}', "[1]", "\x00"])
    def test_a_broken_cache_is_replaced(self, parted, own_cache, content):
        right = data.load_folder(parted, size=8).mean
        [kept] = (own_cache / "bnn_tf" / "statistics").iterdir()
        kept.write_text(content)
        np.testing.assert_array_equal(data.load_folder(parted, size=8).mean, right)
        assert json.loads(kept.read_text())["count"] == 6 * 64

    def test_a_cache_that_cannot_be_written(self, parted, own_cache):
        (own_cache / "bnn_tf").write_text("in the way")
        assert data.load_folder(parted, size=8).mean[0] > 0
        assert os.listdir(own_cache) == ["bnn_tf"]


@pytest.mark.data
class TestFlowers17:
    def test_real(self, data_dir):
        dataset = data.load("flowers17", data_dir)
        assert dataset.input_shape == (128, 128, 3) and dataset.classes == 17
        assert dataset.histogram("train").tolist() == [64] * 17
        assert dataset.histogram("test").tolist() == [16] * 17
        assert dataset.class_names[0] == "00_daffodil" and dataset.class_names[-1] == "16_pansy"
        # Decoders of JPEG differ in the last bit.
        np.testing.assert_allclose(dataset.mean, [112.70, 111.74, 73.72], atol=0.05)
        np.testing.assert_allclose(dataset.deviation, [71.32, 64.89, 66.24], atol=0.05)

    def test_size(self, data_dir):
        assert data.load("flowers17", data_dir, size=64).input_shape == (64, 64, 3)

    def test_missing(self, tmp_path):
        with pytest.raises(data.MissingDataError, match=f"Missing: {tmp_path}/flowers17/train and .*17 classes"):
            data.load("flowers17", tmp_path)


# Flowers 102 in the publisher's form: no copy is at hand.

LABELS = np.concatenate([np.repeat(np.arange(1, 103), 20), np.arange(8189 - 2040) % 102 + 1]).astype(np.uint8)
NUMBERS = np.arange(1, 8190, dtype=np.uint16)
TRAIN = NUMBERS[:2040].reshape(102, 20)[:, :10].ravel()
SPLITS = {
    "trnid": TRAIN[None],
    "valid": NUMBERS[:2040].reshape(102, 20)[:, 10:].ravel()[None],
    "tstid": NUMBERS[None, 2040:],
}


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (20, 16), (90, 160, 30)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def flowers_archive(tmp_path_factory):
    path, content = tmp_path_factory.mktemp("archive") / "102flowers.tgz", jpeg()
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for number in NUMBERS:
            info = tarfile.TarInfo(f"jpg/image_{number:05d}.jpg")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def unpacked(flowers_archive, tmp_path_factory):
    """All files in their folder."""
    own = tmp_path_factory.mktemp("data") / "flowers102"
    own.mkdir()
    (own / "102flowers.tgz").symlink_to(flowers_archive)
    savemat(own / "imagelabels.mat", {"labels": LABELS[None]}, do_compression=True)
    savemat(own / "setid.mat", SPLITS, do_compression=True)
    data.load("flowers102", own.parent)
    return own


@pytest.fixture
def flowers102(unpacked, tmp_path):
    own = tmp_path / "flowers102"
    own.mkdir()
    for name in ("imagelabels.mat", "setid.mat"):
        (own / name).write_bytes((unpacked / name).read_bytes())
    (own / "jpg").symlink_to(unpacked / "jpg")
    return own


def flowers_error(own):
    with pytest.raises(data.DataFileError) as error:
        data.load("flowers102", own.parent)
    return str(error.value)


class TestFlowers102:
    def test_the_publishers_split(self, unpacked):
        dataset = data.load("flowers102", unpacked.parent)
        assert (dataset.count("train"), dataset.count("test"), dataset.classes) == (1020, 6149, 102)
        assert dataset.input_shape == (224, 224, 3) and dataset.x_train.short_side == 256
        assert dataset.histogram("train").tolist() == [10] * 102
        assert dataset.y_train[10] == 1 and dataset.x_train.paths[10].name == "image_00021.jpg"
        assert dataset.x_test[0].shape == (224, 224, 3) and abs(int(dataset.x_test[0][5, 5, 1]) - 160) < 3
        assert len(set(dataset.class_names)) == 102 and dataset.class_names[9] == "globe thistle"

    def test_swapped_as_in_the_thesis(self, unpacked):
        plain = data.load("flowers102", unpacked.parent, size=32)
        swapped = data.load("flowers102", unpacked.parent, size=32, swap=True)
        named = data.load("flowers102-swapped", unpacked.parent)
        assert swapped.x_train.paths == plain.x_test.paths == named.x_train.paths
        assert swapped.x_test.paths == plain.x_train.paths and named.name == "flowers102-swapped"
        assert np.array_equal(swapped.y_test, plain.y_train)

    def test_validation_part(self, unpacked):
        more = data.load("flowers102", unpacked.parent, train="train+valid")
        assert more.histogram("train").tolist() == [20] * 102 and more.count("test") == 6149
        for parts in ({"train": "test"}, {"train": "training"}, {"train": "train+train"}):
            with pytest.raises(ValueError, match="`train` and `test` name different ones of train, valid, test"):
                data.load("flowers102", unpacked.parent, **parts)

    def test_batches_do_not_read_the_rest(self, flowers102):
        dataset = data.load("flowers102", flowers102.parent, size=16)
        chosen = dataset.batches("test", 4)
        assert chosen[0][0].shape == (4, 16, 16, 3) and len(chosen) == 1538

    @pytest.mark.parametrize("name", ["imagelabels.mat", "setid.mat"])
    def test_truncated_and_corrupt(self, flowers102, name):
        path = flowers102 / name
        path.write_bytes(path.read_bytes()[:200])
        assert f"{path} is truncated: it ends after 200 of" in flowers_error(flowers102)
        path.write_bytes(b"<html>" * 3000)
        assert f"{path} is corrupt: " in flowers_error(flowers102)

    def test_swapped_files(self, flowers102):
        labels, splits = flowers102 / "imagelabels.mat", flowers102 / "setid.mat"
        kept = labels.read_bytes()
        labels.write_bytes(splits.read_bytes())
        assert f"{labels} holds setid.mat, not imagelabels.mat: files were swapped" in flowers_error(flowers102)
        labels.write_bytes(kept)
        splits.write_bytes(kept)
        assert f"{splits} holds imagelabels.mat, not setid.mat: files were swapped" in flowers_error(flowers102)

    def test_content_that_cannot_be(self, flowers102):
        savemat(flowers102 / "setid.mat", SPLITS | {"trnid": SPLITS["valid"]})
        assert "expected each of 8189 images in one part" in flowers_error(flowers102)
        savemat(flowers102 / "imagelabels.mat", {"labels": LABELS[None, 1:]})
        assert "expected `labels` with a class of 1..102 for each of 8189" in flowers_error(flowers102)

    def test_an_incomplete_archive(self, flowers102, flowers_archive):
        (flowers102 / "jpg").unlink()
        archive = flowers102 / "102flowers.tgz"
        archive.write_bytes(flowers_archive.read_bytes()[:5000])
        assert f"{archive} is truncated" in flowers_error(flowers102)
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("jpg/image_00001.jpg"))
        assert f"{archive} is another archive under this name: it lacks 8188 of 8189" in flowers_error(flowers102)

    def test_offline(self, tmp_path, monkeypatch):
        for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        with pytest.raises(data.MissingDataError) as error:
            data.load("flowers102", tmp_path)
        message = str(error.value)
        assert f"Missing in {tmp_path / 'flowers102'}: imagelabels.mat, setid.mat, 102flowers.tgz; and no" in message
        assert flowers._ADDRESS in message and "or, unpacked, jpg/image_00001.jpg" in message
