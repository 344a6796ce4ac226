"""From what a run left behind to the data of its report: plain numbers in units of the metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._errors import ConfigError
from .._random import generator
from .._scores import by_position, flatten_binary, to_labels
from .._types import ScoreKind
from ..methods import Result, Trace
from ..metrics import Metric
from ..problem import Problem
from ..report import (
    DETECTIONS,
    DIFFERENT,
    ERRORS,
    SAME,
    Confusion,
    Histogram,
    Point,
    Prediction,
    ReportData,
    Run,
    Stage,
    Term,
)
from ..value import ValueFunction, interpolate
from ..workload import Workload
from .acceptance import Verdict
from .stages import Candidate

#: More runs, points or classes than these make a picture worse, not better.
_MOST_RUNS, _MOST_POINTS, _MOST_CLASSES = 6, 600, 12
_BINS = 40


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Outputs for the examples that the acceptance test was made on, before and after the change, and their kind.

    `judged_by` is what the metric gets beside them: the targets, and what it alone is told.
    """

    before: Any
    after: Any
    targets: Any
    judged_by: Any
    kind: str


def build_report(
    problem: Problem,
    verdict: Verdict,
    *,
    candidates: Sequence[Candidate],
    chosen: Candidate | None,
    verified: bool,
    confidence: float,
    calls: int,
    seconds: float,
    facts: Mapping[str, str],
    scores: Scores | None,
    title: str,
    class_names: Sequence[str] | None,
    terms: tuple[Term, ...],
) -> ReportData:
    """The data of the report of one run; nothing here asks the metric."""
    metric = problem.metric
    teller = next((one.result for one in reversed(candidates) if one.result.trace is not None), None)
    return ReportData(
        title=title,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        before=verdict.before,
        after=verdict.after,
        low=verdict.low if verified else None,
        high=verdict.high if verified else None,
        confidence=confidence,
        accepted=verdict.accepted,
        reason=verdict.reason,
        verified=verified,
        calls=calls,
        seconds=seconds,
        facts=dict(facts),
        stages=tuple(_stage(one, metric, one is chosen) for one in candidates),
        runs=_runs(problem, teller.trace) if teller and teller.trace and teller.trace.trajectories else (),
        predictions=_predictions(metric, teller.trace) if teller and teller.trace else (),
        embedding=_embedding(metric, teller) if teller else (),
        confusion=confusion_of(scores, class_names) if scores else None,
        histogram=histogram_of(scores, class_names) if scores else None,
        terms=terms,
    )


def _stage(candidate: Candidate, metric: Metric, chosen: bool) -> Stage:
    result = candidate.result
    return Stage(
        name=candidate.name,
        title=candidate.title,
        value=candidate.value,
        calls=result.calls,
        seconds=result.seconds,
        chosen=chosen,
        observed=tuple(metric.raw(float(utility)) for utility in result.utilities),
    )


def _runs(problem: Problem, trace: Trace) -> tuple[Run, ...]:
    """The run from phi = 0, and the runs that were observed, the last ones first: they were guided."""
    trajectories = trace.trajectories
    assert trajectories is not None
    seen = trajectories.observed.sum(dim=1)
    order = sorted(range(trajectories.runs), key=lambda run: (int(seen[run]) > 0, run), reverse=True)
    from_zero = [run for run in range(trajectories.runs) if bool((trajectories.phis[run, 0] == 0).all())][:1]
    picked = [*from_zero, *[run for run in order if run not in from_zero]][:_MOST_RUNS]
    picked = [run for run in picked if int(seen[run]) > 0]
    if not picked:
        return ()
    chosen = trajectories.select(picked)
    dense = interpolate(chosen)
    unit = problem.metric.bounds[1] - problem.metric.bounds[0]
    steps = chosen.steps.tolist()
    return tuple(
        Run(
            steps=tuple(steps),
            losses=_losses(problem, chosen.phis[i]),
            mean=tuple(problem.metric.raw(float(u)) for u in dense.mean[i]),
            std=tuple(float(s) * unit for s in dense.std[i]),
            seen=tuple(
                (steps[t], problem.metric.raw(float(chosen.utilities[i, t])))
                for t in chosen.observed[i].nonzero()[:, 0].tolist()
            ),
            label="loss run from the trained model"
            if picked[i] in from_zero
            else _run_name(picked[i], trace.loss_runs),
        )
        for i in range(len(picked))
    )


def _run_name(run: int, loss_runs: int) -> str:
    """What a reader calls a run that does not begin at phi = 0.

    >>> _run_name(4, 40), _run_name(47, 40)
    ('loss run 5 from a random start', 'guided run 8')
    """
    return f"loss run {run + 1} from a random start" if run < loss_runs else f"guided run {run - loss_runs + 1}"


def _losses(problem: Problem, phis: Tensor) -> tuple[float, ...] | None:
    """The training loss on the same examples at every step; free. None where it is not finite everywhere."""
    indices = problem.draws(0, 1).expand(len(phis), -1)
    losses = problem.loss_and_grad(phis, indices)[0]
    return tuple(losses.tolist()) if bool(losses.isfinite().all()) else None


def _predictions(metric: Metric, trace: Trace) -> tuple[Prediction, ...]:
    unit = metric.bounds[1] - metric.bounds[0]
    return tuple(
        Prediction(predicted=metric.raw(expected), spread=spread * unit, observed=metric.raw(came))
        for expected, spread, came in trace.forecasts[-_MOST_POINTS:].double().tolist()
    )


def _embedding(metric: Metric, result: Result) -> tuple[Point, ...]:
    """The two directions in which what the value function reads of the observed points differs most."""
    value = result.value
    if value is None or len(result.utilities) < 3:
        return ()
    phis, utilities = result.phis[-_MOST_POINTS:], result.utilities[-_MOST_POINTS:]
    if isinstance(value, ValueFunction):
        with torch.no_grad():
            embedded = value(phis.to(value.head_weight))[1].double()
    else:
        embedded = value.psi[-_MOST_POINTS:].double()
        embedded = embedded / embedded.std(dim=0).clamp_min(1e-2)
    centred = embedded - embedded.mean(dim=0)
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    flat = torch.zeros(len(phis), 2, dtype=torch.float64)
    kept = min(2, len(sizes))
    flat[:, :kept] = left[:, :kept] * sizes[:kept]
    return tuple(
        Point(x=x, y=y, value=metric.raw(float(utility)))
        for (x, y), utility in zip(flat.tolist(), utilities, strict=True)
    )


def confusion_of(scores: Scores, names: Sequence[str] | None) -> Confusion | None:
    """How often each class was given each label; None where outputs are no classes, or too many."""
    if scores.kind not in ("binary", "multiclass", "positions"):
        return None
    flat = [by_position(one, scores.targets) for one in (scores.before, scores.after)]
    wide = flat[0][0].dim() == 2 and flat[0][0].shape[1] > 1
    kind: ScoreKind = "multiclass" if wide else "binary"
    classes, truth = flat[0][0].shape[1] if wide else 2, flat[0][1].reshape(-1).long()
    if classes > _MOST_CLASSES or bool((truth < 0).any() | (truth >= classes).any()):
        return None
    tables = []
    for one, _ in flat:
        predicted = to_labels(one, kind).reshape(-1)
        counts = torch.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)
        tables.append(tuple(tuple(row) for row in counts.tolist()))
    return Confusion(labels=_labels(classes, names), before=tables[0], after=tables[1])


def histogram_of(scores: Scores, names: Sequence[str] | None) -> Histogram | None:
    """One picture of what changed; None for outputs of several scores.

    Of two classes their scores, of values how wrong they are, of embeddings how alike pairs are that belong together
    and pairs that do not, of detections how sure the model is of them.
    """
    match scores.kind:
        case "binary":
            labels = _labels(2, names)
            before, truth = flatten_binary(scores.before, scores.targets)
            of = [{labels[k]: one[truth == k] for k in (0, 1)} for one in (before, scores.after.reshape(-1))]
            return _histogram("Scores; above zero means the second class", of, beyond=0.002, threshold=0.0)
        case "values":
            truth = scores.targets.reshape(-1).double()
            if any(one.numel() != len(truth) for one in (scores.before, scores.after)):
                return None  # several values a row
            of = [{ERRORS: one.reshape(-1).double() - truth} for one in (scores.before, scores.after)]
            return _histogram("Predicted less true", of, beyond=0.005)
        case "embeddings" if isinstance(scores.targets, Tensor) and scores.targets.dim() == 1:
            return _histogram("Cosine similarity", [_pairs(e, scores) for e in (scores.before, scores.after)], beyond=0)
        case "boxes":
            of = [{DETECTIONS: _confidences(one)} for one in (scores.before, scores.after)]
            return _histogram("Confidence", of, beyond=0) if all(len(one[DETECTIONS]) for one in of) else None
    return None


def _histogram(
    title: str, of: Sequence[Mapping[str, Tensor]], *, beyond: float, threshold: float | None = None
) -> Histogram | None:
    """Series of numbers before and after; None where there are none, or some are no finite numbers."""
    both = torch.cat([values for one in of for values in one.values()]).double()
    if len(both) == 0 or not bool(both.isfinite().all()):
        return None
    edges = _edges(both, beyond=beyond)
    before, after = ({name: _counted(values, edges) for name, values in one.items()} for one in of)
    return Histogram(
        title=title,
        edges=tuple(edges.tolist()),
        before=before,
        after=after,
        threshold_before=threshold,
        threshold_after=threshold,
    )


def _pairs(embeddings: Tensor, scores: Scores) -> dict[str, Tensor]:
    """Similarities of pairs of some of the rows: of one label, and of two."""
    rows = torch.randperm(len(scores.targets), generator=generator("pairs"))[:_MOST_POINTS]
    unit, labels = torch.nn.functional.normalize(embeddings[rows].double(), dim=1), scores.targets[rows]
    first, second = torch.triu_indices(len(rows), len(rows), offset=1)
    alike, same = (unit @ unit.T)[first, second], labels[first] == labels[second]
    return {SAME: alike[same], DIFFERENT: alike[~same]}


def _confidences(records: Any) -> Tensor:
    found = [one["scores"] for one in records if isinstance(one, Mapping) and isinstance(one.get("scores"), Tensor)]
    return torch.cat([one.reshape(-1) for one in found]) if found else torch.zeros(0)


def _edges(values: Tensor, *, beyond: float) -> Tensor:
    """Borders of the bins of a histogram; the share `beyond` on either side falls into the first and the last one."""
    low, high = (float(torch.quantile(values, q)) for q in (beyond, 1 - beyond))
    if not low < high:
        low, high = low - 1, high + 1
    return torch.linspace(low, high, _BINS + 1, dtype=torch.float64)


def _counted(values: Tensor, edges: Tensor) -> tuple[int, ...]:
    inside = values.double().clamp(edges[0], edges[-1])
    return tuple(int(n) for n in torch.histogram(inside, edges).hist.tolist())


def checked_names(names: Sequence[str] | None, workload: Workload) -> tuple[str, ...] | None:
    """`names` as text; ConfigError where there is not one for each class of the outputs."""
    if names is None:
        return None
    shape = workload.shape
    classes = shape[1] if len(shape) == 2 and shape[1] > 1 else 2
    if isinstance(names, str) or len(names) != classes:
        raise ConfigError(f"class_names must name the {classes} classes, got {names!r}")
    return tuple(str(name) for name in names)


def _labels(classes: int, names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(f"class {label}" for label in range(classes)) if names is None else tuple(names)
