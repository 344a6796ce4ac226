"""The arguments of the one-call job, by kind: a wrong one is named before anything is computed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._errors import ConfigError, DataError, MetricOptError
from .._shown import shortened, shown
from .._types import SAMPLERS, LossFunction
from ..adapters.adapter import Adapter
from ..adapters.probe import invoke
from ..adapters.projection import Projected
from ..methods import Method, MetricOptConfig
from ..metrics.metric import READS
from ..profiles import MOST_SLICES, Profile, Slices
from ..runtime import EXECUTORS, Executor
from ..value import LearnedValue
from ..workload import OUTPUT_KINDS, Examples, TrainingLoss, rows_of

#: A longer phi is a mistake: learning what moves a metric takes several calls for each of its numbers.
MOST_DIM = 1 << 16


def validate_arguments(**given: Any) -> None:
    """Raise ConfigError, naming the argument, where one of `given` is of a kind that cannot be meant.

    >>> validate_arguments(seed=3, dim=16)
    >>> validate_arguments(seed="3")
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: seed must be a whole number, got '3'
    """
    for name, value in given.items():
        fits, wanted = _KINDS[name]
        if not fits(value):
            raise ConfigError(f"{name} must be {wanted}, got {shown(value)}")


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside of what compiles it or spreads it over devices; the module itself else.

    Warns: UserWarning where it is another one: what comes back is the plain module, to be wrapped again.

    Raises: ConfigError for a module whose weights lie in pieces on several machines, or have no values yet.

    >>> inner = nn.Linear(2, 1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     unwrapped(nn.DataParallel(inner)) is inner, len(caught)
    (True, 1)
    """
    kind = type(model).__name__
    if "FullyShardedDataParallel" in kind or type(model).__name__.startswith("FSDP"):
        raise ConfigError(
            f"the model is a {kind}, whose weights lie in pieces on several processes; gather it into one module first"
        )
    if any(map(is_lazy, model.parameters())):
        raise ConfigError(
            "the model has lazy layers without values: it was never run, so there is nothing to tune; train it first"
        )
    if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):  # torch.compile
        done = "compiled"
    elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner, done = model.module, f"in a {kind}"
    else:
        return model
    warnings.warn(
        f"the model is {done}; what is inside of it is taken, and the model that comes back is plain: wrap it again",
        UserWarning,
        stacklevel=4,
    )
    return unwrapped(inner)


def first_outputs(model: nn.Module, inputs: Any, name: str = "val") -> Any:
    """Outputs for a few examples. Rows that are probabilities come from a softmax in the model, and a loss adds
    another.

    Raises: ConfigError where the model does not take the inputs, or returns something else than a row for each.
    """
    try:
        with torch.no_grad():
            outputs = invoke(model, inputs)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the model does not take {_described(inputs)}, the first ones of {name}: {type(error).__name__}: "
            f"{shortened(error)}; give what it was trained on"
        ) from error
    if isinstance(outputs, Mapping):
        raise ConfigError(
            f"the model returns a mapping with {', '.join(map(str, outputs))}; say which entry the metric and the loss "
            f"read, for example outputs={next(iter(outputs), 'logits')!r}"
        )
    count = rows_of(inputs)
    try:
        rows = rows_of(outputs)
    except DataError:
        rows = -1
    if rows != count:
        told = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise ConfigError(
            f"the model must return one tensor of scores with a row for each of {count} examples (or several, or a "
            f"list of records), got {told}; wrap it in a module that returns the scores alone"
        )
    if isinstance(outputs, Tensor):
        _check_scores(model, inputs, outputs)
    return outputs


def _check_scores(model: nn.Module, inputs: Any, scores: Tensor) -> None:
    if not scores.is_floating_point() or scores.numel() == 0:
        raise ConfigError(
            f"the model must return real scores, got {scores.dtype} of shape {tuple(scores.shape)}; "
            "give it without what turns its scores into labels"
        )
    squashing = _last_to_run(model, inputs, scores)
    if squashing is not None:
        raise ConfigError(
            f"the model ends in {type(squashing).__name__}; give it without its last layer: losses and metrics here "
            "take raw scores, where a label is decided by the sign or by the largest"
        )
    wide = scores.dim() == 2 and scores.shape[1] > 1 and len(scores) > 1
    if (
        wide
        and bool((scores >= 0).all())
        and torch.allclose(scores.sum(dim=1), torch.ones_like(scores[:, 0]), atol=1e-4)
    ):
        raise ConfigError(
            "the model returns probabilities (rows that add up to 1); give it without its last softmax: losses and "
            "metrics here take raw scores"
        )


def _last_to_run(model: nn.Module, inputs: Any, scores: Tensor) -> nn.Module | None:
    """The sigmoid or softmax whose output is the output of the model; what is registered but not used does not
    count."""
    given: list[tuple[nn.Module, Any]] = []
    squashing = (nn.Sigmoid, nn.Softmax, nn.LogSoftmax)
    handles = [
        module.register_forward_hook(lambda module, _, output: given.append((module, output)))
        for module in model.modules()
        if isinstance(module, squashing)
    ]
    try:
        with torch.no_grad():
            invoke(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    for module, output in given:
        same = isinstance(output, Tensor) and output.numel() == scores.numel()
        if same and torch.equal(output.reshape(-1), scores.reshape(-1)):
            return module
    return None


def check_loss(loss: LossFunction | TrainingLoss, model: nn.Module, train: Examples) -> None:
    """Raise ConfigError where `loss` cannot be made of what the model says of a few examples of `train`."""
    few, outputs = train.first(32), None
    try:
        with torch.no_grad():
            if isinstance(loss, TrainingLoss):
                value = loss(model, few.inputs, few.targets)
            else:
                outputs = invoke(model, few.inputs)
                value = loss(outputs, few.targets)
    except Exception as error:
        told = shortened(error) if isinstance(error, MetricOptError) else f"{type(error).__name__}: {shortened(error)}"
        several = isinstance(outputs, tuple | list | Mapping)
        todo = ". Give a loss that takes such outputs, or a model that returns the scores alone" if several else ""
        raise ConfigError(
            f"the loss cannot be taken of the model's outputs{f', a {type(outputs).__name__},' if several else ''} and "
            f"targets of {_described(few.targets)}, the first ones of train: {told}{todo}"
        ) from error
    if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
        told = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ConfigError(f"loss must return one number as a tensor, the mean over examples, got {told}")


def _described(nest: Any) -> str:
    if isinstance(nest, Tensor):
        return f"{str(nest.dtype).removeprefix('torch.')} with shape {tuple(nest.shape)}"
    return f"a {type(nest).__name__} of {rows_of(nest)} rows"


def _whole(value: Any, least: int, most: int = 1 << 62) -> bool:
    return type(value) is int and least <= value <= most


def _one_of(value: Any, choices: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in choices


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _each(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(fits, value))


def _path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and bool(os.fspath(value))


def _method(value: Any) -> bool:
    return isinstance(value, str | Method)


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module) and not isinstance(value, torch.jit.ScriptModule)


def _where(value: Any) -> bool:
    return value is None or isinstance(value, str | type | tuple | list | Mapping) or callable(value)


def _adapter(value: Any) -> bool:
    return isinstance(value, str | Adapter | Projected)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_module, "a torch.nn.Module (not a scripted one); wrap your function in one"),
    "loss": (lambda v: isinstance(v, str) or callable(v), "a name or a function (scores, targets) -> scalar"),
    "higher_is_better": (lambda v: v is None or isinstance(v, bool), "True, False, or None where the metric says so"),
    "bounds": (lambda v: v is None or (_each(v, _number) and len(v) == 2), "a pair of numbers (low, high)"),
    "reads": (lambda v: v is None or _one_of(v, READS), f"one of {', '.join(READS)}"),
    "method": (lambda v: _method(v) or _each(v, _method), 'a name, a Method, or a list of them; "auto" chooses'),
    "adapters": (lambda v: _adapter(v) or _each(v, _adapter), '"auto", an adapter or a list of adapters'),
    "where": (_where, "a name pattern, a module type, a function of a Site, a tuple or mapping of these, or None"),
    "dim": (lambda v: _whole(v, 2, MOST_DIM), f"a whole number from 2 to {MOST_DIM:,}"),
    "sampler": (lambda v: _one_of(v, SAMPLERS), f"one of {', '.join(SAMPLERS)}"),
    "batch_size": (lambda v: v is None or _whole(v, 1), "a whole number of at least 1, or None"),
    "device": (lambda v: v is None or isinstance(v, str | torch.device), 'a name like "cpu" or a torch.device'),
    "seed": (lambda v: type(v) is int, "a whole number"),
    "run": (lambda v: v is None or _path(v), "the path of a folder"),
    "value": (lambda v: v is None or _path(v) or isinstance(v, LearnedValue), "from learn_value, or its folder"),
    "confidence": (_number, "a number in [0.5, 1)"),
    "watch": (lambda v: callable(v) or _each(v, callable), "a function of an event, or a list of such functions"),
    "class_names": (lambda v: v is None or _each(v, lambda one: isinstance(one, str)), "a list of texts"),
    "quiet": (lambda v: isinstance(v, bool), "True or False"),
    "outputs": (
        lambda v: v is None or (isinstance(v, str) and bool(v)),
        f"one of {', '.join(OUTPUT_KINDS)}, or the name of an entry of what the model returns",
    ),
    "profile": (lambda v: v is None or isinstance(v, Profile), "a Profile, see metricopt.profiles, or None"),
    "slices": (
        lambda v: v is None or isinstance(v, Slices) or _whole(v, 2, MOST_SLICES),
        f"Slices(names=..., of=function of the inputs), or how many clusters of the features, 2 to {MOST_SLICES}",
    ),
    "stream": (lambda v: isinstance(v, bool), "True or False"),
    "memory": (lambda v: _whole(v, 1 << 20), "a number of bytes, at least a million"),
    "executor": (lambda v: isinstance(v, Executor) or _one_of(v, EXECUTORS), f"one of {', '.join(EXECUTORS)}"),
    "workers": (lambda v: v is None or _whole(v, 1), "a whole number of at least 1"),
    "calls": (lambda v: _whole(v, 1), "a whole number of at least 1"),
    "config": (lambda v: v is None or isinstance(v, MetricOptConfig), "a MetricOptConfig"),
}
