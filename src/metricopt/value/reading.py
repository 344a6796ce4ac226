"""The metric, read back: which figures of the outputs it turned out to reward."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .learned import LearnedValue

#: No more figures than this: a reader remembers no more.
_MOST_PARTS = 6
#: A part with less than this share of all effects is none.
_LEAST_EFFECT = 1e-3
#: What is left below this share is rounding.
_EXACT = 1e-14
#: A figure must explain at least this much of what is left.
_LEAST_GAIN = 1e-4


class Part(NamedTuple):
    """One figure that the metric pays for.

    Args:
        name: of the column.
        weight: of the metric's utility for one unit of the column.
        share: of the sum of all effects; an effect is the weight times how far the column varied.
    """

    name: str
    weight: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a metric rewards, as far as the observations tell.

    Args:
        parts: the largest effect first.
        fits: share of the variance of the observed utilities that these parts explain together.
        explained: share of the variance that the value function forecast before it was told; None where there were
            too few forecasts.
    """

    parts: tuple[Part, ...]
    fits: float
    explained: float | None

    def named(self, classes: Sequence[str]) -> Reading:
        """The same with names in place of "class 3"; as it is where there are no names."""
        if not classes:
            return self

        def name(found: re.Match[str]) -> str:
            return classes[int(found[1])] if int(found[1]) < len(classes) else found[0]

        return replace(self, parts=tuple(p._replace(name=re.sub(r"class (\d+)", name, p.name)) for p in self.parts))

    def __str__(self) -> str:
        if not self.parts:
            return "what the metric rewards could not be told: it hardly changed"
        told = ", ".join(f"{part.name}: {100 * part.share:.0f} %" for part in self.parts)
        trust = "" if self.explained is None else f"; {100 * self.explained:.0f} % of unseen calls explained"
        return f"{told} (fits {100 * self.fits:.0f} % of the observed values{trust})"


def read_metric(learned: LearnedValue) -> Reading:
    """The few figures whose weighted sum comes nearest to the metric, by forward selection.

    A figure is added as long as the Bayesian information criterion improves; weights are those of least squares.

    >>> columns = ["recall", "precision", "noise"]
    >>> psi = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)).double()
    >>> learned = LearnedValue(
    ...     profile="p", columns=columns, families=torch.zeros(3, dtype=torch.long), psi=psi,
    ...     utilities=0.75 * psi[:, 0] + 0.25 * psi[:, 1], hyperparameters=torch.zeros(6), metric="mine",
    ...     higher_is_better=True)
    >>> [(part.name, round(part.weight, 3)) for part in read_metric(learned).parts]
    [('recall', 0.75), ('precision', 0.25)]
    """
    psi, utilities = learned.psi.double(), learned.utilities.double()
    x, y = psi - psi.mean(dim=0), utilities - utilities.mean()
    total = float(y.square().sum())
    spread = x.std(dim=0)
    explained = learned.diagnostics.get("next_explained")
    if total < 1e-12 * len(y):
        return Reading(parts=(), fits=0.0, explained=explained)
    usable = spread > 1e-6
    chosen: list[int] = []
    left, weights = total, torch.zeros(0, dtype=torch.float64)
    while len(chosen) < min(_MOST_PARTS, len(y) // 4):
        found = _best_addition(x, y, chosen, usable)
        if found is None or left < _EXACT * total:
            break
        place, rest, fitted = found
        better = len(y) * math.log(max(left, 1e-15 * total) / max(rest, 1e-15 * total))
        if better < 2 * math.log(len(y)) or left - rest < _LEAST_GAIN * total:
            break
        chosen, left, weights = [*chosen, place], rest, fitted
    effects = (weights * spread[chosen]).abs()
    parts = [
        Part(learned.columns[place], float(weight), float(effect / effects.sum()))
        for place, weight, effect in zip(chosen, weights, effects, strict=True)
        if float(effect) > _LEAST_EFFECT * float(effects.sum())  # others were taken first and then found to be nothing
    ]
    parts.sort(key=lambda part: -part.share)
    return Reading(parts=tuple(parts), fits=1 - left / total, explained=explained)


def _best_addition(x: Tensor, y: Tensor, chosen: list[int], usable: Tensor) -> tuple[int, float, Tensor] | None:
    """The column that explains most beside those chosen, the squares it leaves, and all weights."""
    best: tuple[int, float, Tensor] | None = None
    for place in usable.nonzero()[:, 0].tolist():
        if place in chosen:
            continue
        both = x[:, [*chosen, place]]
        fitted = torch.linalg.lstsq(both, y[:, None]).solution[:, 0]
        rest = float((y - both @ fitted).square().sum())
        if bool(fitted.isfinite().all()) and (best is None or rest < best[1] * (1 - 1e-9)):
            best = (place, rest, fitted)
    return best
