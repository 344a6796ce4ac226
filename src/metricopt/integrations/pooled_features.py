"""The last layers of a classifier as a model of their own: from features, computed once, to logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .._errors import AdapterError, DataError
from ..workload import Examples

#: What a model gets by keyword.
Batch: TypeAlias = Mapping[str, Any]

#: The head on its own rounds a little differently than within the model, in half precision up to about a hundredth.
_ROUNDING = 0.03


@dataclass(frozen=True, kw_only=True)
class Head:
    """The layers that turn features into the logits of a model.

    Args:
        name: path in the model.
        module: what lies there.
        per_token: whether it runs on every token, and the model takes the logits of one of them.
    """

    name: str
    module: nn.Module
    per_token: bool


@dataclass
class _Call:
    """One call of a module, as a hook saw it."""

    inputs: Tensor
    output: Tensor


def find_head(model: nn.Module, batch: Batch, labels: str, name: str | None = None) -> Head:
    """The largest module that turns one row of features an example into the logits of the model.

    Without `name` the modules are tried from the outside inwards: those whose output is the logits, then those that
    run on every token and give the logits at one of them, as in models that predict the next token.

    Args:
        model: from keywords to an object with `.logits`, `(B, C)`.
        batch: a few examples; what it holds under `labels` is left out.
        name: path of the module, where it should not be looked for.

    Raises:
        AdapterError: no module is such a head, or the one named is not.
    """
    modules = {path: module for path, module in model.named_modules() if path}
    if name is not None and name not in modules:
        children = [path for path, _ in model.named_children()]
        raise AdapterError(f"{type(model).__name__} has no module {name!r}; it holds: {', '.join(children)}")
    wanted = modules if name is None else {name: modules[name]}
    calls: dict[str, list[_Call]] = {}
    with _recording(wanted, calls), _evaluating(model):
        logits = logits_of(model(**_inputs(model, batch, labels)))
    for per_token in (False, True):
        for path, module in wanted.items():
            seen = calls.get(path, [])
            if len(seen) == 1 and any(True for _ in module.parameters()) and _leads_to(logits, seen[0], per_token):
                return Head(name=path, module=module, per_token=per_token)
    if name is not None:
        shapes = [f"{tuple(call.inputs.shape)} to {tuple(call.output.shape)}" for call in calls.get(name, [])]
        raise AdapterError(
            f"{name!r} ({type(modules[name]).__name__}) is no head: it must run once, on one tensor of features "
            f"({len(logits)}, H), and return the logits {tuple(logits.shape)}; it ran "
            f"{', '.join(shapes) or 'on no single tensor'}. Name a module inside it, or leave head= out"
        )
    raise AdapterError(
        f"found no module of {type(model).__name__} that turns one row of features an example into the logits "
        f"{tuple(logits.shape)}; name it with head=, or call metricopt.optimize on a module that returns them"
    )


def pooled_features(model: nn.Module, head: Head, batches: Iterable[Batch], labels: str) -> Examples:
    """What goes into the head, and the labels, for all batches; the model runs once on each, in evaluation mode.

    Args:
        model: on its device; its mode is put back.
        head: from `find_head`.
        batches: keywords of the model, with the labels under `labels`.

    Returns:
        features `(N, H)` and labels, on the CPU.

    Raises:
        DataError: no batch, a batch without labels, or inputs of the head that differ in shape.
        AdapterError: the head on these features does not give the model's logits.
    """
    features, targets = [], []
    for batch in batches:
        target = batch.get(labels)
        if not isinstance(target, Tensor):
            raise DataError(
                f"a batch has no labels under {labels!r}; it holds {', '.join(map(str, batch))}. Say with labels= what "
                "they are called after collation"
            )
        features.append(_of_one_batch(model, head, _inputs(model, batch, labels)).cpu())
        targets.append(target.cpu())
    if not features:
        raise DataError("there is not one batch of examples; give at least one example")
    return Examples(inputs=torch.cat(features), targets=torch.cat(targets))


def logits_of(output: Any) -> Tensor:
    """The logits in what a transformers model returns, or the tensor itself.

    >>> logits_of(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.dim() > 2:
        what = f"logits {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(output).__name__}"
        raise AdapterError(
            f"the model must return logits (B, C), one row an example, got {what}; models that predict a label for "
            "each token or a text are not covered"
        )
    return logits


def _of_one_batch(model: nn.Module, head: Head, inputs: Batch) -> Tensor:
    calls: dict[str, list[_Call]] = {}
    with _recording({head.name: head.module}, calls), _evaluating(model):
        logits = logits_of(model(**inputs))
    (call,) = calls[head.name]
    rows = call.inputs
    if head.per_token:
        position = _matches(logits, call.output).long().argmax(dim=1)
        rows = rows[torch.arange(len(rows), device=rows.device), position]
    weight = next(head.module.parameters())
    features = rows.detach().to(weight.dtype)
    with _evaluating(head.module):
        again = head.module(features).reshape(logits.shape)
    if not torch.allclose(again.float(), logits.float(), rtol=0.0, atol=_ROUNDING * float(logits.abs().amax()) + 1e-6):
        raise AdapterError(
            f"the head {head.name!r} on its own does not give the logits of the model, so it depends on more than its "
            "input; name another module with head="
        )
    return features


def _inputs(model: nn.Module, batch: Batch, labels: str) -> dict[str, Any]:
    """`batch` without its labels, where the model is. With labels a model would compute a loss, too."""
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
        if name != labels
    }


def _leads_to(logits: Tensor, call: _Call, per_token: bool) -> bool:
    """Whether this call turned one row of features an example into the logits, or (B, T) rows into logits among
    them."""
    dims = 3 if per_token else 2
    if not call.inputs.is_floating_point() or call.inputs.dim() != dims or len(call.inputs) != len(logits):
        return False
    if not per_token:
        return call.output.numel() == logits.numel() and bool((call.output.reshape(logits.shape) == logits).all())
    fits = call.output.shape == (*call.inputs.shape[:2], logits.shape[-1]) and logits.dim() == 2
    return fits and bool(_matches(logits, call.output).any(dim=1).all())


def _matches(logits: Tensor, tokens: Tensor) -> Tensor:
    """`(B, T)`: where the logits `(B, C)` are those of a token, of `(B, T, C)`."""
    return (tokens == logits[:, None].to(tokens.dtype)).all(dim=-1)


@contextmanager
def _recording(modules: Mapping[str, nn.Module], calls: dict[str, list[_Call]]) -> Iterator[None]:
    """Keep every call of `modules` that takes one tensor and returns one."""
    handles = [module.register_forward_hook(partial(_keep, calls, path)) for path, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep(calls: dict[str, list[_Call]], path: str, module: nn.Module, inputs: Sequence[Any], output: Any) -> None:
    if len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
        calls.setdefault(path, []).append(_Call(inputs=inputs[0], output=output))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's mode is put back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
