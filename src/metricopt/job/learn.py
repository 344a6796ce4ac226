"""`metricopt.learn_value`: learn on one model what moves the metric, use it on the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from .._errors import ConfigError
from .._types import LossFunction, Reads, Sampler
from ..adapters.site import Places
from ..methods import MetricOpt, MetricOptConfig
from ..metrics import Budget
from ..problem import Problem
from ..profiles import Profile, Slices
from ..value import LearnedValue
from .adaptation import Adapters
from .arguments import validate_arguments
from .preparation import Settings, own_modes, prepare
from .request import resolved_metric
from .stages import LEAST_TO_LEARN


def learn_value(
    model: nn.Module,
    *,
    metric: Any,
    train: Any,
    val: Any,
    loss: str | LossFunction = "cross_entropy",
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
    calls: int = 500,
    acceptance: Any = 0.4,
    adapters: Adapters = "auto",
    dim: int = 16,
    where: Places = None,
    sampler: Sampler = "plain",
    batch_size: int | None = None,
    outputs: str | None = None,
    groups: Any = None,
    stream: bool = False,
    memory: int = 1 << 30,
    profile: Profile | None = None,
    slices: Slices | int | None = None,
    config: MetricOptConfig | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> LearnedValue:
    """Learn phi -> metric on `model` with `calls` metric calls; the model stays as it is.

    The result is saved by `.save(folder)`, refined by `.adapt(psi, utilities)`, and used by
    `optimize(next_model, ..., value=...)`, which may be of any architecture: outputs of the same kind are enough.

    Its arguments are those of `optimize`. The part of `val` that `optimize` would keep for its acceptance test is left
    out here too, so that the same `val` may be used for the next model; `acceptance=None` learns on all of it.
    `config` is of the MetricOpt run that this is.

    Raises:
        ConfigError, DataError: an argument cannot work, such as fewer than 10 calls; the message says what would.
        MetricError: the metric failed.

    >>> x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] > 0.6).float()
    >>> learned = learn_value(nn.Linear(3, 1), metric="f1", train=(x, y), val=(x, y), calls=40)
    >>> learned.metric, len(learned)
    ('f1', 40)
    """
    validate_arguments(
        model=model,
        higher_is_better=higher_is_better,
        bounds=bounds,
        reads=reads,
        calls=calls,
        seed=seed,
        config=config,
    )
    if calls < LEAST_TO_LEARN:
        raise ConfigError(
            f"calls={calls} metric calls are too few to learn a value function from; give at least {LEAST_TO_LEARN}, "
            "better a hundred"
        )
    settings = Settings.among(locals())
    wanted, train = resolved_metric(
        metric, train, higher_is_better=higher_is_better, bounds=bounds, reads=reads, stream=stream
    )
    with own_modes():
        kept = None if wanted.reads == "model" else acceptance
        made = prepare(model, metric=wanted, train=train, val=val, acceptance=kept, settings=settings)
        method = MetricOpt() if config is None else MetricOpt(config=config)
        problem = Problem(made.workload, metric=wanted, budget=Budget())
        result = method.run(problem, budget=Budget(calls=calls), seed=seed)
    if not isinstance(result.value, LearnedValue):
        raise ConfigError(
            f"outputs of the kind {made.workload.kind!r} have no profile that a value function could travel with; give "
            "profile=, see metricopt.profiles"
        )
    return replace(result.value, rows=made.search.hashes.unique())
