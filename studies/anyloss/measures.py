"""The four metrics from counts, and the threshold that is best for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class HardCounts:
    """Hits and misses as float64 tensors of one shape, one entry for each threshold."""

    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor

    @property
    def sensitivity(self) -> Tensor:
        return self.tp / (self.tp + self.fn)

    @property
    def specificity(self) -> Tensor:
        return self.tn / (self.tn + self.fp)


#: Each equals the metric of the same name in the library; parts of a fold always hold both classes.
MEASURES: Mapping[str, Callable[[HardCounts], Tensor]] = MappingProxyType(
    {
        "accuracy": lambda c: (c.tp + c.tn) / (c.tp + c.fp + c.fn + c.tn),
        "f1": lambda c: 2 * c.tp / (2 * c.tp + c.fp + c.fn),
        "g_mean": lambda c: (c.sensitivity * c.specificity).sqrt(),
        "balanced_accuracy": lambda c: (c.sensitivity + c.specificity) / 2,
    }
)


def measure(scores: Tensor, labels: Tensor, threshold: float = 0.0) -> dict[str, float]:
    """All metrics where a row is called positive if its score lies above `threshold`.

    >>> found = measure(torch.tensor([2.0, -1.0, 1.0, -2.0]), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    >>> found["accuracy"], found["f1"]
    (0.5, 0.5)
    """
    counts = counts_at(scores, labels, torch.tensor([threshold], dtype=torch.float64))
    return {name: float(formula(counts)[0]) for name, formula in MEASURES.items()}


def tuned_thresholds(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """For each metric the threshold with the best value on these rows, tried between all neighbouring scores.

    Of several that are best, the one nearest to 0, which is a probability of one half: without evidence nothing moves.
    """
    ordered = scores.double().unique()
    middle = (ordered[:-1] + ordered[1:]) / 2
    cuts = torch.cat([ordered[:1] - 1, middle, ordered[-1:] + 1, ordered.new_zeros(1)])
    counts = counts_at(scores, labels, cuts)
    found = {}
    for name, formula in MEASURES.items():
        values = formula(counts)
        best = cuts[values >= values.max() - 1e-12]  # equal but for rounding
        found[name] = float(best[best.abs().argmin()])
    return found


def counts_at(scores: Tensor, labels: Tensor, thresholds: Tensor) -> HardCounts:
    """Counts at every threshold.

    Args:
        scores, labels: (N,).
        thresholds: (T,) float64.
    """
    order = scores.double().sort()
    positive = labels.double()[order.indices]
    below = torch.searchsorted(order.values, thresholds, right=True)  # a score equal to the threshold is not above it
    found = torch.cat([positive.new_zeros(1), positive.cumsum(0)])
    fn = found[below]
    tn = below.double() - fn
    return HardCounts(tp=found[-1] - fn, fp=len(scores) - found[-1] - tn, fn=fn, tn=tn)
