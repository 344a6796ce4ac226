"""Adaptive surrogates: the metric as an unknown function of a few surrogate losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from .._checks import at_least, positive
from .._errors import ConfigError
from .._random import derive_seed
from ..problem import Problem
from ..search import Batch, ScoreView
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget


@final
@dataclass(frozen=True, kw_only=True)
class AdaptiveSurrogates(Method):
    """The loss of each class (or three pinball losses) as coordinates; a gradient of the metric in them by local linear
    regression on random steps of phi; then a step along it, projected back to what phi can reach by gradient descent.

    Args:
        probes: random steps of a regression.
        spread: their size in units of phi_scale.
        step: along the gradient, in units of the surrogates' spread over the probes.
        projection: Adam steps of the projection.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="adaptive surrogates",
        family="rival",
        paper="Jiang, Adigun, Narasimhan, Fard, Gupta: ICML 2020",
        kinds=("binary", "multiclass", "values"),
    )

    probes: int = 6
    spread: float = 0.3
    step: float = 1.0
    projection: int = 20

    def __post_init__(self) -> None:
        at_least("probes", self.probes, 2)
        at_least("projection", self.projection, 1)
        positive("spread", self.spread)
        positive("step", self.step)

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, self.card.title)
        profile = problem.workload.profile
        if profile is None or problem.workload.kind not in self.card.kinds:
            raise ConfigError("adaptive surrogates need classes or values")
        view = ScoreView(problem, profile, search_share=0.0, rows=256, seed=derive_seed(seed, "adaptive"))
        targets, kind = problem.workload.targets, problem.workload.kind

        @torch.no_grad()
        def at(z: Tensor) -> Tensor:
            return surrogates(problem.outputs(view.phi(z)).float().cpu(), targets, kind)

        current = torch.zeros(1, view.dim)
        observe_within_budget(problem, view.phi(current))
        while problem.affordable(1):
            around = current + self.spread * torch.randn(self.probes, view.dim, generator=view.generator)
            came = observe_within_budget(problem, view.phi(around))
            if len(came) < self.probes:
                break
            seen, here = at(around), at(current)
            width = seen.std(dim=0).clamp_min(1e-6)
            moved = (seen - seen.mean(dim=0)) / width
            ridge = 0.1 * torch.eye(moved.shape[1])
            slope = torch.linalg.solve(moved.T @ moved + ridge, moved.T @ (came - came.mean()).float())
            aim = here + self.step * width * slope / slope.norm().clamp_min(1e-9)

            def nearness(outputs: Tensor, batch: Batch, z: Tensor, aim: Tensor = aim, width: Tensor = width) -> Tensor:
                return -(((surrogates(outputs.cpu(), batch.targets.cpu(), kind) - aim) / width).square()).sum(dim=1)

            current = view.climb(current, nearness, steps=self.projection, rate=0.05)[-1]
            observe_within_budget(problem, view.phi(current))
        return best_observed(problem)


def surrogates(outputs: Tensor, targets: Tensor, kind: str) -> Tensor:
    """`(n, K)` losses of outputs `(n, N, ...)`: the log-loss of each class, or pinball losses at .1, .5 and .9."""
    if kind == "values":
        error = targets.reshape(-1).to(outputs) - outputs.reshape(len(outputs), -1)
        levels = torch.tensor([0.1, 0.5, 0.9])[:, None, None]
        return torch.maximum(levels * error, (levels - 1) * error).mean(dim=2).T
    labels = targets.reshape(-1).long()
    if kind == "binary":
        flat = outputs.reshape(len(outputs), -1)
        outputs = torch.stack([-flat / 2, flat / 2], dim=2)
    own = -outputs.log_softmax(dim=2)[:, torch.arange(len(labels)), labels]
    member = F.one_hot(labels, outputs.shape[2]).to(own)
    return own @ member / member.sum(dim=0).clamp_min(1)
