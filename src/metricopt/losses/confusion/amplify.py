"""From raw scores to predictions between 0 and 1 that are nearly hard and can still be differentiated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import below_one, positive
from ..._errors import ConfigError
from ..shapes import from_largest

#: Probability at which a positive is called, or one number per class that its probability is held against.
Threshold = float | Sequence[float] | Tensor

#: Steepness of the step from 0 to 1. The lab notes hold the measurement.
AMPLIFICATION = 10.0
#: The paper's.
PAPER_AMPLIFICATION = 73.0
#: Share of the prediction that never saturates. The lab notes hold the measurement.
LEAK = 0.05


def amplified(scores: Tensor, amplification: float, threshold: Threshold, leak: float) -> Tensor:
    """`(1 - e) s(L (s(z) - t)) + e h(z - logit t)` for each score, s the sigmoid, `h(x) = 1/2 + x / (2 (2 + |x|))`.

    The first part is the paper's. A confident mistake has no gradient there: at z = 20 its slope is 1e-25 with
    L = 73, and in float32 it is 0 from p = .73 on. The slope of h falls with the square of z only.

    Args:
        scores: raw scores of any shape.
        amplification: L, > 0.
        threshold: t, in (0, 1); a sequence or tensor holds one for each column.
        leak: e, in [0, 1); 0 is the paper's function.
    """
    positive("amplification", amplification)
    below_one("leak", leak)
    level = _level(threshold, scores)
    probability = torch.sigmoid(scores)
    # A call costs more than its arithmetic at usual batch sizes, so each line here is one.
    if isinstance(level, float):
        # rsub(a, b, alpha=c) is b - c a
        steep = torch.sigmoid(torch.rsub(probability, -amplification * level, alpha=-amplification))
        distance = scores if level == 0.5 else scores - math.log(level / (1 - level))
    else:
        steep = torch.sigmoid((probability - level) * amplification)
        distance = scores - torch.logit(level)
    if leak == 0:
        return steep
    share = leak / 2
    # (1 - e) (s + e / (1 - e) / 2 * x / (2 + |x|)) + e / 2
    unscaled = torch.addcdiv(steep, distance, distance.abs() + 2, value=share / (1 - leak))
    return torch.rsub(unscaled, share, alpha=leak - 1)


def amplified_classes(scores: Tensor, amplification: float, threshold: Threshold | None, leak: float) -> Tensor:
    """The same for classes: `(1 - e) softmax(L (p - t) / 2) + e g / sum g`, `p = softmax(z)`; rows add up to 1.

    `g_c = 1 + x_c / (1 + |x_c|)` with `x = z - mean z`. For two classes it is `amplified` of the difference of
    their scores at the default threshold.

    Args:
        scores: `(N, K)`.
        amplification: L, > 0.
        threshold: one number per class, `(K,)`, or None for the largest probability.
        leak: e, in [0, 1).
    """
    positive("amplification", amplification)
    below_one("leak", leak)
    probability = torch.softmax(scores, dim=-1)
    if threshold is not None:
        probability = probability - _levels(threshold, scores)
    steep = torch.softmax(probability * (amplification / 2), dim=-1)
    if leak == 0:
        return steep
    distance = from_largest(scores)
    distance = distance - distance.mean(dim=-1, keepdim=True)
    heavy = F.softsign(distance) + 1
    return steep * (1 - leak) + heavy * (leak / heavy.sum(dim=-1, keepdim=True))


def _level(threshold: Threshold, scores: Tensor) -> float | Tensor:
    if isinstance(threshold, (int, float)):
        if not 0.0 < threshold < 1.0:
            raise ConfigError(f"threshold must lie between 0 and 1, got {threshold!r}")
        return float(threshold)
    return _levels(threshold, scores)


def _levels(threshold: Threshold, scores: Tensor) -> Tensor:
    levels = torch.as_tensor(threshold, dtype=scores.dtype, device=scores.device)
    if levels.shape != scores.shape[1:]:
        raise ConfigError(
            f"threshold must have one number for each of the {scores.shape[-1]} columns, got shape "
            f"{tuple(levels.shape)}"
        )
    return levels
