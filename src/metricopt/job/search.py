"""One search from the first stage to the verdict, with everything that watches it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from .._errors import NotFoldable
from .._types import LossFunction, Sampler
from ..metrics import Budget, Metric
from ..problem import Examples, Problem
from ..runtime import Advance, Answers, describe_environment, one_thread
from ..value import LearnedValue
from .acceptance import Verdict, paired_test, repeated_test
from .adaptation import Adapters, adapt
from .arguments import check_loss, first_scores
from .events import Began, Checked, Event, Observed, StageBegan, Watcher
from .identity import remembered
from .outcome import Outcome
from .request import Limits, Unseen
from .stages import Candidate, MethodLike, best, plan, run_stage
from .telling import Scores, checked_names, tell


class Search:
    """The model's copy, the metric behind its answers, and the watchers; made by `optimize`."""

    def __init__(
        self,
        model: nn.Module,
        *,
        metric: Metric,
        loss: LossFunction,
        train: Examples,
        val: Examples,
        adapters: Adapters,
        dim: int,
        sampler: Sampler,
        batch_size: int,
        device: torch.device,
        seed: int,
        answers: Answers,
        watchers: Sequence[Watcher],
        advance: Advance,
        settings: Mapping[str, str | int | float | bool | None],
        class_names: Sequence[str] | None,
    ) -> None:
        self._original = model
        self._device = device
        self._seed = seed
        self._answers = answers
        self._watchers = watchers
        self._settings = settings
        self._stage = ""
        self._history: list[Observed] = []
        self._calls = 0
        self._advance = advance
        twin = copy.deepcopy(model).to(device).eval()
        scores = first_scores(twin, val.inputs[:64].to(device))
        check_loss(loss, twin, train)
        self._class_names = checked_names(class_names, scores)
        self._problem = Problem(
            adapt(twin, adapters, dim=dim, probe=val.inputs[:8].to(device)),
            loss=loss,
            metric=remembered(metric, answers, self._answered),
            train=_on(train, device),
            val=_on(val, device),
            budget=Budget(calls=0),
            sampler=sampler,
            batch_size=min(batch_size, len(train)),
            on_observation=self._observed,
            clock=answers.seconds,
        )

    def run(
        self,
        method: MethodLike,
        unseen: Unseen,
        *,
        limits: Limits,
        confidence: float,
    ) -> Outcome:
        """Search, choose on the search part, test on the unseen part."""
        problem = self._problem
        metric = problem.metric
        self._tell(
            Began(
                total_calls=limits.total.calls,
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                settings=self._settings,
            )
        )
        with one_thread() if problem.is_small else nullcontext():
            candidates = []
            for stage in plan(problem, method, calls=limits.search_calls):
                self._stage = stage.name
                self._tell(StageBegan(stage=stage.name, title=stage.title))
                candidates.append(
                    run_stage(problem, stage, calls=limits.search_calls, seconds=limits.search_seconds, seed=self._seed)
                )
            chosen = best(candidates, problem.start)
            proposal = problem.start if chosen is None else chosen.result.phi
            scores = self._scores(unseen if isinstance(unseen, Examples) else problem.val, proposal)
            verdict = self._verdict(unseen, proposal, chosen, scores, limits.resamples, confidence)
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
        seconds = self._answers.seconds()
        story = tell(
            problem,
            verdict,
            candidates=candidates,
            chosen=chosen,
            verified=unseen is not None,
            confidence=confidence,
            calls=self._calls,
            seconds=seconds,
            facts=self._facts(unseen),
            scores=scores,
            title=f"{type(self._original).__name__}, tuned for {metric.name}",
            class_names=self._class_names,
        )
        return Outcome(
            architecture=self._merged(proposal) if verdict.accepted else self._original,
            accepted=verdict.accepted,
            reason=verdict.reason,
            before=verdict.before,
            after=verdict.after,
            interval=None if unseen is None else (verdict.low, verdict.high),
            confidence=confidence,
            calls=self._calls,
            seconds=seconds,
            phi=proposal,
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            candidates=tuple(candidates),
            history=tuple(self._history),
            value=_learned(candidates, metric.name),
            story=story,
        )

    # --- the verdict ------------------------------------------------------------------------------

    def _verdict(
        self,
        unseen: Unseen,
        proposal: Tensor,
        chosen: Candidate | None,
        scores: Scores,
        resamples: int,
        confidence: float,
    ) -> Verdict:
        problem = self._problem
        if unseen is None:
            return self._trusted(chosen)
        if isinstance(unseen, Metric):
            asked = remembered(unseen, self._answers, self._answered)
            models = [problem.adapted.merged(phi) for phi in (problem.start, proposal)]
            if chosen is None:
                value = asked.measure_model(models[0])
                return _nothing(value)
            return repeated_test(
                lambda: (asked.measure_model(models[0]), asked.measure_model(models[1])), asked, confidence=confidence
            )
        return paired_test(
            problem.metric,
            scores.before,
            scores.after,
            scores.targets,
            resamples=resamples,
            confidence=confidence,
            seed=self._seed,
        )

    def _trusted(self, chosen: Candidate | None) -> Verdict:
        """Without a test: the figures of the search part, which flatter the change."""
        metric, seen = self._problem.metric, self._history
        if chosen is None or chosen.value is None:
            value = seen[0].value if seen else metric.raw(0.0)
            return _nothing(value)
        before = seen[0].value if seen else chosen.value
        gain = (metric.utility(chosen.value) - metric.utility(before)) * (metric.bounds[1] - metric.bounds[0])
        accepted = gain > 0 or not seen
        reason = (
            "Not tested on unseen examples, as you asked: the figures are those of the search and flatter the change."
        )
        return Verdict(
            before=before, after=chosen.value, low=gain, high=gain, accepted=accepted, reason=reason, calls=0
        )

    def _scores(self, examples: Examples, proposal: Tensor) -> Scores:
        problem = self._problem
        if examples is problem.val:
            both = problem.outputs(torch.stack([problem.start, proposal]))
        else:
            adapted, device = problem.adapted, self._device
            phis = torch.stack([problem.start, proposal]).to(adapted.phi)
            with torch.no_grad():
                blocks = examples.inputs.split(4096)
                both = torch.cat([adapted.outputs(phis, adapted.head(block.to(device))) for block in blocks], dim=1)
        return Scores(before=both[0].cpu(), after=both[1].cpu(), targets=examples.targets.cpu())

    def _merged(self, phi: Tensor) -> nn.Module:
        """The changed copy, on the device and in the mode of the model that was given."""
        try:
            merged = self._problem.adapted.merged(phi)
        except NotFoldable:
            merged = self._problem.adapted
            with torch.no_grad():
                self._problem.adapted.phi.copy_(phi)
        home = next((parameter.device for parameter in self._original.parameters()), None)
        for twin, module in zip(merged.modules(), self._original.modules(), strict=False):
            twin.training = module.training
        return merged if home is None else merged.to(home)

    # --- who watches ------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher(event)

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
            seconds=self._answers.seconds(),
        )
        self._history.append(event)
        self._tell(event)

    def _facts(self, unseen: Unseen) -> dict[str, str]:
        problem, machine = self._problem, describe_environment()
        rows = [f"{len(problem.train)} to follow the loss", f"{len(problem.val)} to search on"]
        if isinstance(unseen, Examples):
            rows.append(f"{len(unseen)} for the acceptance test")
        size = sum(parameter.numel() for parameter in self._original.parameters())
        return {
            "Model": f"{type(self._original).__name__}, {size:,} weights",
            "Examples": ", ".join(rows),
            "phi": f"{problem.dim} numbers: " + ", ".join(slot.name for slot in problem.spec.slots),
            "Settings": ", ".join(
                f"{name} {_short(told)}" for name, told in self._settings.items() if told is not None
            ),
            "Machine": f"{machine['cpu']}, {machine['cores']} cores, {self._device}",
            "Versions": f"metricopt {machine['metricopt']}, torch {machine['torch']}, Python {machine['python']}",
        }


def _short(told: object) -> str:
    """A setting for a table: of a whole configuration its first name."""
    return str(told).split("(", maxsplit=1)[0] if len(str(told)) > 40 else str(told)


def _nothing(value: float) -> Verdict:
    reason = "The search found nothing better than the model as it was."
    return Verdict(before=value, after=value, low=0.0, high=0.0, accepted=False, reason=reason, calls=1)


def _learned(candidates: Sequence[Candidate], metric: str) -> LearnedValue | None:
    for one in reversed(candidates):
        result = one.result
        if result.value is not None:
            return LearnedValue(
                function=result.value,
                phis=result.phis,
                utilities=result.utilities,
                metric=metric,
                diagnostics=dict(result.diagnostics),
            )
    return None


def _on(examples: Examples, device: torch.device) -> Examples:
    return Examples(inputs=examples.inputs.to(device), targets=examples.targets.to(device))
