"""Perceptrons of one shape as one tensor: K folds x L learning rates, all scored by two batched products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from metricopt._checks import at_least
from metricopt._random import generator
from metricopt._registry import Registry

#: Fresh networks call every row about even. The score-oriented loss has no gradient at rows that are called clearly.
UNDECIDED = 0.1


@final
@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """A perceptron with one output. A population is a tensor (K, D, L): networks of a fold are its columns.

    Args:
        hidden: units of the hidden layer, ReLU; 0 for a single layer, `w x + b`.
    """

    hidden: int

    def __post_init__(self) -> None:
        at_least("hidden", self.hidden, 0)

    def size(self, features: int) -> int:
        """D, the parameters of one network."""
        return (features + 1) if self.hidden == 0 else (features + 2) * self.hidden + 1

    def start(self, features: int, *, folds: int, rates: int, seed: int) -> Tensor:
        """Fresh weights (K, D, L): for each fold its own, the same for all rates and for all losses.

        Weights are normal with deviation sqrt(2 / inputs) in front of a ReLU and `UNDECIDED / sqrt(inputs)` in front
        of the score; biases are 0.
        """
        source = generator(seed, "study weights", self.hidden)
        one = torch.zeros(folds, self.size(features))
        into = features * max(self.hidden, 1)
        variance = (2 if self.hidden else UNDECIDED**2) / features
        one[:, :into] = torch.randn(folds, into, generator=source) * variance**0.5
        if self.hidden:
            out = torch.randn(folds, self.hidden, generator=source) * (UNDECIDED / self.hidden**0.5)
            one[:, into + self.hidden : -1] = out
        return one[:, :, None].repeat(1, 1, rates)

    def scores(self, weights: Tensor, x: Tensor) -> Tensor:
        """Raw scores (K, B, L).

        Args:
            weights: (K, D, L).
            x: (K, B, F), the rows of each fold.
        """
        folds, _, features = x.shape
        rates = weights.shape[2]
        if self.hidden == 0:
            return torch.baddbmm(weights[:, features:], x, weights[:, :features])
        into, units = features * self.hidden, self.hidden
        first = weights[:, :into].reshape(folds, features, units * rates)
        bias = weights[:, into : into + units].reshape(folds, 1, units * rates)
        active = torch.relu(torch.baddbmm(bias, x, first)).view(folds, x.shape[1], units, rates)
        out = weights[:, None, into + units : into + 2 * units]
        return (active * out).sum(dim=2) + weights[:, -1:]


NETWORKS: Registry[Perceptron] = Registry("network of the study")
NETWORKS.add("slp", Perceptron(hidden=0))
NETWORKS.add("mlp", Perceptron(hidden=16))

#: In words.
TITLES = {"slp": "single-layer perceptron", "mlp": "multi-layer perceptron, 16 hidden units"}
