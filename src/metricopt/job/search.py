"""One search from the first stage to the verdict, with everything that watches it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from .._errors import NotFoldable
from .._types import LossFunction, Sampler
from ..adapters import AdaptedModel
from ..metrics import Budget, Metric
from ..problem import Examples, Problem
from ..runtime import Advance, Answers, describe_environment, one_thread
from ..value import LearnedValue
from .acceptance import Verdict, nothing_found, paired_test, repeated_test, trusted
from .adaptation import Adapters, adapt
from .arguments import check_loss, first_scores
from .events import Began, Checked, Event, Observed, StageBegan, Watcher, closed_on_failure
from .first_look import MOST_OF_TRAIN, check_finite, like_probabilities, one_class
from .identity import remembered
from .outcome import Outcome
from .request import Limits, Unseen
from .same_rows import row_hashes
from .stages import Candidate, MethodLike, Plan, best, label_kind, plan, run_stages
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
        whole: Examples,
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
        train, val = (_for(twin, examples, device) for examples in (train, val))
        scores = first_scores(twin, val.inputs[:64])
        check_loss(loss, twin, train)
        self._whole = whole
        self._class_names = checked_names(class_names, scores)
        self._problem = Problem(
            adapt(twin, adapters, dim=dim, probe=val.inputs[:8]),
            loss=loss,
            metric=remembered(metric, answers, self._answered),
            train=train,
            val=val,
            budget=Budget(calls=0),
            sampler=sampler,
            batch_size=min(batch_size, len(train)),
            on_observation=self._observed,
            clock=answers.tick,
        )

    def look(self, unseen: Unseen, *, own: bool) -> list[str]:
        """What is doubtful about the scores of the model as it was given, a sentence each; no metric call.

        Args:
            unseen: what the acceptance test is made on.
            own: whether these examples were given as acceptance=, not taken from val.

        Raises:
            DataError: some scores are NaN or infinite.
        """
        problem, train = self._problem, self._problem.train

        def whole() -> Examples:
            return _for(problem.adapted.model, self._whole, self._device)

        with one_thread() if problem.is_small else nullcontext():
            found = [problem.outputs(problem.start[None])[0]]
            check_finite(found[0], problem.val, "val", whole=whole)
            first = Examples(inputs=train.inputs[:MOST_OF_TRAIN], targets=train.targets[:MOST_OF_TRAIN])
            check_finite(self._outputs(first, problem.start[None])[0], first, "train")
            if isinstance(unseen, Examples):
                unseen = self._ready(unseen)
                found.append(self._outputs(unseen, problem.start[None])[0])
                check_finite(found[1], unseen, "acceptance" if own else "val", whole=None if own else whole)
            kind, model = label_kind(problem), problem.adapted.model
            doubts = [
                like_probabilities(model, found, problem.val.inputs[:8]) if kind == "binary" else None,
                one_class(problem.val.targets) if kind in ("binary", "multiclass") else None,
            ]
        return [doubt for doubt in doubts if doubt is not None]

    def run(
        self,
        method: MethodLike,
        unseen: Unseen,
        *,
        limits: Limits,
        confidence: float,
    ) -> Outcome:
        """Search, choose on the search part, test on the unseen part."""
        with closed_on_failure(self._watchers):
            return self._run(method, unseen, limits=limits, confidence=confidence)

    def _run(self, method: MethodLike, unseen: Unseen, *, limits: Limits, confidence: float) -> Outcome:
        problem, metric = self._problem, self._problem.metric
        if isinstance(unseen, Examples):
            unseen = self._ready(unseen)
        self._tell(
            Began(
                total_calls=limits.total.calls,
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                settings=self._settings,
            )
        )
        with one_thread() if problem.is_small else nullcontext():
            candidates = run_stages(
                problem,
                plan(problem, method, calls=limits.search_calls),
                calls=limits.search_calls,
                seconds=limits.search_seconds,
                seed=self._seed,
                begin=self._begin,
            )
            chosen = best(candidates, problem.start)
            proposal = problem.start if chosen is None else chosen.result.phi
            scores = self._scores(unseen if isinstance(unseen, Examples) else problem.val, proposal)
            verdict = self._verdict(unseen, proposal, scores, limits, confidence)
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
            value=_learned(candidates, metric.name, problem.val),
            story=story,
        )

    # --- the verdict ------------------------------------------------------------------------------

    def _verdict(
        self,
        unseen: Unseen,
        proposal: Tensor,
        scores: Scores,
        limits: Limits,
        confidence: float,
    ) -> Verdict:
        problem, seconds = self._problem, limits.total.seconds
        if not isinstance(unseen, Examples):
            metric = problem.metric if unseen is None else remembered(unseen, self._answers, self._answered)
            before, after = (self._rating(metric, phi, one) for phi, one in self._both(proposal, scores))
            if not bool(proposal.any()):
                return nothing_found(before())
            return (
                trusted(before(), after(), metric)
                if unseen is None
                else repeated_test(before, after, metric, confidence=confidence)
            )
        return paired_test(
            problem.metric,
            scores.before,
            scores.after,
            scores.targets,
            resamples=limits.resamples,
            confidence=confidence,
            seed=self._seed,
            more=lambda: seconds is None or self._answers.tick() < seconds,
        )

    def _both(self, proposal: Tensor, scores: Scores) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (self._problem.start, scores.before), (proposal, scores.after)

    def _rating(self, metric: Metric, phi: Tensor, scores: Tensor) -> Callable[[], float]:
        """What asks `metric` about the model at `phi`, whose scores on the search part are `scores`."""
        if metric.reads == "model":
            model = self._problem.adapted.merged(phi)
            return lambda: metric.measure_model(model)
        targets = self._problem.val.targets.cpu()
        return lambda: metric(scores, targets)

    def _scores(self, examples: Examples, proposal: Tensor) -> Scores:
        problem = self._problem
        if examples is problem.val:
            both = problem.outputs(torch.stack([problem.start, proposal]))
        else:
            both = self._outputs(examples, torch.stack([problem.start, proposal]))
        return Scores(before=both[0].cpu(), after=both[1].cpu(), targets=examples.targets.cpu())

    def _ready(self, unseen: Examples) -> Examples:
        """Examples of the acceptance test, where and as the model takes them."""
        ready = _for(self._problem.adapted.model, unseen, self._device)
        first_scores(self._problem.adapted, ready.inputs[:64], "acceptance")
        return ready

    @torch.no_grad()
    def _outputs(self, examples: Examples, phis: Tensor) -> Tensor:
        """Scores `(n, N, ...)` of examples other than those of the search part."""
        adapted, phis = self._problem.adapted, phis.to(self._problem.adapted.phi)
        return torch.cat([adapted.outputs(phis, adapted.head(block)) for block in examples.inputs.split(4096)], dim=1)

    def _merged(self, phi: Tensor) -> nn.Module:
        """The changed copy, on the device and in the mode of the model that was given."""
        try:
            merged = self._problem.adapted.merged(phi)
        except NotFoldable:
            merged = self._problem.adapted
            with torch.no_grad():
                self._problem.adapted.phi.copy_(phi)
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


def _learned(candidates: Sequence[Candidate], metric: str, examples: Examples) -> LearnedValue | None:
    for one in reversed(candidates):
        result = one.result
        if result.value is not None:
            return LearnedValue(
                function=result.value,
                phis=result.phis,
                utilities=result.utilities,
                metric=metric,
                diagnostics=dict(result.diagnostics),
                rows=row_hashes(examples).unique(),
            )
    return None


def _for(model: nn.Module, examples: Examples, device: torch.device) -> Examples:
    """On `device`, real inputs in the precision of the model."""
    inputs, weight = examples.inputs, next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype = weight.dtype if weight is not None and inputs.is_floating_point() else inputs.dtype
    targets = examples.targets.to(device)
    # Tensors of inference mode take part in no gradient; their copies do.
    inputs, targets = (one.clone() if one.is_inference() else one for one in (inputs.detach(), targets))
    return Examples(inputs=inputs.to(device, dtype), targets=targets)
