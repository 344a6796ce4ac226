"""The Lovász extension of the Jaccard loss: what a vector of errors costs."""

from __future__ import annotations

from torch import Tensor


def lovasz_extension(errors: Tensor, truth: Tensor) -> Tensor:
    """`sum_i e_(i) (J_i - J_{i-1})`, `e_(i)` the i-th largest error, `J_i` the Jaccard loss with the first i wrong.

    Args:
        errors: `(N, C)`, each column on its own.
        truth: `(N, C)` in {0, 1}, of the same dtype.

    Returns:
        `(C,)`. Equal errors may stand in any order: the sum over them telescopes.
    """
    ordered, order = errors.sort(dim=0, descending=True)
    truth = truth.gather(0, order)
    positives = truth.sum(dim=0, keepdim=True)
    hits = truth.cumsum(dim=0)
    # With the first i wrong, P - hits_i positives are still found and i - hits_i negatives are in the union.
    misses = (1 - truth).cumsum(dim=0)
    jaccard = 1 - (positives - hits) / (positives + misses).clamp(min=1)
    steps = jaccard.diff(dim=0, prepend=jaccard[:1] * 0)
    return (ordered * steps).sum(dim=0)
