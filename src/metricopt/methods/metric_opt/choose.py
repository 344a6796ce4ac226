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
def chosen(
    view: ScoreView, value: ScoreValue, *, margin: float, resamples: int, training_trust: float
) -> tuple[Tensor, float, float]:
    """The point with the largest gain over phi = 0 less `margin` standard errors of it; no metric call.

    Candidates are the best observations, means of them (which average the luck of single ones out), and points on the
    way to either. Each gain is that of g, on the search split and on training rows, which the search did not choose by;
    the two are averaged by the inverse of their variances. A variance is that over profiles of resampled rows, on which
    phi = 0 is rated too; that of the training rows is divided by how much they are trusted.

    Returns:
        z `(d,)`, what it is expected to be worth on the search split, and the standard error of its gain.
    """
    top = view.utilities.topk(min(_BEST, len(view.z))).indices
    means = torch.stack([view.z[view.utilities.topk(min(k, len(view.z))).indices].mean(dim=0) for k in _MEANS])
    far = torch.cat([view.z[top[:4]], means])
    candidates = torch.cat([torch.zeros(1, view.dim), view.z[top], means, *(share * far for share in _SHORTER)])
    expected = value.mean(view.profiles(candidates), candidates)
    gain, variance = _gain(value, expected, view.resampled(candidates, resamples), candidates)
    if training_trust > 0:
        psi, drawn, trust = view.second_opinion(candidates, resamples)
        other, spread = _gain(value, value.mean(psi, candidates), drawn, candidates)
        weight, theirs = 1 / (variance + _NOTHING), training_trust * trust / (spread + _NOTHING)
        gain = (gain * weight + other * theirs) / (weight + theirs)
        variance = torch.where(variance > 0, 1 / (weight + theirs), variance)
    error = variance.sqrt()
    best = int((gain - margin * error).argmax())
    return candidates[best], float(expected[best]), float(error[best])


#: Variances below this are none.
_NOTHING = 1e-12


def _gain(value: ScoreValue, expected: Tensor, drawn: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Gains over the first point `(n,)` and their variances over resampled profiles `(r, n, K)`."""
    gains = torch.stack([value.mean(psi, at) for psi in drawn])
    gains = gains - gains[:, :1]
    variance = gains.var(dim=0) if len(gains) > 1 else torch.zeros(len(at), dtype=torch.float64)
    return expected - expected[0], variance
