"""CIFAR: the real files, and each kind of broken, swapped or hostile one."""

import collections
import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from bnn_tf import data
from bnn_tf.data import cifar, cifar_classes, pickles
from bnn_tf.data.archive import unpack
from bnn_tf.data.files import RemoteFile

SMALL = 20  # images a training batch, two of each class


@pytest.mark.data
class TestReal:
    def test_cifar10(self, data_dir):
        dataset = data.load("cifar10", data_dir)
        assert dataset.x_train.shape == (50000, 32, 32, 3) and dataset.x_test.shape == (10000, 32, 32, 3)
        assert dataset.x_train.dtype == np.uint8 and dataset.y_train.dtype == np.int64
        assert dataset.histogram("train").tolist() == [5000] * 10
        assert dataset.histogram("test").tolist() == [1000] * 10
        assert dataset.class_names[3] == "cat" and dataset.input_shape == (32, 32, 3)
        # The means that are published of it, exactly, whatever the order of the rows.
        published = [125.306918046875, 122.950394140625, 113.86538318359375]
        assert (dataset.x_train.sum(axis=(0, 1, 2)) / (50000 * 1024)).tolist() == published
        np.testing.assert_array_equal(dataset.mean, np.float32(published))
        np.testing.assert_allclose(dataset.deviation / 255, [0.2470, 0.2435, 0.2616], atol=5e-5)

    def test_cifar100(self, data_dir):
        dataset = data.load("cifar100", data_dir)
        assert dataset.histogram("train").tolist() == [500] * 100
        assert dataset.histogram("test").tolist() == [100] * 100
        assert dataset.class_names[0] == "apple" and dataset.class_names[-1] == "worm"
        # Copies whose pixels went through JPEG are in use: a mean of 50 million pixels hardly moves by that.
        np.testing.assert_allclose(dataset.mean, [129.3, 124.1, 112.4], atol=0.1)
        coarse = data.load("cifar100-coarse", data_dir)
        assert coarse.classes == 20 and coarse.name == "cifar100-coarse"
        assert coarse.histogram("train").tolist() == [2500] * 20
        assert np.array_equal(coarse.x_test, dataset.x_test)
        apples = dataset.y_train == 0
        assert {coarse.class_names[label] for label in coarse.y_train[apples]} == {"fruit_and_vegetables"}

    def test_one_wrong_pixel(self, data_dir, tmp_path):
        (tmp_path / "cifar-10-batches-py").mkdir()
        for file in (data_dir / "cifar-10-batches-py").iterdir():
            (tmp_path / "cifar-10-batches-py" / file.name).symlink_to(file)
        path = tmp_path / "cifar-10-batches-py" / "test_batch"
        content = pickles.loads(path.read_bytes())
        content[b"data"] = content[b"data"].copy()
        content[b"data"][5, 17] ^= 1
        path.unlink()
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(data.DataFileError, match=f"{path} is corrupt: the sorted rows have sha256"):
            data.load("cifar10", tmp_path)


class TestClasses:
    def test_superclasses(self):
        assert len(cifar_classes.CIFAR100) == len(set(cifar_classes.CIFAR100)) == 100
        assert list(cifar_classes.SUPERCLASSES) == sorted(cifar_classes.SUPERCLASSES)
        coarse = cifar_classes.coarse_labels(np.arange(100))
        assert coarse[:10].tolist() == [4, 1, 14, 8, 0, 6, 7, 7, 18, 3]
        assert np.bincount(coarse).tolist() == [5] * 20

    def test_names_are_those_in_the_file(self, data_dir):
        meta = pickles.loads((data_dir / "cifar-100-python" / "meta").read_bytes())
        assert tuple(name.decode() for name in meta[b"fine_label_names"]) == cifar_classes.CIFAR100


# Files in the publisher's form, small.


def batch(name, number, count, seed):
    random = np.random.default_rng(seed)
    return {
        b"batch_label": f"{name} batch {number} of {5 if name == 'training' else 1}".encode(),
        b"labels": [label % 10 for label in range(count)],
        b"data": random.integers(0, 256, (count, 3072), dtype=np.uint8),
        b"filenames": [b"%d.png" % i for i in range(count)],
    }


CONTENT = {f"data_batch_{i}": batch("training", i, SMALL, i) for i in range(1, 6)} | {
    "test_batch": batch("testing", 1, 10, 6)
}


def small_spec(url="http://127.0.0.1:9/", archive=b""):
    """CIFAR-10 with the counts and digests of `CONTENT`."""
    spec = replace(
        cifar._CIFAR10,
        archive=RemoteFile(
            "cifar-10-python.tar.gz", f"{url}cifar-10-python.tar.gz", None, hashlib.sha256(archive).hexdigest()
        ),
        counts=(5 * SMALL // 10, 1),
        rows=None,
    )
    rows = [[Rows(CONTENT[name]) for name in names] for names in (spec.train, spec.test)]
    return replace(spec, rows=(cifar.rows_digest(rows[0]), cifar.rows_digest(rows[1])))


class Rows:
    def __init__(self, content):
        self.pixels, self.labels = content[b"data"], np.array(content[b"labels"])


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "cifar-10-batches-py"
    own.mkdir()
    for name, content in CONTENT.items():
        (own / name).write_bytes(pickle.dumps(content, protocol=4))
    return own


def load_error(folder, spec=None):
    with pytest.raises(data.DataFileError) as error:
        cifar.load_cifar(spec or small_spec(), folder.parent)
    return str(error.value)


class TestFiles:
    @pytest.mark.parametrize("protocol", range(6))
    def test_every_protocol(self, folder, protocol):
        for name, content in CONTENT.items():
            (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
        dataset = cifar.load_cifar(small_spec(), folder.parent)
        assert dataset.x_train.shape == (5 * SMALL, 32, 32, 3)
        row = CONTENT["data_batch_2"][b"data"][3]
        assert dataset.x_train[SMALL + 3, 1, 2].tolist() == [row[34], row[1024 + 34], row[2048 + 34]]

    def test_python_2(self, folder):
        """As the publisher's Python wrote them: strings of bytes and the names of NumPy 1, protocol 2."""
        pixels = CONTENT["test_batch"][b"data"]
        text = pixels.tobytes()
        program = (
            b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(" + b"".join(b"K%c" % label for label in range(10)) + b"e"
            b"U\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07"
            b"(K\x01K\x0aM\x00\x0c\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09"
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
            b"T" + len(text).to_bytes(4, "little") + text + b"tbu."
        )
        (folder / "test_batch").write_bytes(program)
        dataset = cifar.load_cifar(small_spec(), folder.parent)
        assert np.array_equal(dataset.x_test[:, :, :, 0].reshape(10, 1024), pixels[:, :1024])

    def test_rows_in_another_order(self, folder):
        names = [f"data_batch_{i}" for i in range(1, 6)]
        order = np.random.default_rng(0).permutation(5 * SMALL)
        pixels = np.concatenate([CONTENT[name][b"data"] for name in names])[order].reshape(5, SMALL, 3072)
        labels = np.concatenate([CONTENT[name][b"labels"] for name in names])[order].reshape(5, SMALL)
        for name, x, y in zip(names, pixels, labels, strict=True):
            (folder / name).write_bytes(pickle.dumps({b"data": x, b"labels": y.tolist()}))
        assert cifar.load_cifar(small_spec(), folder.parent).count("train") == 5 * SMALL

    @pytest.mark.parametrize("length", [0, 1, 20, 100, 5000, 30000])
    def test_truncated(self, folder, length):
        path = folder / "data_batch_3"
        path.write_bytes(path.read_bytes()[:length])
        assert f"{path} is truncated: " in load_error(folder)

    def test_something_else(self, folder):
        path = folder / "data_batch_3"
        path.write_bytes(b"<html>Please log in</html>")
        assert f"{path} is corrupt: " in load_error(folder)
        path.write_bytes(pickle.dumps([1, 2]))
        assert f"{path} is another file under this name: it holds no dict" in load_error(folder)

    def test_damaged_bytes_never_raise_anything_else(self, folder, rng):
        path, good = folder / "test_batch", pickle.dumps(CONTENT["test_batch"], protocol=4)
        head = len(good) - 30720
        for _ in range(300):
            content = bytearray(good)
            content[rng.choice(np.r_[0:300, head - 100 : head])] = rng.integers(256)
            path.write_bytes(content)
            try:
                dataset = cifar.load_cifar(small_spec(), folder.parent)
            except data.DataFileError as error:
                assert str(path) in str(error)
            else:  # A byte that no array depends on, or the one that was there.
                assert np.array_equal(dataset.y_test, CONTENT["test_batch"][b"labels"])

    def test_a_wrong_pixel_is_in_one_of_the_unknown_files(self, folder):
        content = dict(CONTENT["data_batch_2"])
        content[b"data"] = content[b"data"] ^ np.uint8(1)
        (folder / "data_batch_2").write_bytes(pickle.dumps(content))
        message = load_error(folder)
        assert message.startswith(f"One of {folder / 'data_batch_1'}, {folder / 'data_batch_2'}, ")
        assert "is corrupt: the sorted rows have sha256" in message

    def test_the_publishers_files_are_not_suspected(self, folder):
        content = dict(CONTENT["data_batch_2"])
        content[b"data"] = content[b"data"] ^ np.uint8(1)
        (folder / "data_batch_2").write_bytes(pickle.dumps(content))
        train = {name: hashlib.md5(pickle.dumps(CONTENT[name], protocol=4)).hexdigest() for name in small_spec().train}
        message = load_error(folder, replace(small_spec(), train=train))
        assert message.startswith(f"{folder / 'data_batch_2'} is corrupt: ")

    def test_a_label_too_many(self, folder):
        content = dict(CONTENT["test_batch"])
        content[b"labels"] = [0, 0, *content[b"labels"][2:]]
        (folder / "test_batch").write_bytes(pickle.dumps(content))
        assert "there are 2 images of 'airplane', where cifar10 has 1" in load_error(folder)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({b"data": np.zeros((10, 3071), np.uint8)}, "its `data` is no array of rows of 3072 bytes"),
            ({b"data": [1, 2]}, "its `data` is no array of rows"),
            ({b"data": np.zeros((10, 3072), np.float64)}, "it has an array of type 'f8'"),
            ({b"labels": [1, 2]}, "it has no `labels` for its 10 images"),
            ({b"labels": [10] * 10}, r"labels that aren't in 0..9"),
            ({b"labels": ["cat"] * 10}, r"labels that aren't in 0..9"),
            ({b"labels": None}, "it has no `labels`"),
        ],
        ids=["rows", "list", "float", "few labels", "labels out of range", "words", "no labels"],
    )
    def test_other_content(self, folder, change, message):
        (folder / "test_batch").write_bytes(pickle.dumps(CONTENT["test_batch"] | change))
        error = load_error(folder)
        assert f"{folder / 'test_batch'} is corrupt: " in error and message in error

    @pytest.mark.parametrize("other", ["data_batch_4", "test_batch"])
    def test_swapped(self, folder, other):
        path = folder / "data_batch_1"
        path.write_bytes((folder / other).read_bytes())
        assert f"{path} holds {other}, not cifar10's data_batch_1: files were swapped" in load_error(folder)

    def test_a_file_of_the_other_set(self, folder):
        path = folder / "test_batch"
        path.write_bytes(pickle.dumps({b"fine_labels": [1], b"data": np.zeros((1, 3072), np.uint8)}))
        assert f"{path} holds a file of CIFAR-100, not cifar10's test_batch" in load_error(folder)


class TestCifar100:
    @pytest.fixture
    def hundred(self, tmp_path):
        own = tmp_path / "cifar-100-python"
        own.mkdir()
        for name, count in (("train", 200), ("test", 100)):
            (own / name).write_bytes(pickle.dumps(self.content(count)))
        return own

    @staticmethod
    def content(count):
        fine = np.arange(count) % 100
        pixels = np.full((count, 3072), 7, np.uint8)
        return {
            b"fine_labels": fine.tolist(),
            b"coarse_labels": cifar_classes.coarse_labels(fine).tolist(),
            b"data": pixels,
        }

    SPEC = replace(cifar._CIFAR100, counts=(2, 1))

    def test_coarse(self, hundred):
        dataset = cifar.load_cifar(self.SPEC, hundred.parent, coarse=True)
        assert dataset.histogram("train").tolist() == [10] * 20

    def test_parts_swapped(self, hundred):
        (hundred / "train").write_bytes((hundred / "test").read_bytes())
        message = load_error(hundred, self.SPEC)
        assert f"{hundred / 'train'} holds cifar100's test: files were swapped" in message

    def test_coarse_labels_that_contradict(self, hundred):
        content = self.content(100)
        content[b"coarse_labels"][3] += 1
        (hundred / "test").write_bytes(pickle.dumps(content))
        assert "its `coarse_labels` contradict its `fine_labels`" in load_error(hundred, self.SPEC)


class Hostile:
    """Unpickling one leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class TestHostilePickles:
    def test_nothing_is_run(self, folder, tmp_path):
        trace = tmp_path / "trace"
        (folder / "test_batch").write_bytes(pickle.dumps(CONTENT["test_batch"] | {b"x": Hostile(trace)}))
        assert "is corrupt: it asks for io.open, which data has no need of" in load_error(folder)
        assert not trace.exists()
        pickle.loads((folder / "test_batch").read_bytes())[b"x"].close()
        assert trace.exists()  # So it would have been run.

    @pytest.mark.parametrize(
        "value", [collections.OrderedDict(a=1), np.float64(3), np.ma.zeros(3), {1}.union, hashlib.sha256, 1j],
        ids=["OrderedDict", "scalar", "masked", "method", "function", "complex"],
    )  # fmt: skip
    def test_only_arrays_lists_and_dicts(self, value):
        with pytest.raises(pickles.PickleError, match="it asks for"):
            pickles.loads(pickle.dumps({"value": value}))

    def test_arrays_of_objects(self):
        with pytest.raises(pickles.PickleError, match="it has an array of type 'O8'"):
            pickles.loads(pickle.dumps(np.array([None])))

    def test_a_shape_that_its_bytes_do_not_fill(self):
        content = pickle.dumps({"data": np.zeros((3, 5), np.uint8)}, protocol=2).replace(b"K\x03K\x05", b"K\x03K\xff")
        with pytest.raises(pickles.PickleError, match=r"its array of shape \(3, 255\) needs 765 bytes and has 15"):
            pickles.loads(content)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_both_orders(self, order, rng):
        array = np.asarray(rng.integers(0, 256, (4, 6), dtype=np.uint8), order=order)
        for protocol in (2, 4, 5):
            read = pickles.loads(pickle.dumps({"a": array}, protocol=protocol))
            np.testing.assert_array_equal(next(iter(read.values())), array)


def packed(members):
    """A tar.gz of (name, content) or of `TarInfo`s."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


ARCHIVE = packed([(f"cifar-10-batches-py/{name}", pickle.dumps(content)) for name, content in CONTENT.items()])


class TestArchive:
    def test_beside_the_folder(self, tmp_path):
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(ARCHIVE)
        assert cifar.load_cifar(small_spec(), tmp_path).count("test") == 10
        assert sorted(path.name for path in (tmp_path / "cifar-10-batches-py").iterdir()) == sorted(CONTENT)
        assert (tmp_path / "cifar-10-python.tar.gz").exists()  # It was put there by hand: it stays.

    def test_a_hostile_archive_writes_nothing(self, tmp_path):
        for name in ("../evil", "/tmp/evil", "cifar-10-batches-py/../../evil"):
            path = tmp_path / "a.tar.gz"
            path.write_bytes(packed([("cifar-10-batches-py/test_batch", b"x"), (name, b"evil")]))
            with pytest.raises(data.DataFileError, match=r"a.tar.gz is refused: its member '.*' points outside"):
                unpack(path, tmp_path / "out", r"cifar-10-batches-py/(.*)")
            assert not (tmp_path / "out").exists() and not (tmp_path / "evil").exists()

    def test_links_are_left_out(self, tmp_path):
        link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        (tmp_path / "a.tar.gz").write_bytes(packed([link]))
        assert unpack(tmp_path / "a.tar.gz", tmp_path / "out", r"cifar-10-batches-py/(test_batch)") == 0

    @pytest.mark.parametrize("length", [10, 1000, len(ARCHIVE) // 2, len(ARCHIVE) - 2000])
    def test_truncated(self, tmp_path, length):
        path = tmp_path / "cifar-10-python.tar.gz"
        path.write_bytes(ARCHIVE[:length])
        assert f"{path} is truncated" in load_error(tmp_path / "cifar-10-batches-py")

    def test_corrupt(self, tmp_path):
        path = tmp_path / "cifar-10-python.tar.gz"
        path.write_bytes(b"<html>Please log in</html>" * 100)
        assert f"{path} is corrupt" in load_error(tmp_path / "cifar-10-batches-py")

    def test_another_archive(self, tmp_path):
        path = tmp_path / "cifar-10-python.tar.gz"
        path.write_bytes(packed([("something/else", b"x")]))
        message = load_error(tmp_path / "cifar-10-batches-py")
        assert f"{path} is another archive under this name: it has no cifar-10-batches-py/data_batch_1" in message


class Server(http.server.BaseHTTPRequestHandler):
    content, limit = ARCHIVE, None

    def do_GET(self):
        assert urlsplit(self.path).path == "/cifar-10-python.tar.gz"
        offset = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(self.content) - offset))
        self.end_headers()
        self.wfile.write(self.content[offset:][: self.limit])

    def log_message(self, *_):
        pass


class TestDownload:
    @pytest.fixture
    def server(self, monkeypatch):
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        handler = type("Handler", (Server,), {})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
            thread.start()
            handler.url = f"http://127.0.0.1:{server.server_port}/"
            yield handler
            server.shutdown()
            thread.join()

    def test_downloaded_unpacked_and_dropped(self, server, tmp_path):
        server.limit = 1000
        with pytest.raises(data.MissingDataError, match="the connection broke after 1000 of"):
            cifar.load_cifar(small_spec(server.url, ARCHIVE), tmp_path)
        server.limit = None
        assert cifar.load_cifar(small_spec(server.url, ARCHIVE), tmp_path).count("train") == 5 * SMALL
        assert sorted(path.name for path in (tmp_path / "cifar-10-batches-py").iterdir()) == sorted(CONTENT)

    def test_a_wrong_download(self, server, tmp_path):
        server.content = b"<html>Please log in</html>"
        with pytest.raises(data.DataFileError, match="isn't the published file: its sha256 is"):
            cifar.load_cifar(small_spec(server.url, ARCHIVE), tmp_path)
        assert list((tmp_path / "cifar-10-batches-py").iterdir()) == []

    def test_offline(self, tmp_path, monkeypatch):
        for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        with pytest.raises(data.MissingDataError) as error:
            data.load("cifar10", tmp_path)
        message = str(error.value)
        assert message.startswith(f"Missing in {tmp_path / 'cifar-10-batches-py'}: cifar-10-python.tar.gz; and no")
        assert "https://www.cs.toronto.edu/~kriz/), or, unpacked, data_batch_1, data_batch_2" in message
