"""From the materials of a tabular task to the live problem that methods run on."""

from __future__ import annotations

import copy
from collections.abc import Callable

from .._checks import at_least, one_of
from .._errors import ConfigError
from .._types import LossFunction, Sampler
from ..adapters import InputBias, OutputShift, attach
from ..adapters.adapter import Adapter
from ..losses import cross_entropy
from ..metrics import Budget, Metric
from ..problem import Problem
from ..workload import Examples, TensorWorkload
from .tabular import ADAPTERS, Materials


def adapter_set(name: str, *, dim: int) -> list[Adapter]:
    """The adapters called "paper" (an input bias of `dim` numbers), "shifted" (two of them shift and scale the score)
    or "shift" (these two alone).

    >>> [type(adapter).__name__ for adapter in adapter_set("shifted", dim=16)]
    ['InputBias', 'OutputShift']
    """
    one_of("adapters", name, ADAPTERS)
    return _SETS[name](dim)


def _paper(dim: int) -> list[Adapter]:
    return [InputBias(dim=dim)]


def _shifted(dim: int) -> list[Adapter]:
    return [InputBias(dim=at_least("dim of the adapters", dim, 3) - 2), OutputShift()]


def _shift(dim: int) -> list[Adapter]:
    del dim
    return [OutputShift()]


_SETS: dict[str, Callable[[int], list[Adapter]]] = {"shifted": _shifted, "paper": _paper, "shift": _shift}


def build_problem(
    materials: Materials,
    *,
    metric: Metric,
    budget: Budget,
    adapters: str = "shifted",
    dim: int = 16,
    loss: LossFunction = cross_entropy,
) -> Problem:
    """Attach the adapters to a copy of the model and hand over training and validation rows. The test rows stay out.

    Args:
        materials: of a tabular task.
        metric: measured on the validation rows.
        budget: of metric calls and seconds; its clock starts now.
        adapters: the name of a set of adapters, see `adapter_set`.
        dim: length of phi.
        loss: of the finetuning.

    >>> from metricopt.metrics import get_metric
    >>> from metricopt.tasks import Pretraining, TabularTask
    >>> materials = TabularTask(data="synthetic", recipe=Pretraining(epochs=1)).build(0, cache=False)
    >>> build_problem(materials, metric=get_metric("f1"), budget=Budget(calls=10)).dim
    16
    """
    return Problem(build_workload(materials, adapters=adapters, dim=dim, loss=loss), metric=metric, budget=budget)


def build_workload(
    materials: Materials, *, adapters: str = "shifted", dim: int = 16, loss: LossFunction = cross_entropy
) -> TensorWorkload:
    """The same without a metric: a copy of the model with its adapters, training and validation rows."""
    return TensorWorkload(
        attach(copy.deepcopy(materials.model), adapter_set(adapters, dim=dim), probe=materials.val.x[:8]),
        loss=loss,
        train=Examples(inputs=materials.train.x, targets=materials.train.y),
        val=Examples(inputs=materials.val.x, targets=materials.val.y),
        sampler=_sampler(materials),
    )


def _sampler(materials: Materials) -> Sampler:
    sampler = materials.settings.get("sampler")
    if sampler == "plain":
        return "plain"
    if sampler == "balanced":
        return "balanced"
    raise ConfigError(f'the settings of materials must name the sampler "plain" or "balanced", got {sampler!r}')
