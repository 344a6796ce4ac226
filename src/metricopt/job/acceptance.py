"""Never worse: a change is accepted only if its gain on unseen examples is more than chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ConfigError
from .._random import generator
from ..metrics import Metric
from .split import few_classes

#: With fewer resamples the width of the interval is itself a guess.
FEWEST_RESAMPLES = 20
MOST_RESAMPLES = 200


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the acceptance test says.

    Args:
        before, after: the metric on the acceptance part, as it is.
        low, high: the interval of the gain in units of the metric; positive is better, whatever the direction.
        accepted: whether the interval excludes zero on the good side.
        reason: one sentence.
        calls: metric calls that it took.
    """

    before: float
    after: float
    low: float
    high: float
    accepted: bool
    reason: str
    calls: int


def paired_test(
    metric: Metric,
    before: Tensor,
    after: Tensor,
    targets: Tensor,
    *,
    resamples: int,
    confidence: float,
    seed: int,
    more: Callable[[], bool] = lambda: True,
) -> Verdict:
    """Compare two sets of scores of the same examples by the paired bootstrap.

    gain +- t * sd, where sd is the standard deviation of the gain over resamples of the examples, drawn with
    replacement, and t the quantile of Student's t with min(resamples, N) - 1 degrees of freedom. Both sets of scores
    are rated on the same resamples, so what they share cancels.

    Args:
        metric: reads scores, probabilities or labels.
        before, after: scores `(N, ...)` of the original and of the changed model.
        targets: `(N, ...)`.
        resamples: pairs; two metric calls each, and two more for the figures themselves.
        confidence: of the two-sided interval.
        seed: of the resamples.
        more: whether there is time for another pair; asked once the fewest are done.
    """
    before, after, targets = before.cpu(), after.cpu(), targets.cpu()
    first, second = metric(before, targets), metric(after, targets)
    if torch.equal(before, after):
        return Verdict(before=first, after=first, low=0.0, high=0.0, accepted=False, reason=_NOTHING, calls=2)
    source = generator(seed, "acceptance resamples")
    differences = []
    for number in range(resamples):
        if number >= FEWEST_RESAMPLES and not more():
            break
        chosen = resample(targets, source)
        # Now one first, now the other: a metric that drifts from call to call favours neither.
        pair = (before, after) if number % 2 == 0 else (after, before)
        rated = [metric.utility(metric(scores[chosen], targets[chosen])) for scores in pair]
        differences.append((rated[1] - rated[0]) * (1 if number % 2 == 0 else -1))
    spread = float(torch.tensor(differences, dtype=torch.float64).std())
    gain = metric.utility(second) - metric.utility(first)
    half = _student(confidence, min(len(differences), len(targets)) - 1) * spread
    unit = metric.bounds[1] - metric.bounds[0]
    low, high = (gain - half) * unit, (gain + half) * unit
    # A spread of zero means that the resamples could not tell how much chance there is; dust is rounding.
    accepted = low > _DUST * unit and spread > 0
    return Verdict(
        before=first,
        after=second,
        low=low,
        high=high,
        accepted=accepted,
        reason=_reason(gain * unit, low, accepted, confidence),
        calls=2 + 2 * len(differences),
    )


def repeated_test(
    before: Callable[[], float], after: Callable[[], float], metric: Metric, *, confidence: float
) -> Verdict:
    """Compare two models that a metric of the whole model rates, five times each.

    Such a metric does not let its examples be drawn anew: the interval speaks of its own noise alone.

    Args:
        before, after: rate the original and the changed model.
        metric: reads the model.
    """
    rows = []
    for number in range(_REPEATS):
        if number % 2 == 0:
            rows.append([before(), after()])
        else:
            rows.append([after(), before()][::-1])
    pairs = torch.tensor(rows, dtype=torch.float64)
    unit = metric.bounds[1] - metric.bounds[0]
    utilities = torch.tensor([[metric.utility(float(raw)) for raw in pair] for pair in pairs], dtype=torch.float64)
    gains = (utilities[:, 1] - utilities[:, 0]) * unit
    half = _student(confidence, _REPEATS - 1) * float(gains.std()) / _REPEATS**0.5
    low, high = float(gains.mean()) - half, float(gains.mean()) + half
    return Verdict(
        before=float(pairs[:, 0].mean()),
        after=float(pairs[:, 1].mean()),
        low=low,
        high=high,
        accepted=low > _DUST * unit,
        reason=_reason(float(gains.mean()), low, low > _DUST * unit, confidence)
        + " The metric rates the whole model, so this speaks of its own noise, not of other examples.",
        calls=MODEL_CALLS,
    )


_REPEATS = 5
#: Gains below this share of the metric's range come from the order of floating-point sums.
_DUST = 1e-9
#: Metric calls of `repeated_test`.
MODEL_CALLS = 2 * _REPEATS


def trusted(before: float, after: float, metric: Metric) -> Verdict:
    """No test: both figures are of the examples that the search saw, which flatters the change."""
    unit = metric.bounds[1] - metric.bounds[0]
    gain = (metric.utility(after) - metric.utility(before)) * unit
    reason = "Not tested on unseen examples, as you asked: the figures are those of the search and flatter the change."
    accepted = gain > _DUST * unit
    return Verdict(before=before, after=after, low=gain, high=gain, accepted=accepted, reason=reason, calls=2)


def nothing_found(value: float) -> Verdict:
    """The search proposed the model as it was, which is worth `value`."""
    return Verdict(before=value, after=value, low=0.0, high=0.0, accepted=False, reason=_NOTHING, calls=1)


_NOTHING = "The search found nothing better than the model as it was."


def planned_resamples(calls: int | None) -> int:
    """How many pairs a budget of `calls` metric calls pays for: a fifth of it, between 20 and 200 pairs."""
    if calls is None:
        return MOST_RESAMPLES
    return min(max(calls // 10, FEWEST_RESAMPLES), MOST_RESAMPLES)


def resample(targets: Tensor, source: torch.Generator) -> Tensor:
    """`(N,)` indices drawn with replacement; a class that would be missing keeps one example, so that ranking metrics exist."""
    count = len(targets)
    chosen = torch.randint(count, (count,), generator=source)
    labels = few_classes(targets)
    if labels is None:
        return chosen
    for label in labels.unique():
        if not bool((labels[chosen] == label).any()):
            members = (labels == label).nonzero()[:, 0]
            pick, place = (torch.randint(n, (1,), generator=source) for n in (len(members), count))
            chosen[place] = members[pick]
    return chosen


def _reason(gain: float, low: float, accepted: bool, confidence: float) -> str:
    percent = f"{100 * confidence:g} %"
    if accepted:
        return f"The {percent} interval of the gain on unseen examples lies above zero."
    if gain > 0:
        return (
            f"The gain on unseen examples could be chance: its {percent} interval starts at {low:+.4g}. "
            "More validation data would tell."
        )
    return "On unseen examples the change brings nothing."


def checked_confidence(confidence: float) -> float:
    """`confidence` if it is one; ConfigError else."""
    number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if not number or not 0.5 <= confidence < 1.0:
        raise ConfigError(f"confidence must lie in [0.5, 1), got {confidence!r}; 0.95 is the default")
    return float(confidence)


def _student(confidence: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, max(freedom, 1)))
