"""Unpacking a publisher's tar archive, of which nothing is trusted.

What is wanted has its name from us, not from the archive; an archive with a member that points outside is refused as a
whole. Each file appears under its name when it is whole.
"""

import os
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from bnn_tf.data.files import DataFileError


def unpack(archive: Path, folder: Path, wanted: str) -> int:
    """Unpacks the regular files that are wanted; those that lie in `folder` already are replaced.

    Args:
        archive: a tar file, packed or not.
        folder: where the files go; created if need be.
        wanted: a regular expression for a member's whole path; its first group is the file's path in `folder`.

    Returns:
        How many files were unpacked.

    Raises:
        DataFileError: names an archive that is truncated, corrupt, no archive at all, or that would write outside
            `folder`.
    """
    pattern = re.compile(wanted)
    try:
        with tarfile.open(archive) as tar:
            chosen = []
            for member in tar:
                _refuse_outside(archive, member)
                match = pattern.fullmatch(PurePosixPath(member.name).as_posix())
                if match and member.isreg():
                    chosen.append((member, folder / match[1]))
            for member, path in chosen:
                _write(tar, member, path)
            return len(chosen)
    except EOFError:
        raise DataFileError(f"{archive} is truncated: it ends inside a member. Delete it and get it again.") from None
    except tarfile.ReadError as error:
        state = "truncated" if "unexpected end" in str(error) else "corrupt"
        raise DataFileError(f"{archive} is {state}: {error}. Delete it and get it again.") from None
    except (tarfile.TarError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # A full disk is no fault of the archive.
            raise
        raise DataFileError(f"{archive} is corrupt: {error}. Delete it and get it again.") from None


def _refuse_outside(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataFileError(
            f"{archive} is refused: its member {member.name!r} points outside. It isn't the publisher's."
        )


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None  # A regular file has one.
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # Another process may be unpacking the same archive.
    data = content.read()
    if len(data) < member.size:
        raise EOFError
    part.write_bytes(data)
    os.replace(part, path)
