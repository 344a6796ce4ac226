"""Examples that are the same: they must not lie on both sides of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..workload import Examples
from ..workload.nests import mapped


def row_hashes(examples: Examples) -> Tensor:
    """`(N,)` int64: equal for examples with equal inputs and targets, different for others.

    A multilinear hash over the bytes, 64 bits wide: two different examples in a million collide once in forty million
    data sets.

    >>> rows = row_hashes(Examples(inputs=torch.tensor([[1.0], [2.0], [1.0]]), targets=torch.tensor([0, 0, 0])))
    >>> bool(rows[0] == rows[2]), bool(rows[0] == rows[1])
    (True, False)
    """
    total = np.zeros(len(examples), dtype=np.uint64)
    for part, words in enumerate((*_columns(examples.inputs), *_columns(examples.targets, labels=True))):
        keys = np.random.default_rng(part).integers(0, 1 << 63, size=words.shape[1] + 1, dtype=np.uint64) * 2 + 1
        for column, key in zip(words.T, keys[1:], strict=True):
            mixed = (column + key) * keys[0]
            total += (mixed ^ (mixed >> np.uint64(29))) * key
    return torch.from_numpy(total.view(np.int64))


def shared(rows: Tensor, others: Tensor) -> float:
    """Which share of `rows` is among `others`."""
    return float(torch.isin(rows, others).double().mean()) if len(rows) else 0.0


#: Below this share of different rows equal ones are the nature of the data: answers of a survey, a few columns.
_LEAST_DIFFERENT = 0.5


def leaked(rows: Tensor, others: Tensor) -> float:
    """Which share of `rows` must be the very rows of `others`: equal ones prove nothing where rows repeat anyway.

    >>> one, other = torch.arange(6), torch.tensor([0, 1, 2, 9, 10, 11])
    >>> leaked(one, other), leaked(torch.tensor([7, 7, 7, 7, 8]), torch.tensor([7, 8, 8])), leaked(one, one)
    (0.5, 0.0, 1.0)
    """
    if torch.equal(rows, others):
        return 1.0
    return 0.0 if len(rows.unique()) < _LEAST_DIFFERENT * len(rows) else shared(rows, others)


def _columns(nest: Any, *, labels: bool = False) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint64]]]:
    """Each tensor of a batch as 64-bit words, `(N, W)`; records by their text."""
    if isinstance(nest, list):
        digests = [hashlib.blake2b(repr(record).encode(), digest_size=8).digest() for record in nest]
        yield np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(len(nest), 1)
        return
    found: list[Tensor] = []
    mapped(found.append, nest)
    for tensor in found:
        # The same example in another precision is the same example.
        same = tensor.detach().cpu()
        yield _words(same.float() if labels or same.is_floating_point() else same)


def _words(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """The bytes of each row as 64-bit words, `(N, W)`."""
    flat = tensor.detach().cpu().contiguous().reshape(len(tensor), -1).view(torch.uint8).numpy()
    missing = -flat.shape[1] % 8
    padded = np.pad(flat, ((0, 0), (0, missing))) if missing else np.ascontiguousarray(flat)
    return padded.view(np.uint64)
