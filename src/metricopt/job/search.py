"""One search from the first stage to the verdict, with everything that watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import NotFoldable
from ..adapters import AdaptedModel
from ..asking import Ask, AskOnce, Question
from ..metrics import Budget, Metric, as_judged
from ..problem import Problem
from ..runtime import Advance, MetricCache, describe_environment, one_thread
from ..value import LearnedValue, read_metric
from ..workload import Examples, Stream, Workload, member, resampling_of
from ..workload.nests import on, rows_of
from .acceptance import Verdict, nothing_found, paired_test, repeated_test, trusted
from .arguments import first_outputs
from .build_report import Scores, build_report, checked_names
from .events import Began, Checked, Event, Observed, StageBegan, Watcher, closed_on_failure
from .model_outputs import plain
from .outcome import Outcome
from .preparation import Prepared, in_memory, ready
from .request import Limits
from .sanity_checks import MOST_OF_TRAIN, check_finite, like_probabilities, one_class
from .split import AnyRows
from .stages import Candidate, MethodLike, Plan, best, label_kind, plan, run_stages
from .terms import terms_of


class Search:
    """A prepared workload, the metric behind its cache, and the watchers; made by `optimize`."""

    def __init__(
        self,
        prepared: Prepared,
        *,
        metric: Metric,
        seed: int,
        ask: Ask,
        cache: MetricCache,
        watchers: Sequence[Watcher],
        advance: Advance,
        settings: Mapping[str, str | int | float | bool | None],
        class_names: Sequence[str] | None,
        used_before: Sequence[str] = (),
    ) -> None:
        self._original = prepared.model
        self._prepared = prepared
        self._seed = seed
        self._cache = cache
        self._watchers = watchers
        self._settings = settings
        self._used_before = tuple(used_before)
        self._stage = ""
        self._history: list[Observed] = []
        self._calls = 0
        self._advance = advance
        self._ask = AskOnce(ask, cache, self._answered)
        self._workload = prepared.workload
        self._problem = Problem(
            prepared.workload,
            metric=metric,
            budget=Budget(),
            ask=self._ask,
            on_observation=self._observed,
            clock=cache.tick,
        )
        self._class_names = checked_names(class_names, prepared.workload)
        self._holdout = self._on_device(prepared.holdout)

    def sanity_checks(self) -> list[str]:
        """What is doubtful about the outputs of the model as it was given, a sentence each; no metric call.

        Raises:
            DataError: some outputs are NaN or infinite.
        """
        workload, made = self._workload, self._prepared
        with self._threads():
            found = [member(workload.predict(workload.start[None]), 0)]
            check_finite(found[0], made.search, "val", whole=made.val)
            if isinstance(made.train, Examples):  # a stream's rows may be dear, and other ones each time
                first = made.train.first(MOST_OF_TRAIN)
                check_finite(self._at_start(first), first, "train")
            if isinstance(made.holdout, Examples | Stream):
                found.append(self._at_start(made.holdout))
                own = made.own_holdout
                check_finite(found[1], made.holdout, "acceptance" if own else "val", whole=None if own else made.val)
            kind, model = label_kind(self._problem), workload.adapted.model
            few = self._some(made.search, 8)
            doubts = [
                like_probabilities(model, found, few.inputs) if kind == "binary" else None,
                one_class(made.search.targets) if kind in ("binary", "multiclass") else None,
            ]
        return [doubt for doubt in doubts if doubt is not None]

    def run(self, method: MethodLike, *, limits: Limits, confidence: float) -> Outcome:
        """Search, choose on the search part, test on the holdout."""
        with closed_on_failure(self._watchers):
            return self._run(method, limits=limits, confidence=confidence)

    def _run(self, method: MethodLike, *, limits: Limits, confidence: float) -> Outcome:
        problem, metric, holdout = self._problem, self._problem.metric, self._holdout
        self._tell(
            Began(
                total_calls=limits.total.calls,
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                settings=self._settings,
            )
        )
        with self._threads():
            candidates = run_stages(
                problem,
                plan(method),
                calls=limits.search_calls,
                seconds=limits.search_seconds,
                seed=self._seed,
                begin=self._begin,
            )
            chosen = best(candidates, problem.start)
            proposal = problem.start if chosen is None else chosen.result.phi
            scores = self._scores(None if holdout is None or isinstance(holdout, Metric) else holdout, proposal)
            verdict = self._verdict(proposal, scores, limits, confidence)
            terms = terms_of(metric, scores.before, scores.after, scores.judged_by, confidence=confidence)
        self._tell(
            Checked(
                before=verdict.before,
                after=verdict.after,
                low=verdict.low,
                high=verdict.high,
                accepted=verdict.accepted,
                reason=verdict.reason,
            )
        )
        seconds = self._cache.seconds()
        learned = _learned(candidates, self._prepared.search.hashes.unique())
        report_data = build_report(
            problem,
            verdict,
            candidates=candidates,
            chosen=chosen,
            verified=holdout is not None,
            confidence=confidence,
            calls=self._calls,
            seconds=seconds,
            facts=self._facts(verdict, scores, learned, _distance(candidates)),
            scores=scores,
            title=f"{type(plain(self._original)).__name__}, tuned for {metric.name}",
            class_names=self._class_names,
            terms=terms,
        )
        return Outcome(
            architecture=plain(self._merged(proposal) if verdict.accepted else self._original),
            accepted=verdict.accepted,
            reason=verdict.reason + self._reuse(verdict),
            before=verdict.before,
            after=verdict.after,
            interval=None if holdout is None else (verdict.low, verdict.high),
            expected_gain=verdict.expected,
            confidence=confidence,
            calls=self._calls,
            seconds=seconds,
            phi=proposal,
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            candidates=tuple(candidates),
            history=tuple(self._history),
            value=learned,
            report_data=report_data,
        )

    # --- the verdict ------------------------------------------------------------------------------

    def _verdict(self, proposal: Tensor, scores: Scores, limits: Limits, confidence: float) -> Verdict:
        problem, seconds, holdout = self._problem, limits.total.seconds, self._holdout
        judged = as_judged(problem.metric)
        if holdout is None or isinstance(holdout, Metric):
            metric = judged if holdout is None else holdout
            before, after = (self._rating(metric, phi, one) for phi, one in self._both(proposal, scores))
            if not bool(proposal.any()):
                return nothing_found(before())
            return (
                trusted(before(), after(), metric)
                if holdout is None
                else repeated_test(before, after, metric, confidence=confidence)
            )
        groups = holdout.groups
        return paired_test(
            judged,
            scores.before,
            scores.after,
            scores.targets,
            resamples=limits.resamples,
            confidence=confidence,
            seed=self._seed,
            how=resampling_of(judged.resampling, self._workload.kind, groups),
            groups=groups,
            rate=lambda questions: self._rated(judged, questions),
            judged_by=scores.judged_by,
            at_once=max(self._ask.at_once(1) // 2, 1),
            more=lambda: seconds is None or self._cache.tick() < seconds,
        )

    def _rated(self, metric: Metric, questions: Sequence[Question]) -> list[float]:
        """Through the one door, on nobody's budget: the test has calls of its own."""
        return list(self._ask(metric, questions, Budget().start()))

    def _both(self, proposal: Tensor, scores: Scores) -> tuple[tuple[Tensor, Any], tuple[Tensor, Any]]:
        return (self._problem.start, scores.before), (proposal, scores.after)

    def _rating(self, metric: Metric, phi: Tensor, scores: Any) -> Callable[[], float]:
        """What asks `metric` about the model at `phi`, whose outputs on the search part are `scores`."""
        question: Question = (scores, self._workload.judged_by)
        if metric.reads == "model":
            question = (self._workload.adapted.merged(phi),)
        return lambda: self._rated(metric, [question])[0]

    def _scores(self, of: Any, proposal: Tensor) -> Scores:
        both = self._workload.predict(torch.stack([self._problem.start, proposal]), of=of)
        rows: Workload | Examples | Stream = self._workload if of is None else of
        parts = member(both, 0), member(both, 1), rows.targets, rows.judged_by
        before, after, targets, told = (on(one, "cpu") for one in parts)
        return Scores(before=before, after=after, targets=targets, judged_by=told, kind=self._workload.kind)

    def _on_device(self, holdout: Any) -> Any:
        """Examples of the acceptance test, where and as the model takes them."""
        if not isinstance(holdout, Examples | Stream):
            return holdout
        first_outputs(self._workload.adapted, self._some(holdout, 64).inputs, "acceptance")
        return self._ready(holdout)

    def _at_start(self, examples: Examples | Stream) -> Any:
        """Outputs of the model as it was given."""
        return member(self._workload.predict(self._workload.start[None], of=self._ready(examples)), 0)

    def _some(self, examples: Examples | Stream, count: int) -> Examples:
        """The first few, ready for the model."""
        return self._ready(in_memory(examples.first(count)))

    def _ready(self, examples: AnyRows) -> AnyRows:
        adapted = self._workload.adapted
        return ready(adapted.model, examples, adapted.phi.device)

    def _threads(self) -> AbstractContextManager[Any]:
        return one_thread() if self._workload.is_small else nullcontext()

    def _merged(self, phi: Tensor) -> nn.Module:
        """The changed copy, on the device and in the mode of the model that was given."""
        adapted = self._workload.adapted
        merged: nn.Module
        try:
            merged = adapted.merged(phi)
        except NotFoldable:
            merged = adapted
            with torch.no_grad():
                adapted.phi.copy_(phi)
        home = next((parameter.device for parameter in self._original.parameters()), None)
        twins = dict((merged.model if isinstance(merged, AdaptedModel) else merged).named_modules())
        for name, module in self._original.named_modules():
            twins[name].training = module.training
        return merged if home is None else merged.to(home)

    # --- who watches ------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher(event)

    def _begin(self, stage: Plan) -> None:
        self._stage = stage.name
        self._tell(StageBegan(stage=stage.name, title=stage.title))

    def _answered(self) -> None:
        self._calls += 1
        self._advance(note=self._stage)

    def _observed(self, phi: Tensor, raw: float) -> None:
        del phi
        higher = self._problem.metric.higher_is_better
        past = [raw] if not self._history else [raw, self._history[-1].best]
        event = Observed(
            stage=self._stage,
            call=len(self._history) + 1,
            value=raw,
            best=max(past) if higher else min(past),
            seconds=self._cache.seconds(),
        )
        self._history.append(event)
        self._tell(event)

    def _facts(
        self, verdict: Verdict, scores: Scores, learned: LearnedValue | None, distance: float | None
    ) -> dict[str, str]:
        workload, machine, holdout = self._workload, describe_environment(), self._holdout
        rows = [f"{workload.train_size} to follow the loss", f"{rows_of(workload.targets)} to search on"]
        if holdout is not None and not isinstance(holdout, Metric):
            rows.append(f"{rows_of(scores.targets)} for the acceptance test")
        size = sum(parameter.numel() for parameter in self._original.parameters())
        slots = [slot.name for slot in workload.spec.slots]
        shown = ", ".join(slots[:4]) + (f" and {len(slots) - 4} more" if len(slots) > 4 else "")
        facts = {
            "Model": f"{type(plain(self._original)).__name__}, {size:,} weights, outputs: {workload.kind}",
            "Examples": ", ".join(rows),
            "phi": f"{workload.dim} numbers: {shown}",
            "Settings": ", ".join(
                f"{name} {_short(told)}" for name, told in self._settings.items() if told is not None
            ),
            "Machine": f"{machine['cpu']}, {machine['cores']} cores, {workload.adapted.phi.device}",
            "Versions": f"metricopt {machine['metricopt']}, torch {machine['torch']}, Python {machine['python']}",
        }
        if learned is not None and (reading := read_metric(learned)).parts:
            facts["The metric rewards"] = str(reading)
        if distance is not None:
            facts["Learned value function"] = (
                f"the model as it was given lies {distance:.1f} spreads from the nearest profile that it was learned on"
            )
        if verdict.accepted and holdout is not None:
            facts["Expected gain"] = (
                f"{verdict.expected:+.4g} on fresh examples: the measured gain, corrected for having been accepted"
            )
        return facts

    def _reuse(self, verdict: Verdict) -> str:
        """What there is to add where other runs were judged by the same acceptance rows."""
        return f" {_judged_before(self._used_before)}" if self._used_before and verdict.accepted else ""


def _judged_before(runs: Sequence[str]) -> str:
    several = f"{len(runs)} earlier runs ({', '.join(runs[:3])})" if len(runs) > 1 else f"an earlier run ({runs[0]})"
    return (
        f"The same acceptance rows judged {several} in this folder: who keeps the best of several runs is flattered by "
        "chance; quote a figure of rows that were used once."
    )


def _short(told: object) -> str:
    """A setting for a table: of a whole configuration its first name."""
    return str(told).split("(", maxsplit=1)[0] if len(str(told)) > 40 else str(told)


def _distance(candidates: Sequence[Candidate]) -> float | None:
    """How far the model lies from what a value function of another one has seen, where such a one was used."""
    found = [one.result.diagnostics.get("prior_distance") for one in candidates]
    return next((one for one in found if one is not None), None)


def _learned(candidates: Sequence[Candidate], rows: Tensor) -> LearnedValue | None:
    for one in reversed(candidates):
        result = one.result
        if isinstance(result.value, LearnedValue):
            return replace(result.value, rows=rows)
    return None
