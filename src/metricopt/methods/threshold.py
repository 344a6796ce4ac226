"""Tuning of the decision threshold, or of one shift per class: what everyone should try first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from .._checks import at_least, one_of
from .._errors import BudgetExhausted, ConfigError
from .._scores import score_kind
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed

Grid = Literal["quantiles", "linear_probability"]

#: A step of the multiclass search that is this much smaller than the first one decides no example of interest.
_SMALLEST_STEP = 1 / 256


@final
@dataclass(frozen=True, kw_only=True)
class ThresholdTuning(Method):
    """Search over the shift of the scores alone; all other coordinates of phi stay at 0. phi = 0 is measured first.

    - Binary: the label is 1 where `score + shift > 0`, so `shift = -threshold`. One pass over a grid of thresholds.
    - Multilabel: the same for one label after the other, in passes until nothing improves.
    - Multiclass: each class's shift is moved up and down by a step, which is halved where no move helps.

    All three may end before the budget does, when there is nothing left to try.

    Model outputs are computed once: candidates are measured on shifted scores. Nothing is random.

    Args:
        candidates: the most thresholds for one score; fewer where the budget does not cover them.
        grid: "quantiles" puts thresholds between neighbouring scores, densely where the data is.
            "linear_probability" spaces them evenly between the smallest and the largest predicted probability, as
            scikit-learn's `TunedThresholdClassifierCV(thresholds=candidates)` does; binary only.
    """

    card: ClassVar[MethodCard] = MethodCard(title="tuned threshold", family="rival")

    candidates: int = 200
    grid: Grid = "quantiles"

    def __post_init__(self) -> None:
        at_least("candidates", self.candidates, 1)
        one_of("grid", self.grid, ("quantiles", "linear_probability"))

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        scores = _Scores(problem)
        if self.grid == "linear_probability" and scores.kind != "binary":
            raise ConfigError(
                f'grid="linear_probability" is for binary scores, these are {scores.kind}; use grid="quantiles"'
            )
        try:
            scores.utility(scores.zero)
            if scores.kind == "binary":
                self._binary(scores)
            elif scores.kind == "multilabel":
                self._multilabel(scores)
            else:
                _multiclass(scores)
        except BudgetExhausted:  # the time ran out between two candidates
            pass
        best = best_observed(problem)
        return Proposal(phi=best.phi, utility=best.utility, diagnostics={"candidates": float(scores.tried)})

    def _binary(self, scores: _Scores) -> None:
        values = scores.at_zero.reshape(-1)
        count = scores.affordable(self.candidates)
        grid = _linear_probability if self.grid == "linear_probability" else _quantiles
        for threshold in grid(values, count):
            scores.utility(scores.zero - threshold)

    def _multilabel(self, scores: _Scores) -> None:
        shift, best = scores.zero.clone(), scores.best
        improved = True
        while improved:
            improved = False
            for label in range(len(shift)):
                share = scores.affordable(self.candidates * (len(shift) - label)) // (len(shift) - label)
                for threshold in _quantiles(scores.at_zero[:, label], share):
                    trial = shift.clone()
                    trial[label] = -threshold
                    utility = scores.utility(trial)
                    if utility > best:
                        shift, best, improved = trial, utility, True


class _Scores:
    """The scores at phi = 0, and the utility of shifting them, measured without a forward pass."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._slot = _shift_slot(problem)
        self.at_zero = problem.outputs(problem.start[None])[0]
        if problem.workload.kind == "positions":
            raise ConfigError(
                "threshold tuning moves the decision of a row, here there is one for each position; metricopt and "
                "random_search move them all"
            )
        self.kind = score_kind(self.at_zero, problem.workload.targets)
        self.zero = torch.zeros(self._slot.stop - self._slot.start)
        self.best = -1.0
        self.tried = 0
        self._check_that_shifts_add_up()

    def affordable(self, n: int) -> int:
        return self._problem.affordable(n)

    def utility(self, shift: Tensor) -> float:
        """One metric call."""
        outputs = self.at_zero + shift.to(self.at_zero)
        utility = float(self._problem.observe(self._phi(shift)[None], outputs[None])[0])
        self.tried += 1
        self.best = max(self.best, utility)
        return utility

    def _phi(self, shift: Tensor) -> Tensor:
        phi = self._problem.start.clone()
        phi[self._slot] = shift.to(phi)
        return phi

    def _check_that_shifts_add_up(self) -> None:
        probe = torch.linspace(0.5, 1.0, len(self.zero))
        shifted = self._problem.outputs(self._phi(probe)[None])[0]
        expected = self.at_zero + probe.to(self.at_zero)
        # The same sum, in the same precision: a few roundings apart at most.
        close = 10 * torch.finfo(expected.dtype).eps
        if not torch.allclose(shifted, expected, rtol=close, atol=close, equal_nan=True):
            raise ConfigError(
                "the output shift is not the last thing that the model does, so it moves no threshold of the "
                "outputs; attach OutputShift without where=, and let the model return raw scores"
            )


def _shift_slot(problem: Problem) -> slice:
    shifts = problem.spec.with_role("shift")
    if shifts:
        return problem.spec.slice_of(shifts[-1].name)
    raise ConfigError(
        f"threshold tuning moves the output shift, but phi has only the slots {[s.name for s in problem.spec.slots]}; "
        "attach OutputShift() beside the other adapters, without dim="
    )


def _multiclass(scores: _Scores) -> None:
    """Pattern search: one class at a time, up or down, on in a direction that helps; smaller steps where none does."""
    largest = scores.at_zero.topk(2, dim=-1).values
    margins = largest[:, 0] - largest[:, 1]
    # Half of the labels change within the first step; scores that are all equal, or infinite, have no such scale.
    first = float(margins.median())
    first = first if 0 < first < math.inf else 1.0
    shift, best, step = scores.zero.clone(), scores.best, first
    while step >= first * _SMALLEST_STEP:
        improved = False
        for label, sign in ((label, sign) for label in range(len(shift)) for sign in (1.0, -1.0)):
            while scores.affordable(1):
                trial = shift.clone()
                trial[label] += sign * step
                utility = scores.utility(trial)
                if utility <= best:
                    break
                shift, best, improved = trial, utility, True
            if not scores.affordable(1):
                return
        step = step if improved else step / 2


def _quantiles(values: Tensor, count: int) -> Iterator[float]:
    """At most `count` thresholds between neighbouring values, evenly spaced in rank.

    From coarse to fine, so that a search whose time runs out has looked everywhere.
    """
    cuts = _cuts(values.cpu())
    if count >= len(cuts):
        ranks = np.arange(len(cuts))
    else:
        ranks = ((np.arange(count) + 0.5) * len(cuts) / count).astype(int)
    for position in _coarse_to_fine(len(ranks)):
        yield float(cuts[ranks[position]])


def _linear_probability(values: Tensor, count: int) -> Iterator[float]:
    """`count` thresholds evenly spaced in probability; a label is 1 where `probability >= threshold`."""
    ordered = values[values.isfinite()].unique()
    probabilities = torch.sigmoid(ordered.double()).cpu().numpy()
    cuts = _cuts(values.cpu())
    for threshold in np.linspace(probabilities.min(), probabilities.max(), count):
        # As many values as lie below the threshold in probability lie below this cut.
        yield float(cuts[int(np.searchsorted(probabilities, threshold, side="left"))])


def _cuts(values: Tensor) -> Tensor:
    """Every way to cut the values in two: one below all, midpoints between neighbours, one above all, ascending.

    Midpoints keep the decision the same where the scores come back with another rounding.
    """
    ordered: Tensor = values[values.isfinite()].unique()
    if len(ordered) == 0:
        return ordered.new_zeros(1)
    margin = ordered.abs().amax() * 1e-3 + 1
    below, above = ordered[:-1], ordered[1:]
    middle = below + (above - below) / 2
    # Between two adjacent floating-point numbers there is none: then the lower one, since labels need score > cut.
    middle = torch.where(middle < above, middle, below)
    return torch.cat([ordered[:1] - margin, middle, ordered[-1:] + margin])


def _coarse_to_fine(count: int) -> list[int]:
    """0..count-1 in the order in which halving the range again and again meets them.

    >>> _coarse_to_fine(7)
    [3, 1, 5, 0, 2, 4, 6]
    """
    order: list[int] = []
    level = [(0, count)] if count else []
    while level:
        order += [(low + high) // 2 for low, high in level]
        halves = [half for low, high in level for half in ((low, (low + high) // 2), ((low + high) // 2 + 1, high))]
        level = [(low, high) for low, high in halves if low < high]
    return order
