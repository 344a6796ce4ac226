"""What identifies an example: the same example has the same hash wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._digest import digest
from .nests import mapped, rows_of

#: So many 64-bit words are mixed together: the parts of the sum then stay in the cache.
_BLOCK = 1 << 16

_Words = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]


def row_hashes(inputs: Any, targets: Any) -> Tensor:
    """`(N,)` int64: equal for examples with equal inputs and targets, different for others.

    A multilinear hash over the bytes, 64 bits wide: two different examples in a million collide once in forty million
    data sets.

    >>> rows = row_hashes(torch.tensor([[1.0], [2.0], [1.0]]), torch.tensor([0, 0, 0]))
    >>> bool(rows[0] == rows[2]), bool(rows[0] == rows[1])
    (True, False)
    """
    total = np.zeros(rows_of(inputs), dtype=np.uint64)
    for part, words in enumerate((*_columns(inputs), *_columns(targets, labels=True))):
        keys = np.random.default_rng(part).integers(0, 1 << 63, size=words.shape[1] + 1, dtype=np.uint64) * 2 + 1
        size = max(_BLOCK // max(words.shape[1], 1), 1)
        for start in range(0, len(words), size):
            mixed = (words[start : start + size] + keys[1:]) * keys[0]
            mixed ^= mixed >> np.uint64(29)
            total[start : start + size] += (mixed * keys[1:]).sum(axis=1)
    return torch.from_numpy(total.view(np.int64))


def _columns(nest: Any, *, labels: bool = False) -> Iterator[_Words]:
    """Each tensor of a batch as 64-bit words, `(N, W)`; each list of records by their digests, `(N, 1)`."""
    if isinstance(nest, Tensor):
        yield _words(_alike(nest, labels=labels))
    elif isinstance(nest, list):
        digests = [bytes.fromhex(digest([mapped(partial(_alike, labels=labels), record)])) for record in nest]
        yield np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(len(nest), 1)
    elif isinstance(nest, Mapping | tuple):
        for part in nest.values() if isinstance(nest, Mapping) else nest:
            yield from _columns(part, labels=labels)


def _alike(tensor: Tensor, *, labels: bool) -> Tensor:
    """The same example in another precision is the same example."""
    same = tensor.detach().cpu()
    return same.float() if labels or same.is_floating_point() else same


def _words(tensor: Tensor) -> _Words:
    """The bytes of each row as 64-bit words, `(N, W)`."""
    flat = tensor.contiguous().reshape(len(tensor), -1).view(torch.uint8).numpy()
    missing = -flat.shape[1] % 8
    padded = np.pad(flat, ((0, 0), (0, missing))) if missing else np.ascontiguousarray(flat)
    return padded.view(np.uint64)
