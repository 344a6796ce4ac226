"""MetricOpt: learn what the metric says of scores, and let it say where to go."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from ..._random import derive_seed
from ..._types import LossFunction
from ...losses import aimed_loss
from ...metrics import METRICS
from ...problem import Problem
from ...search import Batch, Moves, Pool, ScoreView, Worth, climb_surrogates, mixtures
from ...value import LearnedValue, ScoreValue, quality
from ..method import ALL_CALLS, Method, MethodCard, Proposal, Trace, best_observed, needs_a_limit, observe_within_budget
from ..phi_value import PhiMetricOpt
from .choose import chosen
from .config import MetricOptConfig

#: With more numbers of phi than this no move by chance replaces a climb.
_SHORT_PHI = 64
#: What was learned on another model is climbed so many times as long as what is learned on the way.
_LONGER = 4
#: A climb is made at least every so many rounds.
_CLIMB_EVERY = 4


@final
@dataclass(frozen=True, kw_only=True)
class MetricOpt(Method):
    """A value function g that reads a profile of the scores, and proposers that all read and write one memory.

    Surrogates (losses aimed at the metric, figures of the profile, mixtures of them) are climbed from phi = 0 and
    their ends observed. Then, round by round: g is fitted to all observations; the best points are climbed along g,
    through batches of search and training rows, and moved at random; of all these proposals those are observed that
    are best in samples of g. Profiles cost no metric call, so g chooses among many points for each that is paid for.
    At the end the point with the largest gain less a margin of its own noise is proposed.

    Outputs without a profile (records of a user's own) are searched by the paper's value function of phi.

    Differs from the paper: its value function reads phi (`PhiMetricOpt`).

    Args:
        config: every choice.
        prior: a value function that was learned on another model: expected before anything is observed. With it no
            metric call at all is needed.
    """

    config: MetricOptConfig = field(default_factory=MetricOptConfig)
    prior: LearnedValue | None = None
    card: ClassVar[MethodCard] = MethodCard(
        title="MetricOpt",
        family="metricopt",
        paper="after Huang, Zhai, Guo, Susskind: MetricOpt, CVPR 2021; the value function reads scores",
    )

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, "MetricOpt")
        profile = problem.workload.profile
        if profile is None:
            return PhiMetricOpt().search(problem, seed=seed)
        if self.prior is not None:
            self.prior.check(profile, metric=problem.metric.name, higher_is_better=problem.metric.higher_is_better)
        view = ScoreView(
            problem, profile, search_share=self.config.search_share, rows=self.config.batch, seed=derive_seed(seed)
        )
        return _Run(self.config, view, self.prior).proposal()


class _Run:
    """One search: its value function, its proposers, and what they have gained."""

    def __init__(self, config: MetricOptConfig, view: ScoreView, prior: LearnedValue | None) -> None:
        self._config, self._view, self._problem = config, view, view.problem
        self._prior = prior.function if prior is not None else None
        self._value = ScoreValue(view.families, reads_phi=config.reads_phi, prior=self._prior)
        self._forecasts: list[list[float]] = []
        self._weights: Tensor | None = None
        self._climb = Worth(gained=0.02)
        self._round = 0
        left = self._problem.affordable(ALL_CALLS)
        self._calls = left if left < ALL_CALLS else 1000  # seconds alone are limited
        self._size = config.round or min(max(self._calls // 20, 1), 8)

    def proposal(self) -> Proposal:
        view, problem = self._view, self._problem
        known = len(problem.memory)
        if not known:
            observe_within_budget(problem, problem.start[None])
        view.sync()
        # A memory that others filled has been where surrogates lead.
        ends = torch.zeros(0, view.dim) if known and self._prior is None else self._surrogates()
        moves = Moves(
            view, ends, [name for name in self._config.proposers if name in ("shift", "local", "cross", "guided")]
        )
        while problem.affordable(1) and len(view.utilities):
            self._fit()
            before = len(view.utilities)
            self._one_round(moves)
            if len(view.utilities) == before:
                break
        return self._chosen(ends)

    # --- stages -----------------------------------------------------------------------------------

    def _surrogates(self) -> Tensor:
        """Climb the surrogates, observe their ends; where they led, `(k, d)`."""
        config, view = self._config, self._view
        if self._prior is not None:  # it knows better where to go
            ends = self._climbs_of_prior()
            observe_within_budget(self._problem, view.phi(ends[: max(self._calls // 4, 1)]))
            view.sync()
            return ends
        if "surrogates" not in config.proposers:
            return torch.zeros(0, view.dim)
        count = min(config.most_surrogates, max(int(self._calls * config.surrogate_share), 2))
        losses = self._aimed_loss()
        weights = mixtures(view, count - len(losses), whole=config.whole)
        path = climb_surrogates(view, losses, weights, steps=config.surrogate_steps, rate=config.rate)
        observe_within_budget(self._problem, view.phi(path[-1]))
        view.sync()
        return path[-1]

    def _aimed_loss(self) -> list[LossFunction]:
        """The first loss aimed at the metric that takes these scores and targets as they are and owns no state."""
        metric, kind = self._problem.metric, self._problem.workload.kind
        if metric.name.split("(")[0] not in METRICS:  # a function of the user's may have any name
            return []
        found = aimed_loss(metric, kind)
        return [] if found is None else [found]

    def _climbs_of_prior(self) -> Tensor:
        """Points along climbs of a function that was learned elsewhere, the most promising first."""
        config, view, prior = self._config, self._view, self._prior
        assert prior is not None
        start = torch.zeros(config.climbs, view.dim)
        start[1:] = 0.05 * torch.randn(config.climbs - 1, view.dim, generator=view.generator)
        steps = _LONGER * config.climb_steps
        path = view.climb(
            start,
            lambda outputs, batch, z: prior.mean(view.read(outputs, batch)),
            steps=steps,
            rate=config.rate,
        )
        points = torch.cat([path[step] for step in range(steps // 10 - 1, steps, max(steps // 10, 1))])
        mean, spread = prior(view.profiles(points), points)
        return points[(mean - spread).argsort(descending=True)]

    def _fit(self) -> None:
        view, utilities = self._view, self._view.utilities
        if self._config.learn == "permuted":
            utilities = utilities[torch.randperm(len(utilities), generator=view.generator)]
        if self._config.learn == "none":
            utilities = self._by_chance()
        self._value.fit(view.psi, view.z, utilities)
        if self._forecasts:
            self._value.calibrate(torch.tensor(self._forecasts, dtype=torch.float64))

    def _by_chance(self) -> Tensor:
        """Values of a function of the profile that knows nothing of the metric: as smooth and as large as g may be."""
        psi, utilities = self._view.psi.double(), self._view.utilities
        if self._weights is None:
            self._weights = torch.randn(psi.shape[1], generator=self._view.generator, dtype=torch.float64)
        drawn = ((psi - psi.mean(dim=0)) / psi.std(dim=0).clamp_min(1e-9)).nan_to_num() @ self._weights
        scale = utilities.std() / drawn.std().clamp_min(1e-9) if len(utilities) > 1 else 0.0
        return utilities.mean() + scale * (drawn - drawn.mean())

    def _one_round(self, moves: Moves) -> None:
        config, view, problem = self._config, self._view, self._problem
        self._round += 1
        best = self._best(config.climbs)
        pool, short = Pool(), view.dim <= _SHORT_PHI
        if "climb" in config.proposers and self._climb_is_due(moves):
            path = self._climb_value(best)
            for step in (len(path) // 2, len(path) - 1) if short else (len(path) - 1,):
                pool.add("climb", path[step])
        # Each move costs a pass through the model, and of a long phi those by chance gain less.
        moves.propose(view.z[best], config.moves if short and not view.dear else max(config.moves // 6, 1), pool)
        if not len(pool):
            return
        psi, outputs = view.profiles_and_outputs(pool.z)
        picked = self._picked(psi, pool)
        if not picked:  # the time ran out
            return
        with torch.no_grad():
            mean, spread = self._value(psi[picked], pool.z[picked])
        before, known = len(view.utilities), float(view.utilities.max())
        if outputs is None:
            outputs = view.outputs(pool.z[picked])
        else:
            outputs = outputs[picked] if isinstance(outputs, Tensor) else [outputs[place] for place in picked]
        observe_within_budget(problem, view.phi(pool.z[picked]), outputs)
        view.sync(outputs)
        came = view.utilities[before:]
        raw = spread / self._value.inflation
        for place, utility in zip(picked, came.tolist(), strict=False):
            name = pool.proposers[place]
            (self._climb if name == "climb" else moves.worth[name]).add(utility - known)
        self._forecasts += torch.stack([mean[: len(came)], raw[: len(came)], came], dim=1).tolist()
        moves.after(bool((came > known + 1e-9).any()))

    def _best(self, count: int) -> Tensor:
        """Places of the best observations by g, which averages their noise out."""
        view = self._view
        if self._config.learn == "none":
            return view.utilities.topk(min(count, len(view.z))).indices
        with torch.no_grad():
            mean, _ = self._value(view.psi, view.z)
        return mean.topk(min(count, len(mean))).indices

    def _climb_is_due(self, moves: Moves) -> bool:
        """Climbs cost gradients: they are made where phi is long, and else as long as they pay."""
        if self._view.dim > _SHORT_PHI or not moves.worth or self._round % _CLIMB_EVERY == 1:
            return True
        return self._climb.rate >= max(worth.rate for worth in moves.worth.values())

    def _climb_value(self, best: Tensor) -> list[Tensor]:
        """Climb g from the best points through batches, whose profiles are moved to where the search split's are."""
        config, view, value = self._config, self._view, self._value
        start, batch = view.z[best], view.batch()
        with torch.no_grad():
            offset = view.psi[best] - view.profiles_of(start, batch)
        optimism = config.optimism * torch.tensor([0.0, 1.0, 0.0, 2.0]).repeat(len(best))[: len(best)]
        unit = max(float(view.utilities.std()), 1e-4) if len(view.utilities) > 1 else 1e-4

        def expected(outputs: Tensor, rows: Batch, z: Tensor) -> Tensor:
            mean, spread = value(view.read(outputs, rows) + offset, z)
            return mean + optimism * spread - config.anchor * unit * (z - start).square().sum(dim=1) / view.dim

        least = config.climb_steps // 5
        steps = int(torch.randint(least, config.climb_steps + 1, (1,), generator=view.generator))
        return view.climb(start, expected, steps=steps, rate=config.rate)

    def _picked(self, psi: Tensor, pool: Pool) -> list[int]:
        """Places of those that are observed: the best of each of several samples of g, none twice."""
        generator = self._view.generator
        count = min(self._size, self._problem.affordable(self._size), len(pool))
        if self._config.learn == "none":
            return torch.randperm(len(pool), generator=generator)[:count].tolist()
        with torch.no_grad():
            samples = self._value.samples(psi, pool.z, count, generator=generator)
        picked: list[int] = []
        for sample in samples:
            sample[picked] = -math.inf
            picked.append(int(sample.argmax()))
        return picked

    # --- the end ----------------------------------------------------------------------------------

    def _chosen(self, ends: Tensor) -> Proposal:
        view, problem, config = self._view, self._problem, self._config
        if len(view.utilities) < 3:
            if self._prior is None or not len(ends):
                return best_observed(problem)
            mean, _ = self._prior(view.profiles(ends[:1]), ends[:1])
            return Proposal(phi=view.phi(ends[0]), utility=float(mean[0].clamp(0, 1)), diagnostics=self._diagnostics())
        self._fit()
        if config.learn == "none":
            return best_observed(problem)
        z, utility, error = chosen(
            view,
            self._value,
            margin=config.margin,
            resamples=config.resamples,
            training_trust=config.training_trust,
        )
        diagnostics = self._diagnostics() | {"gain_error": error}
        forecasts = torch.tensor(self._forecasts, dtype=torch.float64).reshape(-1, 3)
        forecasts[:, 1] = self._value.inflation * (forecasts[:, 1].square() + self._value.noise**2).sqrt()
        return Proposal(
            phi=view.phi(z),
            utility=min(max(utility, 0.0), 1.0),
            diagnostics=diagnostics,
            value=self._learned(diagnostics),
            trace=Trace(forecasts=forecasts),
        )

    def _learned(self, diagnostics: dict[str, float]) -> LearnedValue:
        view, metric = self._view, self._problem.metric
        travels = ScoreValue(view.families, reads_phi=False)
        travels.fit(view.psi, view.z, view.utilities)
        return LearnedValue(
            profile=view.profile.identity,
            columns=tuple(column.name for column in view.profile.columns),
            families=view.families,
            psi=view.psi.double(),
            utilities=view.utilities,
            hyperparameters=travels.hyperparameters,
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            kind=view.workload.kind,
            width=view.workload.shape[-1] if len(view.workload.shape) > 1 else 1,
            diagnostics=diagnostics,
        )

    def _diagnostics(self) -> dict[str, float]:
        """How good forecasts were, and how far from home a value function of another model is, as plain numbers."""
        found = {}
        if self._prior is not None:
            here = self._view.profiles(torch.zeros(1, self._view.dim))
            found["prior_distance"] = float(self._prior.distance(here)[0])
        if len(self._forecasts) < 3:
            return found
        made = torch.tensor(self._forecasts, dtype=torch.float64)
        spread = self._value.inflation * (made[:, 1].square() + self._value.noise**2).sqrt()
        found["covered"] = float(((made[:, 0] - made[:, 2]).abs() <= 2 * spread).double().mean())
        varied = float(self._view.utilities.var(correction=0))
        if varied > 0:
            found["next_explained"] = max(1 - float((made[:, 0] - made[:, 2]).square().mean()) / varied, 0.0)
        rated = quality(made[:, 0], made[:, 2])
        numbers = {"spearman": rated.spearman, "mae": rated.mae, "mae_of_mean": rated.mae_of_mean}
        return found | {f"next_{name}": number for name, number in numbers.items() if math.isfinite(number)}
