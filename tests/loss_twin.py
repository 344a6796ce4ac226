"""A loss beside its slow twin in NumPy: the value, and the gradient to 1e-8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metricopt._random import generator

Array = NDArray[np.float64]
Twin = Callable[..., tuple[float, Array]]


def assert_equal(loss: Callable[..., Tensor], twin: Twin, scores: Tensor, targets: Tensor, **options: Any) -> None:
    """`twin(scores, targets, **options)` in NumPy returns value and gradient."""
    leaf = scores.clone().requires_grad_()
    value = loss(leaf, targets, **options)
    value.backward()
    expected, slope = twin(scores.numpy(), targets.numpy(), **options)
    np.testing.assert_allclose(value.item(), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(leaf.grad.numpy(), slope, rtol=0, atol=1e-8)


def by_differences(value: Callable[..., float]) -> Twin:
    """A twin whose gradient is that of central differences of fourth order: rounding leaves about 1e-10."""

    def twin(scores: Array, targets: Array, **options: Any) -> tuple[float, Array]:
        slope = np.zeros_like(scores)
        for place in np.ndindex(scores.shape):
            step = np.zeros_like(scores)
            step[place] = 1e-5
            near, far = (
                value(scores + by * step, targets, **options) - value(scores - by * step, targets, **options)
                for by in (1, 2)
            )
            slope[place] = (8 * near - far) / 12e-5
        return value(scores, targets, **options), slope

    return twin


def binary_batches(*, ties: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
    """Random scores with 0/1 targets: several sizes, one class only, one example, and scores on a grid."""
    for size, share in ((1, 1.0), (1, 0.0), (2, 0.5), (7, 0.3), (20, 0.5), (20, 1.0), (20, 0.0), (33, 0.1)):
        for grid in (False, True) if ties else (False,):
            random = generator(size, f"{share}", "twin")
            scores = 2 * torch.randn(size, generator=random, dtype=torch.float64)
            targets = (torch.rand(size, generator=random) < share).long()
            yield (scores * 2).round() / 2 if grid else scores, targets


def multilabel_batch(size: int = 13) -> tuple[Tensor, Tensor]:
    """Three labels, of which the last has no positive."""
    random = generator(size, "multilabel twin")
    targets = torch.randint(2, (size, 3), generator=random)
    targets[:, 2] = 0
    return torch.randn(size, 3, generator=random, dtype=torch.float64), targets


def column_mean(twin: Twin, counts: Callable[[Array], bool]) -> Twin:
    """The mean of a binary twin over the columns of which `counts(truth)` holds."""

    def mean(scores: Array, targets: Array, **options: Any) -> tuple[float, Array]:
        columns = [c for c in range(scores.shape[1]) if counts(targets[:, c])]
        parts = {c: twin(scores[:, c], targets[:, c], **options) for c in columns}
        slope = np.zeros_like(scores)
        for c, (_, part) in parts.items():
            slope[:, c] = part / len(columns)
        return float(np.mean([value for value, _ in parts.values()])), slope

    return mean


def embedding_batches() -> Iterator[tuple[Tensor, Tensor]]:
    """Embeddings with labels: one example, no positives, one label only, some anchors without a positive."""
    for size, labels in ((1, 1), (5, 5), (6, 1), (9, 3), (14, 6)):
        random = generator(size, labels, "embedding twin")
        named = torch.arange(size) if labels == size else torch.randint(labels, (size,), generator=random)
        yield torch.randn(size, 4, generator=random, dtype=torch.float64), named


def unit(embeddings: Array) -> Array:
    """The embeddings with length 1."""
    return embeddings / np.sqrt((embeddings**2).sum(axis=1, keepdims=True))
