"""Stories that look like those of real runs, made from seeded random numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

from metricopt.report import (
    Confusion,
    CurveShown,
    GenerationShown,
    Histogram,
    LossSearch,
    LossShown,
    OnTestRows,
    Point,
    Prediction,
    ReportData,
    Run,
    Stage,
)

FACTS = {
    "model": "mlp 123-64-1, 7,937 weights",
    "rows": "26,049 training, 3,908 search, 2,604 acceptance",
    "adapters": "film, output_shift (16 parameters)",
    "method": "auto: shift, surrogate, MetricOpt",
    "seed": "0",
    "device": "cpu, 2 threads",
    "versions": "metricopt 0.1.0, torch 2.13.0",
}


def binary() -> ReportData:
    """Accepted, higher is better, two classes, everything there."""
    draw = random.Random(0)
    stages = (
        _stage(draw, "shift", "Shift of the outputs", 24, 0.648, 0.671, 0.9, True),
        _stage(draw, "surrogate", "Trust-region surrogate", 180, 0.648, 0.682, 14.2, True),
        _stage(draw, "metric_opt", "MetricOpt", 420, 0.648, 0.6987, 38.6, True, chosen=True),
    )
    return ReportData(
        title="Adult income, tuned for F1",
        metric="f1",
        higher_is_better=True,
        bounds=(0.0, 1.0),
        before=0.6512,
        after=0.6894,
        low=0.0214,
        high=0.0561,
        confidence=0.95,
        accepted=True,
        reason="The interval of the gain lies above zero, so the change is accepted.",
        verified=True,
        calls=646,
        seconds=57.3,
        facts=FACTS,
        stages=stages,
        runs=tuple(_run(draw, at, True, 0.648, 0.697) for at in range(12)),
        predictions=_predictions(draw, 120, 0.60, 0.70, 0.008),
        embedding=_embedding(draw, 260, lambda t: 0.60 + 0.1 * t),
        confusion=Confusion(("<=50K", ">50K"), ((1862, 115), (246, 381)), ((1779, 198), (172, 455))),
        histogram=Histogram(
            "probability of >50K",
            tuple(at / 30 for at in range(31)),
            {"<=50K": _bins(draw, 1977, 0.9, 4.4), ">50K": _bins(draw, 627, 2.6, 2.2)},
            {"<=50K": _bins(draw, 1977, 1.0, 4.0), ">50K": _bins(draw, 627, 3.0, 2.0)},
            threshold_before=0.5,
            threshold_after=0.381,
        ),
    )


def seven_classes() -> ReportData:
    """Accepted, lower is better, a cost in its own units, long names."""
    draw = random.Random(1)
    labels = (
        "Spruce/Fir",
        "Lodgepole Pine",
        "Ponderosa Pine",
        "Cottonwood/Willow",
        "Aspen",
        "Douglas-fir",
        "Krummholz",
    )
    sizes = (21184, 28330, 3575, 275, 949, 1737, 2051)
    stages = (
        _stage(draw, "shift", "Shift of the outputs", 70, 23.1, 20.4, 12.0, False),
        _stage(draw, "random", "Random search", 400, 23.1, 19.6, 60.0, False),
        _stage(draw, "cma", "CMA-ES", 400, 23.1, 17.9, 71.0, False, chosen=True),
        _stage(draw, "surrogate", "Trust-region surrogate", 400, 23.1, 18.2, 250.0, False),
        _stage(draw, "metric_opt", "MetricOpt", 730, 23.1, 18.05, 640.0, False),
    )
    return ReportData(
        title="Forest cover: the cost of a wrong species",
        metric="survey cost per plot",
        higher_is_better=False,
        bounds=(0.0, 100.0),
        before=23.42,
        after=18.31,
        low=4.52,
        high=5.71,
        confidence=0.99,
        accepted=True,
        reason="The interval of the gain lies above zero, so the change is accepted.",
        verified=True,
        calls=2000,
        seconds=4340.0,
        facts={**FACTS, "model": "mlp 54-128-7", "rows": "464,809 training, 58,101 search, 58,101 acceptance"},
        stages=stages,
        runs=tuple(_run(draw, at, False, 23.1, 18.0) for at in range(40)),
        predictions=_predictions(draw, 320, 17.0, 27.0, 0.8),
        embedding=_embedding(draw, 800, lambda t: 27.0 - 9.5 * t),
        confusion=Confusion(labels, _confusion(draw, sizes, 0.78), _confusion(draw, sizes, 0.87)),
        test=OnTestRows(rows=58_101, before=23.55, after=18.42, low=4.71, high=5.55),
    )


def rejected() -> ReportData:
    """The original model comes back: the interval of the candidate reaches below zero."""
    draw = random.Random(2)
    return ReportData(
        title="Breast cancer, balanced accuracy",
        metric="balanced_accuracy",
        higher_is_better=True,
        bounds=(0.0, 1.0),
        before=0.9632,
        after=0.9681,
        low=-0.0112,
        high=0.0204,
        confidence=0.95,
        accepted=False,
        reason="The interval of the gain includes zero: on 114 rows this gain cannot be told from luck.",
        verified=True,
        calls=200,
        seconds=4.2,
        facts={"model": "mlp 30-16-1", "rows": "341 training, 114 search, 114 acceptance", "seed": "3"},
        stages=(
            _stage(draw, "shift", "Shift of the outputs", 20, 0.958, 0.9641, 0.2, True),
            _stage(draw, "metric_opt", "MetricOpt", 150, 0.958, 0.9712, 2.9, True, chosen=True),
        ),
        runs=(_run(draw, 0, True, 0.958, 0.97),),
        confusion=Confusion(("malignant", "benign"), ((40, 2), (1, 71)), ((41, 1), (2, 70))),
        histogram=Histogram(
            "probability of benign",
            tuple(at / 20 for at in range(21)),
            {"malignant": _bins(draw, 42, 0.5, 5.0, 20), "benign": _bins(draw, 72, 5.0, 0.5, 20)},
            {"malignant": _bins(draw, 42, 0.5, 5.0, 20), "benign": _bins(draw, 72, 5.0, 0.5, 20)},
            threshold_before=0.5,
            threshold_after=0.56,
        ),
        test=OnTestRows(rows=120, before=0.9583, after=0.9583),
    )


def minimal(**changes: object) -> ReportData:
    """Only what every report_data has."""
    fields: dict[str, object] = {
        "title": "A small run",
        "metric": "accuracy",
        "higher_is_better": True,
        "bounds": (0.0, 1.0),
        "before": 0.8,
        "after": 0.85,
        "low": 0.02,
        "high": 0.08,
        "confidence": 0.95,
        "accepted": True,
        "reason": "The interval of the gain lies above zero.",
        "verified": True,
        "calls": 12,
        "seconds": 0.7,
    }
    return ReportData(**{**fields, **changes})  # type: ignore[arg-type]


def unverified() -> ReportData:
    """Accepted on trust, one stage, many classes of which the picture merges some."""
    draw = random.Random(3)
    labels = tuple(f"class {at:02d}" for at in range(30))
    sizes = tuple(40 + 3 * at for at in range(30))
    return minimal(
        title="Thirty classes, taken on trust",
        low=None,
        high=None,
        verified=False,
        reason="No acceptance test was asked for.",
        stages=(_stage(draw, "cma", "CMA-ES", 90, 0.8, 0.85, 2.0, True, chosen=True),),
        confusion=Confusion(labels, _confusion(draw, sizes, 0.8), _confusion(draw, sizes, 0.85)),
    )


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}</style>"


def hostile() -> ReportData:
    """Text that tries to be markup, in every place that takes text, and characters that XML cannot hold."""
    draw = random.Random(4)
    names = (f"{HOSTILE} a", f"{HOSTILE} b")
    bins = {name: _bins(draw, 50, 2.0, 2.0, 8) for name in names}
    return minimal(
        title=HOSTILE + "\x00\ud800" + "long" * 100,
        metric=HOSTILE,
        reason=HOSTILE,
        facts={HOSTILE: HOSTILE, "path": "/tmp/\udcff/" + "x" * 300},
        stages=(
            Stage(HOSTILE, HOSTILE, 0.84, 5, 1.0, True, (0.8, 0.81, 0.83)),
            Stage("other", "w" * 200, None, 0, 0.0, False),
        ),
        runs=(
            Run((0, 5), None, (0.8, 0.81), (0.0, 0.01), ((0, 0.8),), HOSTILE),
            Run((0, 5), (1.0, 0.5), (0.8, 0.8), (0.0, 0.0), (), HOSTILE),
        ),
        predictions=(Prediction(0.8, 0.0, 0.8),),
        embedding=(Point(0.0, 0.0, 0.8),),
        confusion=Confusion(names, ((5, 0), (0, 0)), ((5, 0), (0, 0))),
        histogram=Histogram(HOSTILE, tuple(float(at) for at in range(9)), bins, bins, 99.0, None),
    )


def loss_search() -> ReportData:
    """A loss that was found, with formulas far longer than any column, and a hostile name among them."""
    draw = random.Random(3)
    long = "0.676 * aq(0.673, f(x)) - " + " - ".join(f"max(log({at}.5 * y), abs(f(x) - y))" for at in range(20))
    places = tuple(at / 10 for at in range(-60, 61))
    curve = tuple(math.log1p(math.exp(-place)) for place in places)
    best, generations = 0.6, []
    for number in range(21):
        best = max(best, 0.6 + 0.004 * number + draw.uniform(-0.01, 0.01))
        fates = tuple(draw.randint(0, 12) for _ in range(6))
        generations.append(
            GenerationShown(None if number == 0 else best, None if number == 0 else best - draw.uniform(0, 0.2), fates)
        )
    search = LossSearch(
        formula=long,
        latex=r"\frac{y}{\sqrt{1 + f(x)^2}} " * 30,
        short="aq(1, f(x)) - max(abs(y - f(x)), f(x))",
        plain="cross_entropy",
        baseline=0.62,
        fates=("archive", "constant", "same slopes", "rejected", "failed", "trained"),
        generations=tuple(generations),
        front=tuple(LossShown(f"square(y - f(x)) * {size}", size, 0.55 + 0.01 * size) for size in range(3, 14, 2)),
        finals=(LossShown(long, 61, 0.681), LossShown(HOSTILE, 4, 0.64), LossShown("3 * cross_entropy", 0, 0.63)),
        axis="score of a class (its log-odds)",
        places=places,
        curves=(
            CurveShown(f"evolved: {long}", curve, curve[::-1]),
            CurveShown("cross_entropy", curve, curve[::-1]),
            CurveShown(HOSTILE, tuple(place**2 for place in places), tuple(place**2 for place in places)),
        ),
    )
    return replace(
        binary(), title="A loss for f1", stages=(), runs=(), predictions=(), embedding=(), loss_search=search
    )


STORIES: dict[str, Callable[[], ReportData]] = {
    "binary": binary,
    "seven_classes": seven_classes,
    "rejected": rejected,
    "minimal": minimal,
    "unverified": unverified,
    "hostile": hostile,
    "loss_search": loss_search,
}


def _stage(
    draw: random.Random, name: str, title: str, calls: int, start: float, end: float, seconds: float, up: bool,
    *, chosen: bool = False,
) -> Stage:  # fmt: skip
    span = end - start
    seen = [start]
    for call in range(1, calls):
        progress = 1 - math.exp(-4.0 * call / calls)
        seen.append(start + span * progress - (1 if up else -1) * abs(draw.gauss(0, 0.45 * abs(span))))
    seen[int(calls * 0.9)] = end
    best = (max if up else min)(seen)
    return Stage(name, title, best, calls, seconds, chosen, tuple(seen))


def _run(draw: random.Random, at: int, up: bool, start: float, end: float) -> Run:
    steps = tuple(range(0, 101, 2))
    reach = draw.uniform(0.3, 1.0) * (end - start)
    bend, wobble = draw.uniform(15, 40), draw.uniform(0, 6)
    mean = tuple(
        start + reach * (1 - math.exp(-step / bend)) + 0.06 * (end - start) * math.sin(step / 9 + wobble)
        for step in steps
    )
    seen = tuple((step, mean[step // 2] + draw.gauss(0, 0.05 * abs(end - start))) for step in range(0, 101, 20))
    std = tuple(abs(end - start) * (0.03 + 0.10 * abs(math.sin(math.pi * step / 20))) for step in steps)
    losses = tuple(0.31 + 0.35 * math.exp(-step / bend) + draw.gauss(0, 0.006) for step in steps)
    return Run(steps, losses, mean, std, seen, f"start {at + 1}")


def _predictions(draw: random.Random, count: int, low: float, high: float, spread: float) -> tuple[Prediction, ...]:
    made = []
    for _ in range(count):
        observed = low + (high - low) * draw.betavariate(3.0, 1.6)
        own = spread * draw.uniform(0.5, 1.6)
        made.append(Prediction(observed + draw.gauss(0, own), own, observed))
    return tuple(made)


def _embedding(draw: random.Random, count: int, value: Callable[[float], float]) -> tuple[Point, ...]:
    made = []
    for _ in range(count):
        t = draw.betavariate(2.0, 1.4)
        angle = 2.6 * t + draw.gauss(0, 0.14)
        radius = 1.0 + 0.9 * t + draw.gauss(0, 0.12)
        made.append(
            Point(radius * math.cos(angle), radius * math.sin(angle), value(min(max(t + draw.gauss(0, 0.06), 0), 1)))
        )
    return tuple(made)


def _bins(draw: random.Random, count: int, a: float, b: float, bins: int = 30) -> tuple[int, ...]:
    found = [0] * bins
    for _ in range(count):
        found[min(int(draw.betavariate(a, b) * bins), bins - 1)] += 1
    return tuple(found)


def _confusion(draw: random.Random, sizes: tuple[int, ...], right: float) -> tuple[tuple[int, ...], ...]:
    rows = []
    for at, size in enumerate(sizes):
        own = int(size * min(0.985, right + draw.uniform(-0.12, 0.1)))
        weights = [0.0 if other == at else draw.random() ** 3 * sizes[other] ** 0.5 for other in range(len(sizes))]
        others = [int((size - own) * weight / sum(weights)) for weight in weights]
        rows.append(tuple(own if other == at else count for other, count in enumerate(others)))
    return tuple(rows)
