"""Tabular binary data sets by name, parsed once and then read from a cache of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .._random import generator
from .._registry import Registry
from ..runtime import write_tensors
from .disk_cache import entries_root, read_entry
from .files import PublishedFile
from .parse import Parsed, parse_covtype, parse_libsvm
from .pretrain import Pretraining

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


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A data set in published files: `parse` turns their contents, in order, into arrays."""

    name: str
    files: tuple[PublishedFile, ...]
    parse: Callable[[tuple[bytes, ...]], Parsed]

    @property
    def checksum(self) -> str:
        return _short_hash("\n".join([f"parser {PARSER_VERSION}", *(file.sha256 for file in self.files)]).encode())

    def load(self) -> Dataset:
        """The parsed arrays. The cache entry is named by the files' checksums, so it is never stale.

        Raises:
            DataError: a file is missing or damaged.
            CheckpointError: the cache entry is damaged.
        """
        path = entries_root() / "tables" / f"{self.name}-{self.checksum}.safetensors"
        if not path.is_file():
            features, targets = self.parse(tuple(file.read() for file in self.files))
            arrays = {"features": torch.from_numpy(features), "targets": torch.from_numpy(targets)}
            write_tensors(path, arrays, kind="parsed table", version=PARSER_VERSION, settings={"name": self.name})
        found, _ = read_entry(path, kind="parsed table", version=PARSER_VERSION)
        return _dataset(self.name, found["features"], found["targets"], self.checksum)


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set and the recipe that trains a sound network on it."""

    title: str
    load: Callable[[], Dataset]
    recipe: Pretraining


def _dataset(name: str, features: Tensor, targets: Tensor, checksum: str) -> Dataset:
    return Dataset(name=name, features=features.float(), targets=targets.float(), checksum=checksum)


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"

A9A = PublishedTable(
    name="a9a",
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
    parse=partial(parse_libsvm, n_features=123),
)

COVTYPE = PublishedTable(
    name="covtype",
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


def breast_cancer() -> Dataset:
    """569 rows with 30 features that come with scikit-learn; class 1 is malignant, the rarer one.

    >>> int(breast_cancer().targets.sum())
    212
    """
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    checksum = _short_hash(features.tobytes() + labels.tobytes())
    return _dataset(
        "breast_cancer", torch.from_numpy(features), torch.from_numpy((labels == 0).astype(np.uint8)), checksum
    )


def synthetic(*, rows: int = 4000, features: int = 12, seed: int = 0) -> Dataset:
    """Gaussian rows with a curved border and noise, about a quarter of them positive.

    P(y = 1) = sigmoid(2 (x1 + x2 x3 - |x4| + x5 / 2 - 0.3)); the other features say nothing.

    >>> synthetic(rows=100).features.shape
    torch.Size([100, 12])
    """
    source = generator(seed, "synthetic", rows, features)
    x = torch.randn(rows, features, generator=source)
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3].abs() + 0.5 * x[:, 4] - 0.3
    y = torch.rand(rows, generator=source) < torch.sigmoid(2 * score)
    return _dataset("synthetic", x, y, _short_hash(x.numpy().tobytes() + y.numpy().tobytes()))


#: Data sets by name. Epochs, rates and dropout were chosen on seed 0 by the validation rows, see the lab notes.
DATASETS: Registry[DataEntry] = Registry("data set")
DATASETS.add(
    "a9a",
    DataEntry(title="A9A: LIBSVM's binarised Adult, 48,842 x 123", load=A9A.load, recipe=Pretraining()),
)
DATASETS.add(
    "covtype",
    DataEntry(
        title="CoverType: lodgepole pine against the rest, 581,012 x 54",
        load=COVTYPE.load,
        recipe=Pretraining(epochs=8, learning_rate=3e-3, dropout=0.05),
    ),
)
DATASETS.add(
    "breast_cancer",
    DataEntry(
        title="Breast cancer (Wisconsin): comes with scikit-learn, 569 x 30",
        load=breast_cancer,
        recipe=Pretraining(epochs=40, batch_size=64),
    ),
)
DATASETS.add(
    "synthetic",
    DataEntry(
        title="Gaussian rows with a curved border, made on the spot, 4,000 x 12",
        load=synthetic,
        recipe=Pretraining(epochs=30, batch_size=128, learning_rate=3e-3),
    ),
)


def load_dataset(name: str) -> Dataset:
    """The data set of this name; raises ConfigError with the names there are, DataError where its files are not.

    >>> load_dataset("breast_cancer").features.shape
    torch.Size([569, 30])
    """
    return DATASETS[name].load()
