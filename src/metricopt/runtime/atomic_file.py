"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], payload: bytes) -> None:
    """Replace the file at `path` by `payload`: a temporary file beside it, fsync, rename, fsync of the folder.

    Whoever reads `path` at any moment, also after a crash, sees the old bytes or the new ones. Missing
    parent folders are made.

    Raises: OSError where the folder cannot be written; then the old file is untouched.
    """
    target = Path(path)
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


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk: a new or renamed file in it survives a crash only then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
