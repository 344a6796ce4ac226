"""Published files: found, verified, downloaded, and the messages where that fails."""

from __future__ import annotations

import gzip
import hashlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from metricopt._errors import DataError, MissingExtra
from metricopt.tasks.files import PublishedFile

CONTENT = b"1,2,3\n4,5,6\n"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the terminal."""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The data folder and the cache folder, both empty."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("METRICOPT_DATA", str(data))
    monkeypatch.setenv("METRICOPT_CACHE", str(cache))
    return data, cache


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A web server on this machine: the folder that it shows and its address."""
    folder = tmp_path / "www"
    folder.mkdir()
    with HTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def published(name: str = "table.csv", url: str = "http://127.0.0.1:9/none", content: bytes = CONTENT) -> PublishedFile:
    return PublishedFile(folder="set", name=name, url=url, sha256=hashlib.sha256(content).hexdigest())


def put(root: Path, name: str, packed: bytes) -> Path:
    path = root / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_is_found_in_the_data_folder_and_in_the_cache(places: tuple[Path, Path], place: int) -> None:
    put(places[place], "table.csv", CONTENT)
    assert published().read() == CONTENT


def test_the_data_folder_comes_first(places: tuple[Path, Path]) -> None:
    put(places[0], "table.csv", CONTENT)
    put(places[1], "table.csv", b"something else")
    assert published().read() == CONTENT


def test_without_a_data_folder_only_the_cache_is_looked_at(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METRICOPT_DATA")
    assert published().places() == [places[1] / "set" / "table.csv"]


@pytest.mark.parametrize("level", [1, 9])
def test_a_packed_file_is_verified_by_its_content(places: tuple[Path, Path], level: int) -> None:
    put(places[0], "table.csv.gz", gzip.compress(CONTENT, compresslevel=level, mtime=level))
    assert published("table.csv.gz").read() == CONTENT


@pytest.mark.parametrize(
    ("name", "packed", "complaint"),
    [
        ("table.csv", CONTENT[:-1], "is damaged or another version"),
        ("table.csv.gz", gzip.compress(CONTENT + b"7", mtime=0), "is damaged or another version"),
        ("table.csv.gz", gzip.compress(CONTENT, mtime=0)[:-9], "cannot be read"),
        ("table.csv.gz", b"not packed at all", "cannot be read"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_to_do(
    places: tuple[Path, Path], name: str, packed: bytes, complaint: str
) -> None:
    path = put(places[0], name, packed)
    with pytest.raises(DataError, match=complaint) as caught:
        published(name).read()
    message = str(caught.value)
    assert str(path) in message
    assert "Remove it. Set METRICOPT_DATA to a folder that holds" in message
    assert str(places[1] / "set" / name) in message


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_a_missing_file_is_downloaded_once(places: tuple[Path, Path], publisher: tuple[Path, str], name: str) -> None:
    pytest.importorskip("pooch")
    folder, address = publisher
    (folder / name).write_bytes(gzip.compress(CONTENT, mtime=0) if name.endswith(".gz") else CONTENT)
    file = published(name, f"{address}/{name}")
    assert file.read() == CONTENT
    assert (places[1] / "set" / name).is_file()
    (folder / name).unlink()
    assert file.read() == CONTENT


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_a_download_with_other_content_is_an_error(
    places: tuple[Path, Path], publisher: tuple[Path, str], name: str
) -> None:
    pytest.importorskip("pooch")
    folder, address = publisher
    (folder / name).write_bytes(gzip.compress(b"other", mtime=0) if name.endswith(".gz") else b"other")
    with pytest.raises(DataError, match="Set METRICOPT_DATA to a folder that holds"):
        published(name, f"{address}/{name}").read()


def test_a_failed_download_says_what_else_can_be_done(places: tuple[Path, Path], publisher: tuple[Path, str]) -> None:
    pytest.importorskip("pooch")
    with pytest.raises(DataError, match=r"could not be downloaded.*404.*Set METRICOPT_DATA"):
        published(url=f"{publisher[1]}/table.csv").read()
    assert not (places[1] / "set" / "table.csv").exists()


def test_without_pooch_the_extra_is_named(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'metricopt\[bench\]'"):
        published().read()
