"""Iterative example weighting: ask the metric what a class is worth, then shift the scores by those weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from .._checks import positive
from .._errors import ConfigError
from .._random import generator as named_generator
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget


@final
@dataclass(frozen=True, kw_only=True)
class ExampleWeighting(Method):
    """Frank-Wolfe with elicited gradients (FW-EG), for metrics of the confusion matrix, on the output shift alone.

    The metric is taken as linear in the recalls of the classes near the current classifier. It is probed at
    classifiers in which one class at a time is favoured; a linear system gives the weight of each recall; the scores
    are shifted by the logarithms of weight / share of the class, step by step, and probed again from there.

    Differs from the paper: one cluster of examples, and steps between shifts instead of randomised classifiers.

    Args:
        probe: how much a class is favoured, in units of the scores.
        step: of the way to the shift that the weights ask for.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="iterative example weighting (FW-EG)",
        family="rival",
        paper="Hiranandani, Mathur, Narasimhan, Fard, Koyejo: ICML 2021",
        kinds=("binary", "multiclass"),
    )

    probe: float = 0.5
    step: float = 0.5

    def __post_init__(self) -> None:
        positive("probe", self.probe)
        positive("step", self.step)

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, self.card.title)
        slots = problem.spec.with_role("shift")
        if not slots or problem.workload.kind not in self.card.kinds:
            raise ConfigError("example weighting needs classes and an OutputShift among the adapters")
        place = problem.spec.slice_of(slots[-1].name)
        labels = problem.workload.targets.reshape(-1).long()
        scores = problem.outputs(problem.start[None])[0].cpu()
        binary = problem.workload.kind == "binary"
        classes = 2 if binary else scores.shape[1]
        generator = named_generator(seed, "example weighting")
        shares = torch.bincount(labels, minlength=classes).clamp_min(1) / len(labels)

        def phi_of(shift: Tensor) -> Tensor:
            phi = problem.start.clone()
            phi[place] = (shift[1:] - shift[:1]) if binary else shift
            return phi

        def recalls(shift: Tensor) -> Tensor:
            moved = scores.reshape(-1) + shift[1] - shift[0] if binary else scores + shift
            right = ((moved > 0).long() if binary else moved.argmax(dim=1)) == labels
            return torch.stack([right[labels == k].double().mean().nan_to_num(0.0) for k in range(classes)])

        current = torch.zeros(classes)
        observe_within_budget(problem, phi_of(current)[None])
        while problem.affordable(1):
            sizes = self.probe * (0.5 + torch.rand(classes, generator=generator))
            probes = [current, *(current + sizes[k] * torch.eye(classes)[k] for k in range(classes))]
            came = observe_within_budget(problem, torch.stack([phi_of(one) for one in probes]))
            if len(came) < len(probes):
                break
            seen = torch.stack([recalls(one) for one in probes])
            known = torch.cat([seen, torch.ones(len(seen), 1, dtype=torch.float64)], dim=1)
            ridge = 1e-4 * torch.eye(classes + 1, dtype=torch.float64)
            weights = torch.linalg.solve(known.T @ known + ridge, known.T @ came)[:classes].clamp_min(1e-3)
            wanted = (weights.float() / shares).log()
            current = current + self.step * ((wanted - wanted.mean()) - (current - current.mean())).clamp(-2, 2)
            observe_within_budget(problem, phi_of(current)[None])
        return best_observed(problem)
