"""What is placed is there whole or not at all, and an error says whose it is."""

import errno
import os

import pytest

from bnn_tf.errors import ArgumentError
from bnn_tf.placing import check_file, check_folder, placed


@pytest.fixture
def net(tmp_path):
    """A file that must survive."""
    path = tmp_path / "net"
    path.write_text("kept")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_the_earlier_one(net):
    with placed(net) as part:
        part.write_text("new")
        assert net.read_text() == "kept"
    assert net.read_text() == "new" and names(net.parent) == ["net"]


def test_a_folder(tmp_path):
    with placed(tmp_path / "net") as part:
        part.mkdir()
        (part / "inner").write_text("new")
    assert names(tmp_path) == ["net"] and names(tmp_path / "net") == ["inner"]


@pytest.mark.parametrize("write", [lambda part: part.write_text("half"), lambda part: part.mkdir()])
def test_an_exception_leaves_what_was_there(net, write):
    with pytest.raises(KeyboardInterrupt), placed(net) as part:
        write(part)
        raise KeyboardInterrupt
    assert net.read_text() == "kept" and names(net.parent) == ["net"]


def test_nowhere_to_write_is_said_of_the_name_that_was_given(tmp_path):
    path = tmp_path / "none" / "net"
    with pytest.raises(FileNotFoundError) as caught, placed(path):
        pytest.fail("this is reached before anything is computed")
    assert caught.value.filename == str(path)


def test_a_full_disk_is_said_of_the_name_that_was_given(net, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left") as caught, placed(net) as part:
        part.write_text("new")
    assert caught.value.filename == str(net) and net.read_text() == "kept" and names(net.parent) == ["net"]


@pytest.mark.parametrize("error", [OSError("a library's words"), FileNotFoundError(errno.ENOENT, "none", "/other")])
def test_an_error_about_something_else_stays_as_it_is(net, error):
    with pytest.raises(OSError) as caught, placed(net):
        raise error
    assert caught.value is error and net.read_text() == "kept"


def test_checks(tmp_path, net):
    check_file("pack", net)
    check_folder("export", tmp_path / "new")
    with pytest.raises(ArgumentError, match=r"^pack: .* is a folder\. Name a file in it"):
        check_file("pack", tmp_path)
    with pytest.raises(ArgumentError, match=r"^export: .*net is there already\. Remove it"):
        check_folder("export", net)
    with pytest.raises(ArgumentError, match=r"^pack: there is no folder .*none to write net to\. Create it first"):
        check_file("pack", tmp_path / "none" / "net")
