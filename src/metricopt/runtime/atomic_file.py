"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from pathlib import Path

from .._errors import CheckpointError, WriteFailed

#: What `write_atomically` calls its temporary files: a dot, the name, the process, eight hex digits.
_TEMPORARY = re.compile(r"\..+\.[0-9]+\.[0-9a-f]{8}")
_RESTORE = "Restore it, or begin anew."


def write_atomically(path: str | os.PathLike[str], payload: bytes) -> None:
    """Replace the file at `path` by `payload`: a temporary file beside it, fsync, rename, fsync of the folder.

    Whoever reads `path` at any moment, also after a crash, sees the old bytes or the new ones. Missing
    parent folders are made.

    Raises: WriteFailed, which is an OSError, where the folder cannot be written; then the old file is untouched.
    """
    try:
        _replace(Path(path), payload)
    except OSError as error:
        raise write_failed(path, error) from error


def write_failed(path: str | os.PathLike[str], error: OSError) -> WriteFailed:
    """The error to raise where `path` cannot be written."""
    return WriteFailed(
        f"cannot write {os.fspath(path)!r}: {error.strerror or error}. "
        "Make room or rights there, or choose another place; what was there before is intact"
    )


def read_whole(path: str | os.PathLike[str], *, most: int = 1 << 30) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: it is no regular file (a pipe would block, a device would never end), too large, or
            unreadable.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise CheckpointError(f"cannot read {os.fspath(path)!r}: {error}. {_RESTORE}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError(f"{os.fspath(path)!r} is not a regular file. {_RESTORE}")
        if found.st_size > most:
            raise CheckpointError(f"{os.fspath(path)!r} has {found.st_size:,} bytes, more than {most:,}. {_RESTORE}")
        with os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read()
    except OSError as error:
        raise CheckpointError(f"cannot read {os.fspath(path)!r}: {error}. {_RESTORE}") from error
    finally:
        os.close(handle)


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """Thirty-two hex digits over the bytes of a regular file, however large. Raises CheckpointError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(f"{os.fspath(path)!r} is not a regular file. {_RESTORE}")
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise CheckpointError(f"cannot read {os.fspath(path)!r}: {error.strerror or error}. {_RESTORE}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in `folder` and its subfolders; nobody may be writing
    there."""
    for found in [*folder.glob(".*"), *folder.glob("[!.]*/.*")]:
        if _TEMPORARY.fullmatch(found.name) and found.is_file() and not found.is_symlink():
            found.unlink(missing_ok=True)


def write_all(handle: int, payload: bytes) -> None:
    """Write all of `payload`: one call of the system may take only a part of it."""
    while payload:
        payload = payload[os.write(handle, payload) :]


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk: a new or renamed file in it survives a crash only then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(target: Path, payload: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not a private temporary file: a result is meant to be shared like any other file, so the umask decides.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
