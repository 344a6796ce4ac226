"""Tabular binary data sets by name, parsed once and then read from a cache of arrays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from .._errors import DataError
from .._random import derive_seed, generator
from .._registry import Registry
from .files import PublishedFile, cache_root, replacing


#: Part of every cache key: raise it when a parser changes what it returns.
PARSER_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows of numbers with a binary target: `features` (N, F) float32, `targets` (N,) float32 in {0, 1}.

    `checksum` names the content: two data sets with equal checksums hold equal numbers.
    """

    name: str
    features: Tensor
    targets: Tensor
    checksum: str

    def __len__(self) -> int:
        return self.features.shape[0]


#: The parsed form of a file: features (N, F) of a compact type, targets (N,) in {0, 1}.
Parsed = tuple[NDArray[np.generic], NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class FileSource:
    """A data set in published files: `parse` turns their contents, in order, into arrays."""

    files: tuple[PublishedFile, ...]
    parse: Callable[[tuple[bytes, ...]], Parsed]

    @property
    def checksum(self) -> str:
        text = "\n".join([f"parser {PARSER_VERSION}", *(file.sha256 for file in self.files)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def load(self, name: str) -> Dataset:
        """The parsed arrays. The cache entry is named by the content, so it can never be stale."""
        cached = cache_root() / "parsed" / f"{name}-{self.checksum}.safetensors"
        arrays = _read_arrays(cached)
        if arrays is None:
            arrays = self.parse(tuple(file.read() for file in self.files))
            with replacing(cached) as temporary:
                save_file({"features": arrays[0], "targets": arrays[1]}, temporary)
        return _dataset(name, arrays, self.checksum)


def _read_arrays(path: Path) -> Parsed | None:
    """The arrays of a cache entry, None where there is no readable one: it can always be made again."""
    if not path.is_file():
        return None
    try:
        arrays = load_file(path)
        return arrays["features"], arrays["targets"]
    except (SafetensorError, KeyError):
        return None


def _dataset(name: str, arrays: Parsed, checksum: str) -> Dataset:
    features, targets = (torch.from_numpy(array).to(torch.float32) for array in arrays)
    return Dataset(name=name, features=features, targets=targets, checksum=checksum)


def parse_libsvm(contents: tuple[bytes, ...], *, n_features: int) -> Parsed:
    """LIBSVM text, `label index:value ...` with indices from 1; the files are stacked, labels above 0 are class 1.

    >>> parse_libsvm((b"-1 1:1 3:1\\n+1 2:1\\n",), n_features=3)[0].tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    from sklearn.datasets import load_svmlight_files

    try:
        parts = load_svmlight_files([io.BytesIO(c) for c in contents], n_features=n_features, zero_based=False)
    except (ValueError, OverflowError) as error:
        raise DataError(f"this is not LIBSVM text with {n_features} features: {error}") from error
    features = np.concatenate([part.toarray() for part in parts[0::2]])
    small = features.astype(np.uint8)
    exact = small if np.array_equal(small, features) else features.astype(np.float32)
    return exact, (np.concatenate(parts[1::2]) > 0).astype(np.uint8)


def parse_covtype(contents: tuple[bytes, ...], *, n_features: int = 54) -> Parsed:
    """Comma-separated integers, the cover type 1..7 last; class 2 (lodgepole pine) against the rest."""
    (text,) = contents
    flat = text.rstrip().replace(b"\n", b",")
    try:
        # One pass in C over one flat list: 2 s for 32 million numbers, where np.loadtxt takes a minute.
        numbers = np.fromstring(flat, dtype=np.int16, sep=",")
    except (ValueError, DeprecationWarning) as error:
        raise DataError(f"this is not the CoverType table of integers: {error}") from error
    if numbers.size != flat.count(b",") + 1 or numbers.size % (n_features + 1):
        raise DataError(
            f"this is not the CoverType table: {numbers.size} numbers do not make rows of {n_features} features and "
            "a label"
        )
    table = numbers.reshape(-1, n_features + 1)
    labels = table[:, -1]
    if labels.min() < 1 or labels.max() > 7:
        raise DataError(f"a cover type is 1 to 7, this table has {labels.min()} to {labels.max()}")
    return np.ascontiguousarray(table[:, :-1]), (labels == 2).astype(np.uint8)


def _parse_a9a(contents: tuple[bytes, ...]) -> Parsed:
    return parse_libsvm(contents, n_features=123)


_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"

A9A = FileSource(
    files=(
        PublishedFile(
            folder="a9a",
            name="a9a",
            url=f"{_LIBSVM}/a9a",
            sha256="f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906",
        ),
        PublishedFile(
            folder="a9a",
            name="a9a.t",
            url=f"{_LIBSVM}/a9a.t",
            sha256="1f448a153f0320399a7e40836eb207655b0bde0f21fc941cc472193daa9f5de9",
        ),
    ),
    parse=_parse_a9a,
)

COVTYPE = FileSource(
    files=(
        PublishedFile(
            folder="covtype",
            name="covtype.data.gz",
            url=f"{_UCI}/covtype/covtype.data.gz",
            sha256="0a9371cef7c964b5475d6053cc3e0894a5aa6f65ad1ed3ecb01c45aa96217945",
        ),
    ),
    parse=parse_covtype,
)


def _breast_cancer(name: str) -> Dataset:
    """569 rows that come with scikit-learn; class 1 is malignant, the rarer one."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    arrays = features.astype(np.float32), (labels == 0).astype(np.uint8)
    return _dataset(name, arrays, hashlib.sha256(arrays[0].tobytes() + arrays[1].tobytes()).hexdigest()[:16])


def synthetic(*, rows: int = 4000, features: int = 12, seed: int = 0, name: str = "synthetic") -> Dataset:
    """Gaussian rows with a curved border and noise: about a quarter positive, always the same for one seed.

    The label is drawn from sigmoid(2 (x1 + x2 x3 - |x4| + .5 x5 - .9)), the other features say nothing.

    >>> data = synthetic(rows=100)
    >>> data.features.shape, len(data)
    (torch.Size([100, 12]), 100)
    """
    source = generator(seed, "synthetic", rows, features)
    x = torch.randn(rows, features, generator=source)
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3].abs() + 0.5 * x[:, 4] - 0.9
    y = (torch.rand(rows, generator=source) < torch.sigmoid(2 * score)).float()
    checksum = f"{derive_seed(seed, 'synthetic', rows, features):016x}"
    return Dataset(name=name, features=x, targets=y, checksum=checksum)


#: Data sets by name: `DATASETS[name](name)` loads one.
DATASETS: Registry[Callable[[str], Dataset]] = Registry("data set")
DATASETS.add("a9a", A9A.load)
DATASETS.add("covtype", COVTYPE.load)
DATASETS.add("breast_cancer", _breast_cancer)
DATASETS.add("synthetic", lambda name: synthetic(name=name))


def load_dataset(name: str) -> Dataset:
    """The data set of this name; raises ConfigError with the names there are, DataError where its files are not.

    >>> load_dataset("breast_cancer").features.shape
    torch.Size([569, 30])
    """
    return DATASETS[name](name)
