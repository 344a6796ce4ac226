"""AP-loss: average precision with ramps, and an update in the place of a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..rows import as_rows, mean_where, solve_rows

CARD = Card(
    name="error_driven_ap",
    title="AP-loss with its error-driven update",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("average_precision",),
    cost="O(n log n)",
    gradient="surrogate",
    bounds=(0.0, 1.0),
    paper="Chen et al., Towards Accurate One-Stage Object Detection with AP-Loss, CVPR 2019",
)


@full_precision
def error_driven_ap(scores: Tensor, targets: Tensor, *, delta: float = 1.0, interpolated: bool = False) -> Tensor:
    """`mean_p sum_n L_pn`, `L_pn = H(s_n - s_p) / (1 + sum_{j != p} H(s_j - s_p))`, with p positives, n negatives.

    `H(x) = clamp(x / 2 delta + 1/2, 0, 1)` is a ramp. The gradient is the update of a perceptron, whatever the slope of
    H: a positive gets `-sum_n L_pn`, a negative `sum_p L_pn`, both over the number of positives. All sums over ramps
    come from one sort.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`. Each column is one list.
        targets: as for `cross_entropy`. A multiclass column ranks the log-odds of its class against the rest.
        delta: half the width of the ramp, > 0, in units of scores.
        interpolated: whether the precision of a positive is the best one of those at or below its score, as in the
            authors' code; errors behind a worse precision then weigh less.

    Returns:
        A scalar in [0, 1]: the mean over the columns that have positives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind, or a delta that is not positive.

    Differs from the paper: negatives far below all positives are not left out, since sorting makes that needless; the
    authors' code compares each positive with all others in a loop.

    Beside the authors' code, interpolated, n = 4,096, float32: value and update equal to 6e-7.

    >>> import torch
    >>> round(float(error_driven_ap(torch.tensor([0.0, 9.0, 5.0]), torch.tensor([1, 0, 1]))), 4)
    0.4167
    """
    rows, truth = as_rows(scores, targets)
    solve = partial(_solve, width=2 * positive("delta", delta), interpolated=interpolated)
    return mean_where(solve_rows(rows, truth, solve), (truth > 0).any(dim=-1))


def _solve(scores: Tensor, truth: Tensor, width: float, interpolated: bool) -> tuple[Tensor, Tensor]:
    ramps, order = _ramps(scores.double() / width)
    wanted = truth.double().gather(-1, order)
    count = wanted.sum(dim=-1, keepdim=True).clamp(min=1)
    worse = ramps.above(1 - wanted)
    whole = 1 + worse + ramps.above(wanted) - 0.5 * wanted  # a positive is not in front of itself
    error = wanted * worse / whole
    weight = wanted / whole
    if interpolated:
        best = torch.cummax(wanted * (1 - error), dim=-1).values
        less = wanted * (1 - best)
        weight = weight * torch.where(error > 0, less / torch.where(error > 0, error, 1.0), 1.0)
        error = less
    # H(x) = 1 - H(-x): what a negative does to the positives comes from the same sums.
    pushed = (1 - wanted) * (weight.sum(dim=-1, keepdim=True) - ramps.above(weight))
    update = torch.empty_like(pushed).scatter_(-1, order, (pushed - error) / count)
    return (error.sum(dim=-1) / count[:, 0]).to(scores.dtype), update.to(scores.dtype)


@dataclass(frozen=True, kw_only=True)
class _Ramps:
    """Scores in units of the ramp, sorted, and where the ramp of each begins and ends among them."""

    ranked: Tensor
    start: Tensor
    stop: Tensor

    def above(self, weights: Tensor) -> Tensor:
        """`sum_j w_j clamp(x_j - x_i + 1/2, 0, 1)` for each i, weights being sorted as the scores are."""
        mass = F.pad(weights.cumsum(dim=-1), (1, 0))
        moment = F.pad((weights * self.ranked).cumsum(dim=-1), (1, 0))
        behind = mass.gather(-1, self.stop)
        on_ramp = behind - mass.gather(-1, self.start)
        rising = moment.gather(-1, self.stop) - moment.gather(-1, self.start)
        return mass[..., -1:] - behind + rising - (self.ranked - 0.5) * on_ramp


def _ramps(scores: Tensor) -> tuple[_Ramps, Tensor]:
    centred = scores - scores.mean(dim=-1, keepdim=True)  # smaller numbers cancel less
    ranked, order = torch.sort(centred, dim=-1)
    ends = [torch.searchsorted(ranked, ranked + by) for by in (-0.5, 0.5)]
    return _Ramps(ranked=ranked, start=ends[0], stop=ends[1]), order


ENTRY = LossEntry(card=CARD, loss=error_driven_ap)
