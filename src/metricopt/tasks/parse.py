"""Parsers of the published layouts, from bytes to compact arrays."""

from __future__ import annotations

import io
import warnings
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._errors import DataError

#: Features (N, F) of a compact type and targets (N,) in {0, 1}.
Parsed: TypeAlias = tuple[NDArray[np.generic], NDArray[np.uint8]]


def parse_libsvm(contents: tuple[bytes, ...], *, n_features: int) -> Parsed:
    r"""LIBSVM text, `label index:value ...` with indices from 1; the files are stacked, labels above 0 are class 1.

    Raises:
        DataError: the text is not of that form, or an index is beyond `n_features`.

    >>> parse_libsvm((b"-1 1:1 3:1\n", b"+1 2:1\n"), n_features=3)[0].tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    from sklearn.datasets import load_svmlight_files

    try:
        parts = load_svmlight_files([io.BytesIO(c) for c in contents], n_features=n_features, zero_based=False)
    except (ValueError, OverflowError) as error:
        raise DataError(f"this is not LIBSVM text with {n_features} features: {error}. Get the file anew") from error
    features = np.concatenate([part.toarray() for part in parts[0::2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a cast that does not fit: it is compared below
        small = features.astype(np.uint8)
    compact = small if np.array_equal(small, features) else features.astype(np.float32)
    return compact, (np.concatenate(parts[1::2]) > 0).astype(np.uint8)


def parse_covtype(contents: tuple[bytes, ...], *, n_features: int = 54) -> Parsed:
    r"""Comma-separated integers, the cover type 1..7 last; type 2 (lodgepole pine) is class 1, the rest class 0.

    Raises:
        DataError: the text is not of that form.

    >>> features, targets = parse_covtype((b"2596,51,5\n2590,-6,2\n",), n_features=2)
    >>> features.tolist(), targets.tolist()
    ([[2596, 51], [2590, -6]], [0, 1])
    """
    flat = b"".join(contents).rstrip().replace(b"\n", b",")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how NumPy says that it met something else than numbers
        try:
            # One pass in C over one flat list: 2 s for 32 million numbers, np.loadtxt takes a minute.
            numbers = np.fromstring(flat, dtype=np.int16, sep=",")
        except (ValueError, DeprecationWarning) as error:
            raise DataError(f"this is not the CoverType table of integers: {error}. Get the file anew") from error
    if numbers.size != flat.count(b",") + 1 or numbers.size % (n_features + 1):
        raise DataError(
            f"this is not the CoverType table: {numbers.size} numbers do not make rows of {n_features} features "
            "and a cover type. Get the file anew"
        )
    table = numbers.reshape(-1, n_features + 1)
    types = table[:, -1]
    if types.min() < 1 or types.max() > 7:
        raise DataError(f"cover types are 1 to 7, this table has {types.min()} to {types.max()}. Get the file anew")
    return np.ascontiguousarray(table[:, :-1]), (types == 2).astype(np.uint8)
