"""One forward pass that shows which modules run, in what order, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from .channels import LINEAR_MAPS
from .site import Site

#: What a model is called with: one tensor, a list of records, positional arguments, or keyword arguments.
Inputs: TypeAlias = Tensor | list[Any] | tuple[Any, ...] | Mapping[str, Any]


def invoke(model: nn.Module, inputs: Inputs) -> Any:
    """`model(x)`, `model([record, ...])`, `model(*args)` or `model(**kwargs)`, after the type of `inputs`."""
    if isinstance(inputs, tuple):
        return model(*inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(inputs)


def cloned(inputs: Any) -> Any:
    """The same nest with every tensor copied, for models that write into their input."""
    return tree_map_only(Tensor, torch.clone, inputs)


def first_rows(inputs: Inputs, rows: int | None) -> Inputs:
    """The first rows of every tensor of a batch; None for all."""
    cut = slice(None) if rows is None else slice(0, rows)
    if isinstance(inputs, Tensor | list):
        return inputs[cut]
    if isinstance(inputs, Mapping):
        return {name: _cut(value, cut) for name, value in inputs.items()}
    return tuple(_cut(value, cut) for value in inputs)


def _cut(value: Any, cut: slice) -> Any:
    return value[cut] if isinstance(value, Tensor) and value.dim() else value


def rows_of(inputs: Inputs) -> int:
    """How many rows a batch has; 0 where it has none."""
    if isinstance(inputs, list):
        return len(inputs)
    values = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    first = values if isinstance(values, Tensor) else next((v for v in values if isinstance(v, Tensor)), None)
    return 0 if first is None or first.dim() == 0 else len(first)


@dataclass
class _Trace:
    """What one module did during the probe."""

    order: int = 0
    fires: int = 0
    output: Any = None
    version: int = 0


def find_sites(model: nn.Module, probe: Inputs) -> list[Site]:
    """Every module of `model` as a Site, in the order in which they finish; those that never run come last.

    Runs the model once in eval mode without gradients, and leaves its mode and buffers as they were.

    >>> [site.label for site in find_sites(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.zeros(1, 3))]
    ['0: Linear', '1: ReLU', '(root): Sequential']
    """
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    traces = {module: _Trace() for module in names}
    # Outputs are kept alive until the sources are known, so no two share an address by chance.
    _run_traced(model, probe, traces)
    source = _source(traces, traces[model])
    sites = {module: _site(module, names[module], traces[module]) for module in names}
    if source is not None and source is not model:
        sites[model] = _site(model, names[model], traces[model], sites[source])
    return sorted(sites.values(), key=lambda site: (not site.fires, site.order))


def _site(module: nn.Module, names: list[str], trace: _Trace, source: Site | None = None) -> Site:
    output = trace.output
    return Site(
        name=names[0],
        aliases=tuple(names[1:]),
        module=module,
        order=trace.order,
        fires=trace.fires,
        output_shape=tuple(output.shape) if isinstance(output, Tensor) else None,
        source=source,
    )


def _run_traced(model: nn.Module, probe: Inputs, traces: dict[nn.Module, _Trace]) -> None:
    clock = iter(range(1, 1 << 62))
    training = {module: module.training for module in traces}
    handles = [m.register_forward_hook(partial(_record, t, clock)) for m, t in traces.items()]
    try:
        for module in traces:
            module.training = False
        with torch.inference_mode(False), torch.no_grad():
            invoke(model, cloned(probe))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode


def _record(trace: _Trace, clock: Any, module: nn.Module, args: Any, output: Any) -> None:
    trace.fires += 1
    if trace.fires == 1:
        trace.order, trace.output = next(clock), output
        trace.version = output._version if isinstance(output, Tensor) else 0


def _source(traces: Mapping[nn.Module, _Trace], root: _Trace) -> nn.Module | None:
    """The Linear or convolution whose output is the model's output, untouched, if it runs once."""
    final = root.output
    if not isinstance(final, Tensor):
        return None
    for module, trace in traces.items():
        found: nn.Module = module
        if isinstance(found, LINEAR_MAPS) and trace.fires == 1 and _untouched(trace, final):
            return module
    return None


def _untouched(trace: _Trace, final: Tensor) -> bool:
    output = trace.output
    # A changed version means an in-place operation: the same tensor, but other numbers.
    if not isinstance(output, Tensor) or output._version != trace.version:
        return False
    squeezed = final.dim() == 1 and final.shape[0] == output.numel() and final.data_ptr() == output.data_ptr()
    return final is output or squeezed
