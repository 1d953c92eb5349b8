"""The loaders: what they return, and that each kind of broken file is told from the others and named."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

from bnn_tf import data
from bnn_tf.data import files, idx
from bnn_tf.data import mnist as mnist_module
from bnn_tf.data.mnist import FAMILIES

IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
KMNIST = next(family for family in FAMILIES if family.name == "kmnist")


@pytest.fixture
def mnist(data_dir, tmp_path):
    """A folder with links to MNIST's files, for a test to spoil."""
    (tmp_path / "mnist").mkdir()
    for file in (data_dir / "mnist").iterdir():
        (tmp_path / "mnist" / file.name).symlink_to(file)
    return tmp_path / "mnist"


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


def load_error(folder):
    with pytest.raises(data.DataFileError) as error:
        data.load("mnist", folder.parent)
    return str(error.value)


def test_list():
    assert data.list_datasets() == [
        "cifar10",
        "cifar100",
        "cifar100-coarse",
        "digits",
        "fashion-mnist",
        "flowers102",
        "flowers102-swapped",
        "flowers17",
        "kmnist",
        "mnist",
    ]


def test_an_option_that_a_set_does_not_take():
    with pytest.raises(ValueError, match=r"digits doesn't take the options size\. It takes none\."):
        data.load("digits", size=3)
    with pytest.raises(ValueError, match=r"It takes size, short_side, swap, train, test\."):
        data.load("flowers102", swapped=True)


def test_unknown_name_leads_to_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown data set 'fashon-mnist'\. Did you mean fashion-mnist"):
        data.load("fashon-mnist")


class TestDigits:
    def test_shapes_and_labels(self):
        digits = data.load("digits")
        assert digits.x_train.shape == (1198, 8, 8, 1)
        assert digits.x_test.shape == (599, 8, 8, 1)
        assert digits.x_train.dtype == np.uint8 and digits.y_train.dtype == np.int64
        assert digits.x_train.max() == 16
        assert digits.classes == 10 and digits.input_shape == (8, 8, 1)

    def test_the_split_is_always_the_same(self):
        # The published accuracies are of this split: it must not move with a seed or a version.
        digests = {hashlib.sha256(data.load("digits").x_test.tobytes()).hexdigest() for _ in range(2)}
        assert digests == {"c59ed5d3b589730970a328ff2d4d65b078d164360cb43ae9df96338330c5870e"}

    def test_a_third_of_each_class_is_held_out(self):
        digits = data.load("digits")
        train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
        assert np.all(np.abs(test - (train + test) / 3) < 1)

    def test_no_image_is_in_both_parts(self):
        digits = data.load("digits")
        train = {image.tobytes() for image in digits.x_train}
        assert not any(image.tobytes() in train for image in digits.x_test)


def test_normalize_uses_the_training_set():
    x = np.zeros((2, 1, 1, 2), np.uint8)
    x[1, 0, 0, 0] = 10
    dataset = data.Dataset("two", x, np.zeros(2, np.int64), x[1:], np.zeros(1, np.int64), ("only",))
    np.testing.assert_array_equal(dataset.normalize(dataset.x_test), [[[[1.0, 0.0]]]])  # the second channel is constant
    assert dataset.normalize(x).dtype == np.float32


@pytest.mark.parametrize("order", ["C", "F"])
def test_normalize_equals_the_formula(rng, order):
    x = np.asarray(rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8), order=order)
    dataset = data.Dataset("some", x, np.zeros(6, np.int64), x, np.zeros(6, np.int64), ("only",))
    expected = (x.astype(np.float32) - dataset.mean) / dataset.deviation
    np.testing.assert_array_equal(dataset.normalize(x), expected)
    np.testing.assert_array_equal(dataset.normalize(x[:, ::-1]), expected[:, ::-1])
    np.testing.assert_array_equal(dataset.normalize(x.astype(np.float32)), expected)


@pytest.mark.data
class TestMnist:
    @pytest.mark.parametrize(
        ("name", "first_test_labels", "digest"),
        [
            ("mnist", [7, 2, 1, 0, 4], "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"),
            ("fashion-mnist", [9, 2, 1, 1, 6], "0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab"),
        ],
        ids=["mnist", "fashion-mnist"],
    )
    def test_published_files(self, data_dir, name, first_test_labels, digest):
        dataset = data.load(name, data_dir)
        pixels = hashlib.sha256(dataset.x_train.tobytes() + dataset.x_test.tobytes())
        assert pixels.hexdigest() == digest
        assert dataset.histogram("train").sum() == 60000
        assert dataset.x_train.shape == (60000, 28, 28, 1) and dataset.x_test.shape == (10000, 28, 28, 1)
        assert dataset.y_test[:5].tolist() == first_test_labels
        assert dataset.x_train.dtype == np.uint8 and dataset.y_train.dtype == np.int64
        assert np.bincount(dataset.y_test).sum() == 10000 and dataset.classes == len(np.bincount(dataset.y_train)) == 10

    def test_mnist_label_histograms(self, data_dir):
        dataset = data.load("mnist", data_dir)
        assert dataset.histogram("test").tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert dataset.histogram("train").tolist() == train

    def test_fashion_has_as_many_of_each_class(self, data_dir):
        dataset = data.load("fashion-mnist", data_dir)
        assert dataset.histogram("train").tolist() == [6000] * 10
        assert dataset.histogram("test").tolist() == [1000] * 10

    def test_environment_variable(self, data_dir, monkeypatch):
        monkeypatch.setenv("BNN_TF_DATA_DIR", str(data_dir))
        assert data.load("mnist").name == "mnist"

    def test_recompressed_file_passes(self, mnist):
        path = mnist / IMAGES
        replace(path, gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1))
        assert data.load("mnist", mnist.parent).x_test.shape == (10000, 28, 28, 1)

    def test_unpacked_file_passes(self, mnist):
        path = mnist / IMAGES
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
        assert data.load("mnist", mnist.parent).x_test.shape == (10000, 28, 28, 1)

    def test_truncated_gzip(self, mnist):
        path = mnist / IMAGES
        replace(path, path.read_bytes()[:100_000])
        assert f"{path} is truncated: it ends after 100000 bytes, inside its gzip stream" in load_error(mnist)

    def test_truncated_content(self, mnist):
        path = mnist / IMAGES
        replace(path, gzip.compress(gzip.decompress(path.read_bytes())[:1000], 1))
        assert f"{path} is truncated: its header says 10000×28×28 bytes of data, but 984 follow" in load_error(mnist)

    def test_corrupt_gzip(self, mnist):
        path = mnist / IMAGES
        content = bytearray(path.read_bytes())
        content[-5] ^= 1  # in the checksum
        replace(path, content)
        assert f"{path} is corrupt: CRC check failed" in load_error(mnist)

    def test_corrupt_content(self, mnist):
        path = mnist / IMAGES
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[5000] ^= 1
        replace(path, gzip.compress(content, 1))
        assert f"{path} is corrupt: its decompressed content has sha256" in load_error(mnist)

    def test_something_else(self, mnist):
        path = mnist / IMAGES
        replace(path, b"<html>Please log in</html>")
        assert f"{path} is corrupt: it isn't an idx file of unsigned bytes: it begins with b'<htm'" in load_error(mnist)

    @pytest.mark.parametrize(
        "other", ["mnist/t10k-labels-idx1-ubyte.gz", "mnist/train-images-idx3-ubyte.gz", f"fashion-mnist/{IMAGES}"]
    )
    def test_swapped(self, mnist, data_dir, other):
        path = mnist / IMAGES
        path.unlink()
        path.symlink_to(data_dir / other)
        assert f"{path} holds {other}, not mnist/{IMAGES}: files were swapped" in load_error(mnist)

    def test_another_array(self, mnist):
        path = mnist / LABELS
        replace(path, gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 2, 7, 7))))
        assert f"{path} holds an array of shape (2,), where mnist/{LABELS} has (10000,)" in load_error(mnist)


def idx_file(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), 1, mtime=0)


@pytest.fixture(scope="module")
def synthetic_kmnist(tmp_path_factory):
    """KMNIST in its form: no copy of it is at hand."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "kmnist").mkdir()
    for part, count in (("train", 60000), ("t10k", 10000)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 3, 4] = labels + 1
        (folder / "kmnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(idx_file(images))
        (folder / "kmnist" / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx_file(labels))
    return folder


class TestKmnist:
    """Of its decompressed files no digest is published: those that someone packed again are only plausible."""

    @pytest.fixture
    def kmnist(self, synthetic_kmnist, tmp_path):
        (tmp_path / "kmnist").mkdir()
        for file in (synthetic_kmnist / "kmnist").iterdir():
            (tmp_path / "kmnist" / file.name).symlink_to(file)
        return tmp_path / "kmnist"

    @staticmethod
    def error(folder):
        with pytest.raises(data.DataFileError) as error:
            data.load("kmnist", folder.parent)
        return str(error.value)

    def test_files_that_were_packed_again(self, synthetic_kmnist):
        dataset = data.load("kmnist", synthetic_kmnist)
        assert dataset.x_train.shape == (60000, 28, 28, 1) and dataset.class_names[-1] == "wo"
        assert dataset.histogram("train").tolist() == [6000] * 10
        assert dataset.histogram("test").tolist() == [1000] * 10
        assert dataset.x_test[7, 3, 4, 0] == 8 and dataset.y_test[7] == 7

    def test_a_file_that_is_the_publishers_is_taken_as_it_is(self, tmp_path):
        packed = idx_file(np.zeros(10000))
        file = files.RemoteFile(LABELS, "", None, hashlib.sha256(packed).hexdigest())
        (tmp_path / LABELS).write_bytes(packed)
        assert mnist_module._checked(KMNIST, file, tmp_path / LABELS).shape == (10000,)

    def test_unbalanced_labels(self, kmnist):
        labels = np.arange(10000) % 10
        labels[0] = 1
        replace(kmnist / LABELS, idx_file(labels))
        assert f"{kmnist / LABELS} is corrupt: its labels count [999, 1001, 1000," in self.error(kmnist)

    def test_black_images(self, kmnist):
        replace(kmnist / IMAGES, idx_file(np.zeros((10000, 28, 28))))
        assert "has images that are all black" in self.error(kmnist)

    def test_truncated(self, kmnist):
        path = kmnist / IMAGES
        replace(path, path.read_bytes()[:5000])
        assert f"{path} is truncated: it ends after 5000 bytes" in self.error(kmnist)

    def test_parts_swapped(self, kmnist):
        path = kmnist / "train-labels-idx1-ubyte.gz"
        replace(path, (kmnist / LABELS).read_bytes())
        assert f"{path} holds an array of shape (10000,), where kmnist/{path.name} has (60000,)" in self.error(kmnist)

    @pytest.mark.data
    def test_another_set(self, kmnist, data_dir):
        replace(kmnist / IMAGES, (data_dir / "mnist" / IMAGES).read_bytes())
        assert f"holds mnist/{IMAGES}, not kmnist/{IMAGES}: files were swapped" in self.error(kmnist)


class TestIdx:
    def test_parse(self):
        content = bytes((0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3)) + bytes(range(6))
        np.testing.assert_array_equal(idx.parse(content), [[0, 1, 2], [3, 4, 5]])

    @pytest.mark.parametrize(
        ("content", "message", "truncated"),
        [
            (b"", "ends inside its header, after 0 bytes", True),
            (bytes((0, 0, 8, 2, 0, 0)), "ends inside its header, after 6 bytes", True),
            (bytes((0, 0, 8, 1, 0, 0, 0, 2, 7)), "says 2 bytes of data, but 1 follow", True),
            (bytes((0, 0, 8, 1, 0, 0, 0, 0, 7)), "says 0 bytes of data, but 1 follow", False),
            (bytes((0, 0, 9, 1, 0, 0, 0, 0)), "isn't an idx file of unsigned bytes", False),
            (bytes((0, 0, 8, 0)), "isn't an idx file of unsigned bytes", False),
        ],
        ids=["empty", "half a header", "short", "long", "signed", "rank 0"],
    )
    def test_errors(self, content, message, truncated):
        with pytest.raises(idx.IdxError, match=message) as error:
            idx.parse(content)
        assert error.value.truncated == truncated


class TestFolder:
    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere, which"):
            data.load("mnist", tmp_path / "nowhere")

    def test_missing_folder_of_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("BNN_TF_DATA_DIR", str(tmp_path / "nowhere"))
        with pytest.raises(FileNotFoundError, match=r"^BNN_TF_DATA_DIR names"):
            data.load("mnist")

    def test_default_is_the_cache_of_keras(self, tmp_path, monkeypatch):
        monkeypatch.delenv("BNN_TF_DATA_DIR", raising=False)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        assert data.data_folder() == tmp_path / "datasets"

    def test_digits_need_no_folder(self, monkeypatch):
        monkeypatch.delenv("BNN_TF_DATA_DIR", raising=False)
        assert data.load("digits").classes == 10


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`, from the offset that is asked for where `ranges`; breaks off after `limit` bytes."""

    content, ranges, limit, requests = b"", True, None, []

    def do_GET(self):
        offset = 0
        if self.ranges and (wanted := self.headers.get("Range")):
            offset = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.requests.append(offset)
        if offset and offset >= len(self.content):
            self.send_error(416)
            return
        body = self.content[offset:]
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.limit])

    def log_message(self, *_):
        pass


class TestDownload:
    CONTENT = gzip.compress(bytes(range(256)) * 40, mtime=0)

    @pytest.fixture
    def server(self, monkeypatch):
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        handler = type("Handler", (Server,), {"content": self.CONTENT, "requests": []})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
            thread.start()
            handler.url = f"http://127.0.0.1:{server.server_port}/"
            yield handler
            server.shutdown()
            thread.join()

    @staticmethod
    def check(file, path):
        if files.sha256(files.read(path)) != file.sha256:
            raise data.DataFileError(f"{path} is something else")

    def fetch(self, server, folder):
        file = files.RemoteFile("file.gz", server.url + "file.gz", files.sha256(gzip.decompress(self.CONTENT)))
        files.fetch_missing([file], folder, self.check)
        return folder / "file.gz"

    def test_whole(self, server, tmp_path):
        assert self.fetch(server, tmp_path / "new").read_bytes() == self.CONTENT
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.gz"]

    def test_what_is_there_is_not_fetched(self, server, tmp_path):
        (tmp_path / "file.gz").write_bytes(b"anything")
        self.fetch(server, tmp_path)
        assert server.requests == []

    def test_continues_where_it_broke_off(self, server, tmp_path):
        server.limit = 100
        with pytest.raises(data.MissingDataError, match=f"the connection broke after 100 of {len(self.CONTENT)} bytes"):
            self.fetch(server, tmp_path)
        assert not (tmp_path / "file.gz").exists()
        server.limit = None
        assert self.fetch(server, tmp_path).read_bytes() == self.CONTENT
        assert server.requests == [0, 100]

    def test_a_server_without_ranges_sends_all(self, server, tmp_path):
        server.ranges = False
        (tmp_path / "file.gz.part").write_bytes(self.CONTENT[:100])
        assert self.fetch(server, tmp_path).read_bytes() == self.CONTENT

    def test_a_whole_part_is_taken(self, server, tmp_path):
        (tmp_path / "file.gz.part").write_bytes(self.CONTENT)
        assert self.fetch(server, tmp_path).read_bytes() == self.CONTENT

    def test_a_wrong_download_is_dropped(self, server, tmp_path):
        server.content = b"<html>Please log in</html>"
        with pytest.raises(data.DataFileError, match="something else"):
            self.fetch(server, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_offline_says_what_to_put_where(self, tmp_path, monkeypatch):
        for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        with pytest.raises(data.MissingDataError) as error:
            data.load("mnist", tmp_path)
        message = str(error.value)
        assert message.startswith(
            f"Missing in {tmp_path / 'mnist'}: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-"
        )
        assert FAMILIES[0].url in message and "BNN_TF_DATA_DIR" in message and "--data-dir" in message
