"""From rows to standings: ranks with a critical difference, fractions of the best known gain, who beats whom."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Row = Mapping[str, Any]

#: Gains below this are no gap between loss and metric: fractions are taken of no less.
LEAST_GAIN = 0.01
#: A change by more than this for the worse counts as worse than the start.
WORSE = 0.005
#: Resamples of problems behind an interval.
_RESAMPLES = 4000
_LEVEL = 0.95
#: "There": this share of the best known gain.
_THERE = 0.95


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One method at one budget.

    Args:
        method: its name.
        rank: mean over problems, 1 is best.
        gain: mean gain on test rows, in hundredths.
        fraction: mean gain as a fraction of the best known gain of its problem.
        low, high: interval of the fraction, by resampling problems.
        lead: mean rank of this method less that of the best other one or, for all but the first, of the first;
            negative is better.
        lead_low, lead_high: its interval, corrected for the number of comparisons.
        worse: share of runs that end worse than the start.
        seconds: median of a run.
    """

    method: str
    rank: float
    gain: float
    fraction: float
    low: float
    high: float
    lead: float
    lead_low: float
    lead_high: float
    worse: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Standings:
    """All methods at one budget, the best first.

    Args:
        calls: the budget.
        lines: by mean rank.
        problems: names of those that every method has run on.
        seeds: most seeds of a problem.
        critical: difference of mean ranks that two methods must have (Nemenyi, 5 %).
        wins: share of problems on which the method of a row beats that of a column, ties count half.
    """

    calls: int
    lines: tuple[Standing, ...]
    problems: tuple[str, ...]
    seeds: int
    critical: float
    wins: Mapping[tuple[str, str], float] = field(repr=False)


def problem_of(row: Row) -> str:
    return f"{row['task']}:{row['metric']}"


def best_known(rows: Iterable[Row]) -> dict[str, float]:
    """The largest mean gain over seeds that any method had with any budget, by problem; at least `LEAST_GAIN`."""
    gains: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rows:
        if row["applies"]:
            gains[problem_of(row), row["method"], row["settings"]["calls"]].append(row["gain"])
    known: dict[str, float] = {}
    for (problem, _, _), found in gains.items():
        known[problem] = max(known.get(problem, LEAST_GAIN), float(np.mean(found)))
    return known


def standings(
    rows: Sequence[Row], *, calls: int, methods: Sequence[str], known: Mapping[str, float], seed: int = 0
) -> Standings | None:
    """The standings at one budget; None where no problem was run with all methods.

    A method that does not apply to a kind of outputs leaves the model as it is: its gain is 0. Ranks are taken in each
    cell (problem and seed) and averaged over seeds first, so that a problem counts once: seeds cut the same rows anew
    and are not independent. Problems are resampled for intervals.
    """
    cells: dict[str, dict[int, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["settings"]["calls"] == calls and row["method"] in methods:
            cells[problem_of(row)][row["seed"]][row["method"]] = row
    full = {
        problem: whole
        for problem, seeds in sorted(cells.items())
        if (whole := [cell for _, cell in sorted(seeds.items()) if len(cell) == len(methods)])
    }
    if not full:
        return None
    gains = {problem: [[_gain(cell[m]) for m in methods] for cell in whole] for problem, whole in full.items()}
    ranks = np.array([np.mean([_ranks(cell) for cell in cells_], axis=0) for cells_ in gains.values()])
    means = np.array([np.mean(cells_, axis=0) for cells_ in gains.values()])
    fractions = means / np.array([known[problem] for problem in full])[:, None]
    worse = np.array([np.mean(np.array(cells_) < -WORSE, axis=0) for cells_ in gains.values()]).mean(axis=0)
    draws = np.random.default_rng(seed).integers(len(full), size=(_RESAMPLES, len(full)))
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    first, second = int(order[0]), int(order[min(1, len(order) - 1)])
    corrected = (1 - _LEVEL) / max(len(methods) - 1, 1)
    lines = []
    for place in order:
        against = first if place != first else second
        difference = ranks[:, place] - ranks[:, against]
        lead = difference[draws].mean(axis=1)
        own = fractions[:, place][draws].mean(axis=1)
        seconds = [cell[methods[place]].get("seconds", 0.0) for whole in full.values() for cell in whole]
        lines.append(
            Standing(
                method=methods[place],
                rank=float(ranks[:, place].mean()),
                gain=100 * float(means[:, place].mean()),
                fraction=float(fractions[:, place].mean()),
                low=float(np.quantile(own, (1 - _LEVEL) / 2)),
                high=float(np.quantile(own, (1 + _LEVEL) / 2)),
                lead=float(difference.mean()),
                lead_low=float(np.quantile(lead, corrected / 2)),
                lead_high=float(np.quantile(lead, 1 - corrected / 2)),
                worse=float(worse[place]),
                seconds=float(np.median(seconds)),
            )
        )
    wins = {
        (a, b): float(np.mean((means[:, i] > means[:, j] + 1e-9) + 0.5 * (np.abs(means[:, i] - means[:, j]) <= 1e-9)))
        for i, a in enumerate(methods)
        for j, b in enumerate(methods)
        if a != b
    }
    return Standings(
        calls=calls,
        lines=tuple(lines),
        problems=tuple(full),
        seeds=max(len(whole) for whole in full.values()),
        critical=_critical(len(methods), len(full)),
        wins=wins,
    )


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """How often the acceptance test was right, over all runs of one method.

    Args:
        runs: how many.
        accepted: of them.
        accepted_worse: of those accepted, those that are worse than the start beyond noise on rows that the test did
            not see.
        found: of those whose gain on these rows is more than two standard errors, the share that was accepted.
        certain: how many of these there are.
    """

    runs: int
    accepted: int
    accepted_worse: int
    found: float
    certain: int


def acceptance(rows: Iterable[Row], method: str) -> Acceptance:
    """Whether the acceptance test was right about one method."""
    own = [row for row in rows if row["method"] == method and row["applies"]]
    taken = [row for row in own if row["accepted"]]
    certain = [row for row in own if row["judged"] > 2 * row["judged_error"] > 0]
    return Acceptance(
        runs=len(own),
        accepted=len(taken),
        accepted_worse=sum(row["judged"] < -2 * row["judged_error"] for row in taken),
        found=sum(row["accepted"] for row in certain) / max(len(certain), 1),
        certain=len(certain),
    )


def calls_to_get_there(
    rows: Sequence[Row], methods: Sequence[str], known: Mapping[str, float]
) -> dict[str, dict[str, int]]:
    """By method and problem the smallest budget whose mean gain is 95 % of the best known; only problems with a gap."""
    gains: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["method"] in methods and row["applies"]:
            gains[row["method"], problem_of(row)][row["settings"]["calls"]].append(row["gain"])
    found: dict[str, dict[str, int]] = {method: {} for method in methods}
    for (method, problem), by_calls in gains.items():
        if known[problem] <= LEAST_GAIN:
            continue
        there = [calls for calls, own in sorted(by_calls.items()) if np.mean(own) >= _THERE * known[problem]]
        if there:
            found[method][problem] = there[0]
    return found


def _gain(row: Row) -> float:
    return float(row["gain"]) if row["applies"] else 0.0


def _ranks(gains: Sequence[float]) -> list[float]:
    """1 for the largest; equal ones share the mean of their places."""
    return [
        1 + sum(other > own + 1e-9 for other in gains) + 0.5 * (sum(abs(other - own) <= 1e-9 for other in gains) - 1)
        for own in gains
    ]


def _critical(methods: int, problems: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5 %."""
    from scipy.stats import studentized_range

    if methods < 2:
        return 0.0
    quantile = float(studentized_range.ppf(0.95, methods, 10_000)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * problems))
