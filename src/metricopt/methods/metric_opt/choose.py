"""Which point is proposed: the one whose gain is largest after what chance may have added."""

from __future__ import annotations

import torch
from torch import Tensor

from ...search import ScoreView
from ...value import ScoreValue

#: Best observations that may be proposed, and of how many of them means are taken.
_BEST, _MEANS = 12, (3, 5, 10, 20)
#: Shorter ways to the best ones: a smaller change is more certain.
_SHORTER = (0.3, 0.6)


@torch.no_grad()
def chosen(view: ScoreView, value: ScoreValue, *, margin: float, resamples: int) -> tuple[Tensor, float, float]:
    """The point with the largest gain over phi = 0 less `margin` standard errors of it; no metric call.

    Candidates are the best observations, means of them (which average the luck of single ones out), and points on the
    way to either. Their gains are those of g on the search split; the standard error of each is its spread over
    profiles of resampled rows, on which phi = 0 is rated too.

    Returns:
        z `(d,)`, what it is expected to be worth, and the standard error of its gain.
    """
    top = view.utilities.topk(min(_BEST, len(view.z))).indices
    means = torch.stack([view.z[view.utilities.topk(min(k, len(view.z))).indices].mean(dim=0) for k in _MEANS])
    far = torch.cat([view.z[top[:4]], means])
    candidates = torch.cat([torch.zeros(1, view.dim), view.z[top], means, *(share * far for share in _SHORTER)])
    expected = value.mean(view.profiles(candidates), candidates)
    drawn = torch.stack([value.mean(psi, candidates) for psi in view.resampled(candidates, resamples)])
    gains = drawn - drawn[:, :1]
    error = gains.std(dim=0) if len(gains) > 1 else torch.zeros(len(candidates), dtype=torch.float64)
    best = int((expected - expected[0] - margin * error).argmax())
    return candidates[best], float(expected[best]), float(error[best])
