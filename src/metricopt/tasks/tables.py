"""Small published tables: which file holds each, that it is the right one, and how its text is read."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._errors import DataError
from .files import DATA_VARIABLE

Array = NDArray[np.float64]

#: The folder below the one that the environment variable names.
FOLDER = "tabular"


@dataclass(frozen=True, kw_only=True)
class TabularFile:
    """One published file, and `read` from its bytes to features (N, F) and labels (N,) in {0, 1}.

    A missing value is NaN. A column of words becomes one column of 0 and 1 for each word.
    """

    name: str
    sha256: str
    read: Callable[[bytes], tuple[Array, Array]]

    @property
    def path(self) -> Path | None:
        """Where the file lies; None where it does not."""
        root = os.environ.get(DATA_VARIABLE)
        found = Path(root).expanduser() / FOLDER / self.name if root else None
        return found if found is not None and found.is_file() else None

    def load(self) -> tuple[Array, Array]:
        """Raises DataError where the file is missing or is not the published one."""
        path = self.path
        if path is None:
            raise DataError(f"{FOLDER}/{self.name} is missing; set {DATA_VARIABLE} to the folder that holds {FOLDER}")
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise DataError(
                f"{path} is damaged or another version: its sha256 is {digest}, expected {self.sha256}; get it anew"
            )
        return self.read(content)


def read_csv(
    content: bytes,
    *,
    positive: Callable[[str], float],
    header: bool = False,
    drop: Sequence[int] = (),
) -> tuple[Array, Array]:
    r"""Comma-separated text with the label last.

    Args:
        content: the file.
        positive: a label, without quotes, as a number; for two classes whether it is class 1.
        header: whether the first line holds names.
        drop: positions of columns that say nothing about a row, such as its number.

    >>> x, y = read_csv(b"1.5,red,'yes'\n,blue,'no'\n", positive=lambda label: label == "yes")
    >>> x.tolist(), y.tolist()
    ([[1.5, 0.0, 1.0], [nan, 1.0, 0.0]], [1.0, 0.0])
    """
    import pandas as pd

    table = pd.read_csv(io.BytesIO(content), header=0 if header else None, skipinitialspace=True, na_values=[" "])
    table = table.drop(columns=[table.columns[position] for position in drop])
    labels = table.iloc[:, -1].astype(str).str.strip("'\"")
    columns = []
    for name in table.columns[:-1]:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(dtype=np.float64)[:, None])
        else:
            words = sorted(column.dropna().unique())
            columns.append(np.stack([(column == word).to_numpy(dtype=np.float64) for word in words], axis=1))
    return np.concatenate(columns, axis=1), np.array([float(positive(label)) for label in labels])


def read_npz(content: bytes) -> tuple[Array, Array]:
    """Arrays `X` and `y`, 1 = the minority."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["X"].astype(np.float64), arrays["y"].astype(np.float64)


def _is(*labels: str) -> Callable[[str], bool]:
    return lambda label: label in labels


def _csv(name: str, sha256: str, positive: Callable[[str], bool], **options: object) -> TabularFile:
    return TabularFile(name=name, sha256=sha256, read=partial(read_csv, positive=positive, **options))  # type: ignore[arg-type]


#: By the name of the data set, small ones first. Class 1 is the rarer one.
FILES: dict[str, TabularFile] = {
    "sonar": _csv("sonar.csv", "3079c09b5d2789a0f96aff82c28e5164fafe2495c5f8da96c6c256c1bd25763f", _is("R")),
    "glass": _csv("glass.csv", "1b7039aa2d617c1827e790b55d45ac138dce06b5f2a3fb6c25f2f135b59ad2d0", _is("7")),
    "ionosphere": _csv("ionosphere.csv", "fd6dd7864b55d56dac0a1e6e24af9ccc35bf2555ac79af8ab9f3d1daa065ab83", _is("b")),
    "pima": _csv(
        "pima-indians-diabetes.csv", "6bfe5d0f379d17a0e0819b996407e3c09bf80febd4287f2ed212190dfff154af", _is("1")
    ),
    "german": _csv("german.csv", "ec12a88b9fc14d74ba646ea0410cf7ff4533bec2eb61652f8ad76796bbfec017", _is("2")),
    "banknote": _csv(
        "banknote_authentication.csv", "d0539aaed2139ba7a587b3e34fb345ce503ff7d5d33dbf9912d8e195ce425cb9", _is("1")
    ),
    "red_wine": _csv(
        "winequality-red.csv", "c9614512e980f1cbd221c796daa97f00c4898c3cd1716863abac60f6cd1a522e", _is("7", "8")
    ),
    "spambase": _csv(
        "spambase.csv", "b547e97c32fdb24e4bbf9b332abc844499b7a7b47161f58ff85ace3a78b45416", _is("1"), header=True
    ),
    "page_blocks": TabularFile(
        name="PageBlocks.npz", sha256="10a9b4d5bb5d3b9083caab4c4062f665610eada703c3d927bf7c34b1f2d0d223", read=read_npz
    ),
    "phoneme": _csv("phoneme.csv", "eacbb9f7a2b2135d067bff28ed7b9adb760f61f5e91f375f91e22e7e42ace24d", _is("1")),
    "telco_churn": _csv(
        "telco_churn.csv",
        "1c6c0d8d803fa79fcab878de40dd17698ef2681bb6b52af8bae0ebdff9045158",
        _is("Yes"),
        header=True,
        drop=(0,),
    ),
    "annthyroid": TabularFile(
        name="annthyroid.npz", sha256="e738f7c58a8740d2c4aac4c71ff49ce5e1d1aa16f44178135fc9c09df05fad1b", read=read_npz
    ),
    "mammography": _csv(
        "mammography.csv", "7d3dea3f075f30bbdbb8980e7725684059b4fe3d0f850fadd0f635f6993d8730", _is("1")
    ),
    "magic": _csv("magic04.data", "042bcf99730d7e53b60e998fe2f2474b08dcb049672113bf2d79f06d1bfd846c", _is("h")),
}
