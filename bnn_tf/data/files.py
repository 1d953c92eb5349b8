"""Where data files lie, how they get there, and whether they are what they should be.

Every check is on the decompressed content, so that a file which someone compressed again passes.
"""

import gzip
import hashlib
import logging
import os
import shutil
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from bnn_tf.errors import UserError

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 30


class MissingDataError(UserError, FileNotFoundError):
    """Files that are neither there nor to be had; the message says what to put where."""


class DataFileError(UserError, ValueError):
    """A file whose content isn't what its name promises."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: its name.
        url: where its publisher offers it.
        sha256: of its content; of a gzip file that of the decompressed content, None where nobody publishes it.
        packed_sha256: of the file as it is, where that is what is published.
    """

    name: str
    url: str
    sha256: str | None
    packed_sha256: str | None = None


def keras_home() -> Path:
    """Where Keras keeps what it downloads: `KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the data sets' folders: `data_dir`, or `BNN_TF_DATA_DIR`, or Keras' cache.

    Raises:
        MissingDataError: where a folder is named that doesn't exist.
    """
    named = data_dir if data_dir is not None else os.environ.get("BNN_TF_DATA_DIR")
    if named is None or named == "":
        return keras_home() / "datasets"
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "BNN_TF_DATA_DIR" if data_dir is None else "the data folder"
        raise MissingDataError(f"{origin} names {folder}, which is no folder. Create it or name another one.")
    return folder


def find(file: RemoteFile, folder: Path) -> Path | None:
    """`file` in `folder`, as it was published or unpacked; None where it isn't there."""
    return next((path for path in forms(folder / file.name) if path.is_file()), None)


def forms(path: Path) -> tuple[Path, Path]:
    """Where a file lies as it was published, and where it lies unpacked."""
    return path, path.with_name(path.name.removesuffix(".gz"))


def read(path: Path) -> bytes:
    """The content of `path`, decompressed if it is gzip.

    Raises:
        DataFileError: names the file and tells a truncated one from a corrupt one.
    """
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DataFileError(
            f"{path} is truncated: it ends after {len(content)} bytes, inside its gzip stream. "
            "Delete it to have it downloaded again."
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError(f"{path} is corrupt: {error}. Delete it to have it downloaded again.") from None


def sha256(content: bytes) -> str:
    """The digest that `RemoteFile.sha256` is compared with."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """The digest of a file as it is, however large."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_packed(file: RemoteFile, path: Path) -> None:
    """Checks a download that is kept as its publisher packed it.

    Raises:
        DataFileError: where it isn't that file.
    """
    digest = file_sha256(path)
    if digest != file.packed_sha256:
        raise DataFileError(
            f"The download of {file.url} isn't the published file: its sha256 is {digest}, not {file.packed_sha256}. "
            "It was dropped; try again, or get the file elsewhere."
        )


def fetch_missing(
    files: Sequence[RemoteFile], folder: Path, check: Callable[[RemoteFile, Path], object], instead: str = ""
) -> None:
    """Downloads what `folder` lacks; whole files stay, a partial one is continued where it broke off.

    Args:
        files: what should be in `folder`.
        folder: where it should be.
        check: raises `DataFileError` for a download that isn't what it should be.
        instead: what may lie there in place of the files, for the message.

    Raises:
        MissingDataError: names every file that is still missing, the folder, and the publisher's addresses.
        DataFileError: what `check` raised; the download is dropped.
    """
    for file in files:
        if find(file, folder) is not None:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f"{file.name}.part"
            _LOG.info("downloading %s to %s", file.url, folder)
            _download(file.url, part)
        except (urllib.error.URLError, HTTPException, OSError) as error:
            missing = [other for other in files if find(other, folder) is None]
            addresses = sorted({other.url.removesuffix(other.name) for other in missing})
            raise MissingDataError(
                f"Missing in {folder}: {', '.join(other.name for other in missing)}; "
                f"and no download: {_reason(error)}. Put them there by hand (from {', '.join(addresses)})"
                f"{f', {instead}' if instead else ''}, or name the folder above theirs with --data-dir or "
                "BNN_TF_DATA_DIR."
            ) from None
        try:
            check(file, part)
        except DataFileError:
            part.unlink()
            raise
        os.replace(part, folder / file.name)


def _download(url: str, part: Path) -> None:
    """Completes `part`, asking only for the bytes it lacks; a server that can't do that sends all."""
    offset = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            continued = response.status == 206
            with open(part, "ab" if continued else "wb") as file:
                shutil.copyfileobj(response, file)
            announced = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        if error.code == 416 and offset:  # Nothing left to send: whole, or no longer the same file. The check tells.
            return
        raise
    received = part.stat().st_size - (offset if continued else 0)
    if announced is not None and received < int(announced):
        raise OSError(f"the connection broke after {received} of {announced} bytes; run again to continue")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return f"{type(error).__name__}, {reason}"
