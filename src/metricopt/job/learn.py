"""`metricopt.learn_value`: learn on one model what moves the metric, use it on the next."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from .._errors import ConfigError
from .._types import LossFunction, Reads, Sampler
from ..methods import MetricOpt, MetricOptConfig
from ..metrics import Budget, as_metric
from ..problem import Problem
from ..value import LearnedValue
from .adaptation import Adapters, adapt
from .arguments import check_kinds, check_loss, first_scores
from .examples import gather
from .request import parts, resolved_device, resolved_loss
from .same_rows import row_hashes
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
    sampler: Sampler = "plain",
    batch_size: int = 512,
    config: MetricOptConfig | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> LearnedValue:
    """Learn phi -> metric on `model` with `calls` metric calls; the model stays as it is.

    The result is saved by `.save(folder)`, refined by `.adapt(phis, utilities)`, and used by
    `optimize(next_model, ..., value=...)`, which must have the same architecture and the same adapters.

    Its arguments are those of `optimize`. The part of `val` that `optimize` would keep for its acceptance test is left
    out here too, so that the same `val` may be used for the next model; `acceptance=None` learns on all of it.
    `config` is of the MetricOpt run that this is.

    Raises:
        ConfigError, DataError: an argument cannot work, such as fewer than 60 calls; the message says what would.
        MetricError: the metric failed.

    >>> x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] > 0.6).float()
    >>> learned = learn_value(nn.Linear(3, 1), metric="f1", train=(x, y), val=(x, y), calls=80)
    >>> learned.metric, len(learned) > 40
    ('f1', True)
    """
    check_kinds(model=model, loss=loss, higher_is_better=higher_is_better, bounds=bounds, reads=reads, calls=calls)
    check_kinds(adapters=adapters, dim=dim, sampler=sampler, batch_size=batch_size, device=device, seed=seed)
    check_kinds(config=config)
    if calls < LEAST_TO_LEARN:
        raise ConfigError(
            f"calls={calls} metric calls are too few to learn a value function from; give at least {LEAST_TO_LEARN}, "
            "better some hundreds"
        )
    wanted = as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
    examples, (seen, _) = gather(train, "train"), parts(val, None if wanted.reads == "model" else acceptance, wanted)
    target = resolved_device(device, model)
    twin = copy.deepcopy(model).to(target).eval()
    first_scores(twin, seen.inputs[:64].to(target))
    check_loss(resolved_loss(loss), twin, examples)
    problem = Problem(
        adapt(twin, adapters, dim=dim, probe=seen.inputs[:8].to(target)),
        loss=resolved_loss(loss),
        metric=wanted,
        train=(examples.inputs.to(target), examples.targets.to(target)),
        val=(seen.inputs.to(target), seen.targets.to(target)),
        budget=Budget(calls=calls),
        sampler=sampler,
        batch_size=min(batch_size, len(examples)),
    )
    method = MetricOpt() if config is None else MetricOpt(config=config)
    result = method.run(problem, seed=seed)
    if result.value is None:
        raise ConfigError(f"calls={calls} metric calls are too few to learn anything from; give some hundreds")
    return LearnedValue(
        function=result.value,
        phis=result.phis,
        utilities=result.utilities,
        metric=wanted.name,
        diagnostics=dict(result.diagnostics),
        rows=row_hashes(seen).unique(),
    )
