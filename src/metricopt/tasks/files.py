"""Published data files: where they are looked for, how they are downloaded, and that they are the right bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from .._errors import DataError
from .._extras import require
from .disk_cache import cache_root

#: Environment variable with the folder of data files that are already there.
DATA_VARIABLE = "METRICOPT_DATA"


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file as its publisher offers it.

    `sha256` is taken over the content. For a `.gz` file that is the decompressed content, because the same
    data are found packed by different versions of gzip.
    """

    folder: str
    name: str
    url: str
    sha256: str

    @property
    def relative(self) -> Path:
        return Path(self.folder) / self.name

    def places(self) -> list[Path]:
        """Where the file is looked for, first place first."""
        data = os.environ.get(DATA_VARIABLE)
        roots = [Path(data).expanduser()] if data else []
        return [root / self.relative for root in (*roots, cache_root())]

    def read(self) -> bytes:
        """The decompressed, verified content of the first place that has the file, else of a fresh download.

        Raises:
            DataError: the file is nowhere and cannot be downloaded, or its content is not the published one.
            MissingExtra: a download is needed and pooch is not installed.
        """
        for place in self.places():
            if place.is_file():
                return self._verified(place)
        return self._verified(self._download())

    def _verified(self, path: Path) -> bytes:
        try:
            content = path.read_bytes()
            if self.name.endswith(".gz"):
                content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}. Remove it. {self._what_to_do()}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise DataError(
                f"{path} is damaged or another version: its content has sha256 {found}, "
                f"the published one has {self.sha256}. Remove it. {self._what_to_do()}"
            )
        return content

    def _download(self) -> Path:
        pooch = require("pooch", extra="bench", purpose=f"downloading {self.url}")
        # The publisher's packed bytes of a .gz are not known for sure: its content is checked after reading.
        known = None if self.name.endswith(".gz") else f"sha256:{self.sha256}"
        folder = cache_root() / self.folder
        try:
            return Path(pooch.retrieve(self.url, known_hash=known, fname=self.name, path=folder))
        except Exception as error:  # the errors of requests and urllib3 come through, and a ValueError for the hash
            raise DataError(f"{self.url} could not be downloaded: {error}. {self._what_to_do()}") from error

    def _what_to_do(self) -> str:
        looked = ", ".join(str(place) for place in self.places())
        return (
            f"Set {DATA_VARIABLE} to a folder that holds {self.relative}, or allow the download from {self.url}. "
            f"Looked in: {looked}"
        )
