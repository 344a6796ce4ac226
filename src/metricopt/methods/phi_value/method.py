"""MetricOpt as in the paper: learn a value function along loss trajectories, then let it guide the search."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from ..._random import derive_seed
from ..._random import generator as named_generator
from ...problem import Problem
from ...value import Quality, Trajectories, ValueFunction, quality
from ..method import ALL_CALLS, Method, MethodCard, Proposal, Trace, best_observed, observe_within_budget
from .collect import collect, observation_times, observe_runs
from .config import PhiValueConfig
from .learn import Learned, learn
from .tune import guided_runs

_PAPER = "Huang, Zhai, Guo, Susskind: MetricOpt, CVPR 2021"


@final
@dataclass(frozen=True, kw_only=True)
class PhiMetricOpt(Method):
    """The paper's method with the choices of `PhiValueConfig`.

    Meta-training: trajectories of loss finetuning from many starts, observed sparsely, interpolated in time; the
    value function is fitted to them. Meta-testing: guided runs descend its estimate; what they observe refines it.

    Differs from the paper in its defaults: see docs/lab-notes.md for what each choice is worth. `PAPER_LITERAL`
    is Algorithm 1 as printed.
    """

    config: PhiValueConfig = field(default_factory=PhiValueConfig)
    card: ClassVar[MethodCard] = MethodCard(title="MetricOpt on phi (SGD)", family="metricopt", paper=_PAPER)

    @property
    def rates_its_proposal(self) -> bool:
        return self.config.propose != "last"

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        config = self.config
        phi_scale = problem.phi_scale if config.use_phi_scale else torch.ones(problem.dim)
        if config.from_zero:
            observe_within_budget(problem, problem.start[None])
        parts = [collect(problem, config, calls=self._meta_calls(problem), phi_scale=phi_scale, seed=seed)]
        if not bool(parts[0].observed.any()):
            return best_observed(problem)
        learned = learn(parts[0], config, seed=seed)
        diagnostics = _described("fit", learned.quality)
        forecasts = [torch.zeros(0, 3)]
        for round_ in range(config.rounds):
            calls = max(_calls_left(problem) - self._kept_calls(problem), 0) // (config.rounds - round_)
            if calls == 0:
                break
            runs, own = min(config.runs, calls), derive_seed(seed, "round", round_)
            start = self._starts(problem, learned.value, runs, phi_scale=phi_scale, seed=own)
            path = guided_runs(problem, learned.value, config, start=start, phi_scale=phi_scale, seed=own)
            times = _late_times(runs, calls // runs, config.steps, seed=own)
            seen = observe_runs(problem, path, times)
            forecasts.append(_forecast(learned.value, seen))
            diagnostics |= _described("next", quality(forecasts[-1][:, 0], forecasts[-1][:, 2]))
            parts.append(seen)
            learned = learn(Trajectories.stack(parts), config, seed=own)
        proposal = self._proposal(problem, learned, phi_scale, seed, diagnostics | _described("last", learned.quality))
        trace = Trace(trajectories=Trajectories.stack(parts), loss_runs=parts[0].runs, forecasts=torch.cat(forecasts))
        return replace(proposal, value=learned.value, trace=trace)

    def _meta_calls(self, problem: Problem) -> int:
        config = self.config
        wanted, left = config.tasks * config.observations, _calls_left(problem)
        calls = int(left * config.share) if config.rounds else left - self._kept_calls(problem)
        return min(wanted, max(calls, 1))

    def _starts(self, problem: Problem, value: ValueFunction, runs: int, *, phi_scale: Tensor, seed: int) -> Tensor:
        """Where guided runs begin: at random as in the paper, or around phi = 0 and the best estimates."""
        generator = named_generator(seed, "starts")
        noise = torch.randn(runs, problem.dim, generator=generator) * phi_scale * self.config.spread
        if not self.config.from_zero:
            return noise
        phis, _ = problem.observations
        best = phis[estimates(value, phis).topk(min(len(phis), max(runs // 2, 1))).indices]
        anchors = torch.cat([problem.start[None], best])
        return anchors[torch.arange(runs) % len(anchors)] + 0.1 * noise

    def _proposal(
        self, problem: Problem, learned: Learned, phi_scale: Tensor, seed: int, diagnostics: dict[str, float]
    ) -> Proposal:
        config = self.config
        if config.propose == "observed":
            return best_observed(problem, diagnostics)
        if config.propose == "last":
            start = self._starts(problem, learned.value, 1, phi_scale=phi_scale, seed=seed)
            path = guided_runs(problem, learned.value, config, start=start, phi_scale=phi_scale, seed=seed)
            return Proposal(phi=path[-1][0], diagnostics=diagnostics)
        phis, _ = problem.observations
        best = estimates(learned.value, phis).topk(min(config.top, len(phis)))
        phi = phis[best.indices].mean(dim=0)
        if config.min_gain_stderr > 0:
            return _beyond_chance(problem, phi, config, seed, diagnostics)
        return Proposal(phi=phi, utility=float(best.values.mean()), diagnostics=diagnostics)

    def _kept_calls(self, problem: Problem) -> int:
        """Calls that the proposal will want: a look at it, one at phi = 0 if it is new, and the bootstrap pairs."""
        if self.config.min_gain_stderr == 0 or self.config.propose != "estimate":
            return 0
        pairs = 0 if problem.metric.reads == "model" else self.config.resamples
        return 1 + (_start_utility(problem) is None) + 2 * pairs


def _calls_left(problem: Problem) -> int:
    """Metric calls still to come: what the budget holds, and what fits into its time at the pace so far."""
    meter = problem.meter
    left = meter.affordable(ALL_CALLS)
    if meter.seconds_left is None or not meter.calls:
        return left
    return min(left, int(meter.seconds_left * meter.calls / max(meter.seconds, 1e-9)))


@torch.no_grad()
def _forecast(value: ValueFunction, seen: Trajectories) -> Tensor:
    """`(k, 3)`: what the value function expected of phis before it learned from them, its spread, and what came."""
    phis, utilities = seen.observations
    return torch.stack([value(phis)[0].double(), value.spread(phis).double(), utilities.double()], dim=1)


def _beyond_chance(
    problem: Problem, phi: Tensor, config: PhiValueConfig, seed: int, diagnostics: dict[str, float]
) -> Proposal:
    """`phi` if its gain over phi = 0 is more than chance on the search split, else phi = 0.

    Where nothing can be resampled any gain counts: a metric that reads the model, a budget of seconds that is over.
    """
    if _start_utility(problem) is None:
        observe_within_budget(problem, problem.start[None])
    seen, start = observe_within_budget(problem, phi[None]), _start_utility(problem)
    if not len(seen) or start is None:
        return best_observed(problem, diagnostics)
    half = config.resamples // 2
    drawn = problem.resampled_gains(phi, problem.start, resamples=half, seed=derive_seed(seed, "averaged"))
    averaged, best = float(seen[0]), best_observed(problem)
    assert best.utility is not None
    if best.utility > averaged + _error(problem, drawn):
        # The value function is plainly wrong there. The best observation has an error of its own.
        phi, averaged, drawn = best.phi, best.utility, drawn[:0]
    rest = problem.resampled_gains(
        phi, problem.start, resamples=config.resamples - half, seed=derive_seed(seed, "proposed")
    )
    error = _error(problem, torch.cat([drawn, rest]))
    diagnostics = diagnostics | {"gain": averaged - start, "gain_error": error}
    if averaged - start > config.min_gain_stderr * error:
        return Proposal(phi=phi, utility=averaged, diagnostics=diagnostics)
    return Proposal(phi=problem.start, utility=start, diagnostics=diagnostics)


def _error(problem: Problem, differences: Tensor) -> float:
    """Standard error of a gain from its paired resamples; 0 where none could be had: then any gain counts.

    A budget that ends before the resamples must not throw away what was found: the acceptance test is still to come.
    """
    return float(differences.std()) if len(differences) > 1 else 0.0


def _start_utility(problem: Problem) -> float | None:
    """What was observed at phi = 0, if it was."""
    phis, utilities = problem.observations
    found = (phis == 0).all(dim=1).nonzero()
    return float(utilities[found[0, 0]]) if len(found) else None


def _late_times(runs: int, count: int, steps: int, *, seed: int) -> Tensor:
    """When guided runs are observed: at their ends, and before that at random."""
    if count <= 1:
        return torch.full((runs, 1), steps)
    return observation_times(runs, count + 1, steps, generator=named_generator(seed, "late"))[:, 1:]


def _described(stage: str, quality: Quality | None) -> dict[str, float]:
    if quality is None:
        return {}
    numbers = {"spearman": quality.spearman, "mae": quality.mae, "mae_of_mean": quality.mae_of_mean}
    return {f"{stage}_{name}": number for name, number in numbers.items() if math.isfinite(number)}


@torch.no_grad()
def estimates(value: ValueFunction, phis: Tensor) -> Tensor:
    """Estimated utilities of phis `(..., d)`, without a graph."""
    estimated: Tensor = value(phis)[0]
    return estimated
