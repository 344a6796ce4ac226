"""Never worse: a change is accepted only if its gain on holdout examples is more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .._digest import digest
from .._errors import ConfigError
from .._random import generator
from .._types import Resampling
from ..metrics import Metric
from ..workload import resample, spread_factor, take
from ..workload.nests import on
from ..workload.resampling import units_of

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
        expected: what the gain is on fresh examples: the measured one, corrected for having been accepted.
    """

    before: float
    after: float
    low: float
    high: float
    accepted: bool
    reason: str
    calls: int
    expected: float = 0.0


#: Asks a metric about several (outputs, targets) and returns the raw values in order.
Rate: TypeAlias = Callable[[Sequence[tuple[Any, Any]]], Iterable[float]]


def paired_test(
    metric: Metric,
    before: Any,
    after: Any,
    targets: Any,
    *,
    resamples: int,
    confidence: float,
    seed: int,
    how: Resampling = "rows",
    groups: Tensor | None = None,
    rate: Rate | None = None,
    judged_by: Any = None,
    at_once: int = 1,
    more: Callable[[], bool] = lambda: True,
) -> Verdict:
    """Compare two sets of outputs of the same examples on resamples of them.

    gain +- t * sd, where sd is the standard deviation of the gain over resamples of the examples: drawn with
    replacement, or halves without duplicates where the metric rates a set, see `metricopt.workload.resample`; and t the
    quantile of Student's t with min(resamples, units) - 1 degrees of freedom. Both sets of outputs are rated on the
    same resamples, so what they share cancels.

    Args:
        metric: reads scores, probabilities or labels.
        before, after: outputs `(N, ...)` of the original and of the changed model.
        targets: `(N, ...)`.
        resamples: pairs; two metric calls each, and two more for the figures themselves.
        confidence: of the two-sided interval.
        seed: of the resamples.
        how, groups: how examples are drawn, and which belong together.
        judged_by: what the metric gets beside the outputs; the targets by default.
        rate: asks the metric; in turn, in this process, by default.
        at_once: pairs that are asked about together, where calls are made side by side.
        more: whether there is time for another pair; asked once the fewest are done.
    """
    ask = rate or (lambda questions: [metric(*question) for question in questions])
    before, after, targets = (on(part, "cpu") for part in (before, after, targets))
    told = targets if judged_by is None else on(judged_by, "cpu")
    first, second = ask([(before, told), (after, told)])
    if digest([before]) == digest([after]):
        return Verdict(before=first, after=first, low=0.0, high=0.0, accepted=False, reason=_NOTHING, calls=2)
    source = generator(seed, "acceptance resamples")
    differences: list[float] = []
    while len(differences) < resamples:
        if len(differences) >= FEWEST_RESAMPLES and not more():
            break
        numbers = range(len(differences), min(len(differences) + at_once, resamples))
        questions: list[tuple[Any, Any]] = []
        for number in numbers:
            chosen = resample(targets, how, generator=source, groups=groups)
            there = take(told, chosen)
            # Now one first, now the other: a metric that drifts from call to call favours neither.
            pair = (before, after) if number % 2 == 0 else (after, before)
            questions += [(take(outputs, chosen), there) for outputs in pair]
        rated = [metric.utility(raw) for raw in ask(questions)]
        for number, first_said, then_said in zip(numbers, rated[::2], rated[1::2], strict=True):
            differences.append((then_said - first_said) * (1 if number % 2 == 0 else -1))
    gain = metric.utility(second) - metric.utility(first)
    unit = metric.bounds[1] - metric.bounds[0]
    spread, wide = chance(
        torch.tensor(differences, dtype=torch.float64), how, units_of(len(targets), groups), confidence
    )
    low, high = (gain - wide * spread) * unit, (gain + wide * spread) * unit
    # A spread of zero means that the resamples could not tell how much chance there is; dust is rounding.
    accepted = low > _DUST * unit and spread > 0
    return Verdict(
        before=first,
        after=second,
        low=low,
        high=high,
        accepted=accepted,
        reason=_reason(gain * unit, low, accepted, confidence, alike=spread == 0),
        calls=2 + 2 * len(differences),
        expected=unit * (_once_accepted(gain, spread, wide) if accepted else gain),
    )


def chance(differences: Tensor, how: Resampling, units: int, confidence: float) -> tuple[float, float]:
    """The standard error of a gain, from the gains on resamples, and how many of them its interval is wide."""
    return float(differences.std()) * spread_factor(how, units), quantile(confidence, min(len(differences), units) - 1)


def _once_accepted(gain: float, error: float, quantile: float) -> float:
    """What a gain is worth of which one only hears if it exceeds `quantile` standard errors.

    The median-unbiased estimate for a normal gain that was cut off there: the true gain at which a larger one would be
    seen half of the time among those accepted. At least 0.

    >>> round(_once_accepted(1.0, 0.1, 1.96), 3), round(_once_accepted(0.25, 0.1, 1.96), 3)
    (1.0, 0.154)
    """
    from scipy.special import log_ndtr

    low, high = 0.0, gain
    for _ in range(60):
        middle = (low + high) / 2
        seen = log_ndtr((middle - gain) / error) - log_ndtr(middle / error - quantile)
        low, high = (middle, high) if seen < math.log(0.5) else (low, middle)
    return (low + high) / 2


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
    half = quantile(confidence, _REPEATS - 1) * float(gains.std()) / _REPEATS**0.5
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
        expected=float(gains.mean()),
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
    reason = "Not tested on holdout examples, as you asked: the figures are those of the search and flatter the change."
    accepted = gain > _DUST * unit
    return Verdict(
        before=before, after=after, low=gain, high=gain, accepted=accepted, reason=reason, calls=2, expected=gain
    )


def nothing_found(value: float) -> Verdict:
    """The search proposed the model as it was, which is worth `value`."""
    return Verdict(before=value, after=value, low=0.0, high=0.0, accepted=False, reason=_NOTHING, calls=1)


_NOTHING = "The search found nothing better than the model as it was."


def planned_resamples(calls: int | None) -> int:
    """How many pairs a budget of `calls` metric calls pays for: a fifth of it, between 20 and 200 pairs."""
    if calls is None:
        return MOST_RESAMPLES
    return min(max(calls // 10, FEWEST_RESAMPLES), MOST_RESAMPLES)


def _reason(gain: float, low: float, accepted: bool, confidence: float, *, alike: bool = False) -> str:
    percent = f"{100 * confidence:g} %"
    if accepted:
        return f"The {percent} interval of the gain on holdout examples lies above zero."
    if gain > 0 and alike:
        return (
            "Every resample of the holdout examples gave the very same gain, so nothing tells how much of it is "
            "chance. A metric with finer steps would tell, or more validation data."
        )
    if gain > 0:
        return (
            f"The gain on holdout examples could be chance: its {percent} interval starts at {low:+.4g}. "
            "More validation data would tell."
        )
    return "On holdout examples the change brings nothing."


def checked_confidence(confidence: float) -> float:
    """`confidence` if it is one; ConfigError else."""
    number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if not number or not 0.5 <= confidence < 1.0:
        raise ConfigError(f"confidence must lie in [0.5, 1), got {confidence!r}; 0.95 is the default")
    return float(confidence)


def quantile(confidence: float, freedom: int) -> float:
    """Of Student's t, for a two-sided interval."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), (1 + confidence) / 2))
