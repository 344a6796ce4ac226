"""32 loss trajectories in lock-step beside the same 32 one by one, on the tabular MLP: faster, and the same numbers.

At batch 128 what a step costs beside its arithmetic is shared by all runs, and the bound of 5 holds. At batch 512
the arithmetic of one run alone is about a third of its step, so no bookkeeping that is saved can make 32 of them
5 times faster on one core; the second bound says what is left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from figure import Figure, alternate, main
from metricopt.adapters import attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.search import LossOnly, finetune
from metricopt.tasks import adapter_set, mlp
from metricopt.workload import Examples, TensorWorkload

ROWS, FEATURES = 34_189, 123  # the training split of A9A
RUNS, STEPS = 32, 25
#: Products of matrices of another height round in another order, here in the last of 24 bits, and 25 steps carry it on.
TOLERANCE = 1e-5


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def problem(batch_size: int) -> Problem:
    """Rows like those of A9A on the MLP 123-100-30-10-1, d = 16."""
    features = (torch.rand(ROWS, FEATURES, generator=generator()) < 0.11).float()
    targets = (torch.rand(ROWS, generator=generator()) < 0.24).float()
    adapted = attach(mlp(FEATURES, generator=generator()).eval(), adapter_set("shifted", dim=16), probe=features[:2])
    workload = TensorWorkload(
        adapted,
        loss=cross_entropy,
        train=Examples(inputs=features, targets=targets),
        val=Examples(inputs=features[:4884], targets=targets[:4884]),
        sampler="balanced",
        batch_size=batch_size,
    )
    return Problem(workload, metric=get_metric("f1"), budget=Budget())


def speed_up(batch_size: int, repeats: int) -> float:
    made = problem(batch_size)
    starts = torch.randn(RUNS, made.dim, generator=generator()) * made.phi_scale

    def run(first: int, count: int) -> Tensor:
        events = finetune(
            made,
            LossOnly(),
            lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
            start=starts[first : first + count],
            steps=STEPS,
            seeds=range(first, first + count),
            phi_scale=made.phi_scale,
        )
        return torch.stack([event.phis for event in events], dim=1)

    def one_by_one() -> Tensor:
        return torch.cat([run(index, 1) for index in range(RUNS)])

    def lock_step() -> Tensor:
        return run(0, RUNS)

    apart = float((one_by_one() - lock_step()).abs().max())
    if apart > TOLERANCE:
        raise AssertionError(f"lock-step and one by one differ by {apart}, more than {TOLERANCE}")
    return alternate(one_by_one, lock_step, repeats=repeats, warmup=0)


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    name = f"{RUNS} trajectories one by one / in lock-step, tabular MLP"
    return [
        Figure(f"{name}, batch 128", speed_up(128, 7), "x", bound=5.0, direction="at least"),
        Figure(f"{name}, batch 512", speed_up(512, 5), "x", bound=2.0, direction="at least"),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
