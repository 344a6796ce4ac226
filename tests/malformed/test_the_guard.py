"""The guard sees what it is there to see: a reader that unpickles, or runs what a file says, is caught."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from .conftest import Reader
from .mutations import CANARY, PYTHON, Evil


@pytest.mark.parametrize(
    ("kind", "content", "deed"),
    [
        ("careless with pickles", pickle.dumps(Evil()), "pickle.find_class"),
        ("careless with text", PYTHON.encode(), "os.mkdir"),
        ("careless with paths", b"elsewhere", "write to 'elsewhere'"),
    ],
    ids=["pickle", "eval", "write"],
)
def test_a_careless_reader_is_caught(reader: Reader, tmp_path: Path, kind: str, content: bytes, deed: str) -> None:
    (tmp_path / "bait").write_bytes(content)
    reply = reader.read(kind, tmp_path / "bait")
    for made in (reader.home / CANARY, reader.home / "elsewhere"):
        if made.exists():
            made.rmdir() if made.is_dir() else made.unlink()
    assert any(deed in done for done in reply["deeds"]), reply
    with pytest.raises(AssertionError):
        reader.judge(reply, kind)


def test_an_error_of_another_kind_is_no_clear_error(reader: Reader, tmp_path: Path) -> None:
    reply = reader.read("no such kind", tmp_path)
    with pytest.raises(AssertionError, match="KeyError"):
        reader.judge(reply, "unknown")
