"""The steps of a model with a `forward` of its own, read off it by symbolic tracing."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten

from .probe import Inputs, cloned, first_rows, rows_of
from .program import INPUT, Group, Ref, Step, refs, replaced, resolve

#: These ask for shapes, or compute with them.
_ARITHMETIC: frozenset[Any] = frozenset(
    {operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.getitem, operator.neg}
)


def traced(model: nn.Module, groups: Mapping[nn.Module, Group], probe: Inputs) -> tuple[list[Step], Any] | None:
    """The steps of `model` and its output, a nest of `Ref`s; None where its code cannot be traced.

    Code that looks at values, or does other things than pass tensors on, cannot: such a model is one step.
    The probe shows what each step gives for two numbers of rows: what is no batch of rows is never kept in
    front of phi.

    Args:
        model: in eval mode.
        groups: the bindings of each adapted module.
        probe: a few inputs, rows first.
    """
    try:
        steps, output = _steps(model, groups, probe)
        seen = [_run(steps, rows) for rows in (first_rows(probe, None), first_rows(probe, 1))]
    except Exception:  # noqa: BLE001 - tracing runs the user's code on stand-ins, which may raise anything
        return None
    counts = [rows_of(probe), 1]
    if counts[0] < 2:
        return None
    fitting: list[Step] = []
    for step in steps:
        values = [values[step.name] for values in seen]
        if all(isinstance(value, Tensor) for value in values):
            batch = all(v.dim() > 0 and len(v) == n for v, n in zip(values, counts, strict=True))
            fitting.append(step if batch else replace(step, late=True))
        elif _asks_for_shape(step, fitting):
            rows_only = _asks_for_rows(step, steps)
            fitting.append(replace(step, kind="shape", late=True, rows_only=rows_only))
        elif _is_nest(values[0]):
            fitting.append(step)
        else:
            return None
    return fitting, output


def same_outputs(one: Callable[[Inputs], Any], other: Callable[[Inputs], Any], probe: Inputs) -> bool:
    """Whether two ways of running a model give the same, on the probe and on one row of it."""
    for rows in (first_rows(probe, None), first_rows(probe, 1)):
        (first, spec), (second, like) = tree_flatten(one(cloned(rows))), tree_flatten(other(cloned(rows)))
        if spec != like or not all(map(_close, first, second)):
            return False
    return True


def _close(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return bool(one == other)
    fits = one.shape == other.shape and one.dtype == other.dtype
    return fits and torch.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


class _Tracer(fx.Tracer):
    """Stops at modules of torch and at everything that is adapted or hooked."""

    def __init__(self, groups: Mapping[nn.Module, Group]) -> None:
        super().__init__()
        self._groups = groups

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Encoders of torch choose among kernels by looking at values; what they compute is written out here."""
        hooked = bool(m._forward_hooks or m._forward_pre_hooks)
        if not hooked and len(args) == 1 and not kwargs:
            if type(m) is nn.TransformerEncoder:
                return _encoder(m, args[0])
            if type(m) is nn.TransformerEncoderLayer and m.self_attn.batch_first:
                return _encoder_layer(m, args[0])
        return super().call_module(m, forward, args, kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        hooked = bool(m._forward_hooks or m._forward_pre_hooks)
        return m in self._groups or hooked or super().is_leaf_module(m, module_qualified_name)


def _encoder(encoder: nn.TransformerEncoder, x: Any) -> Any:
    for layer in encoder.layers:
        x = layer(x)
    return x if encoder.norm is None else encoder.norm(x)


def _encoder_layer(layer: nn.TransformerEncoderLayer, x: Any) -> Any:
    def attended(value: Any) -> Any:
        return layer.self_attn(value, value, value, need_weights=False)[0]

    def fed(value: Any) -> Any:
        return layer.linear2(layer.activation(layer.linear1(value)))

    if layer.norm_first:
        x = x + attended(layer.norm1(x))
        return x + fed(layer.norm2(x))
    x = layer.norm1(x + attended(x))
    return layer.norm2(x + fed(x))


def _steps(model: nn.Module, groups: Mapping[nn.Module, Group], probe: Inputs) -> tuple[list[Step], Any]:
    graph = _Tracer(groups).trace(model)
    names = _names_of_inputs(model, probe)
    steps: list[Step] = []
    output: Any = None
    modules = dict(model.named_modules())

    def converted(nest: Any) -> Any:
        return replaced(nest, fx.Node, lambda node: Ref(names.get(node.name, node.name)))

    for node in graph.nodes:
        args, kwargs = converted(tuple(node.args)), converted(dict(node.kwargs))
        match node.op:
            case "placeholder":
                if node.name not in names:  # an argument that the probe leaves at its default
                    steps.append(Step(name=node.name, kind="function", run=_constant(*node.args), args=(), late=True))
            case "get_attr":
                steps.append(
                    Step(name=node.name, kind="function", run=_attribute(model, node.target), args=(), late=True)
                )
            case "call_module":
                steps.append(Step(name=node.name, kind="module", run=modules[node.target], args=args, kwargs=kwargs))
            case "call_function":
                steps.append(Step(name=node.name, kind="function", run=node.target, args=args, kwargs=kwargs))
            case "call_method":
                run = _method(node.target)
                steps.append(Step(name=node.name, kind="function", run=run, args=args, kwargs=kwargs))
            case "output":
                output = args[0]
    return steps, output


def _names_of_inputs(model: nn.Module, probe: Inputs) -> dict[str, str]:
    """From the names of `forward`'s arguments to those that the inputs have in a program."""
    parameters = list(inspect.signature(model.forward).parameters)
    if isinstance(probe, Mapping):
        return {name: f"{INPUT}.{name}" for name in probe}
    if isinstance(probe, tuple):
        return {name: f"{INPUT}.{position}" for position, name in enumerate(parameters[: len(probe)])}
    return {parameters[0]: INPUT}


def input_values(inputs: Inputs) -> dict[str, Any]:
    """The inputs by the names that steps read them under."""
    if isinstance(inputs, Mapping):
        return {INPUT: inputs, **{f"{INPUT}.{name}": value for name, value in inputs.items()}}
    if isinstance(inputs, tuple):
        return {INPUT: inputs, **{f"{INPUT}.{position}": value for position, value in enumerate(inputs)}}
    return {INPUT: inputs}


def _constant(*value: Any) -> Callable[[], Any]:
    return lambda: value[0] if value else None


class _attribute:
    """Reads a parameter, buffer or constant of the model anew each time; a class, so that a deepcopy follows its
    model."""

    def __init__(self, model: nn.Module, target: str) -> None:
        self.model, self.target = model, target

    def __call__(self) -> Any:
        value: Any = self.model
        for name in self.target.split("."):
            value = getattr(value, name)
        return value


class _method:
    """Calls a method of its first argument by name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, this: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(this, self.name)(*args, **kwargs)


def _run(steps: list[Step], inputs: Inputs) -> dict[str, Any]:
    values = input_values(cloned(inputs))
    with torch.no_grad():
        for step in steps:
            args, kwargs = resolve((step.args, dict(step.kwargs)), values.__getitem__)
            values[step.name] = step.run(*args, **kwargs)
    return values


def _asks_for_shape(step: Step, before: list[Step]) -> bool:
    """Whether what comes back depends on shapes alone: a size, or arithmetic with sizes."""
    if isinstance(step.run, _method):
        return step.run.name in ("size", "dim", "numel", "new_zeros")
    if step.run is getattr:
        return len(step.args) > 1 and step.args[1] in ("shape", "device", "dtype", "ndim", "is_cuda")
    if step.run is len:
        return True
    shapes = {one.name for one in before if one.kind == "shape"}
    return step.run in _ARITHMETIC and set(refs((step.args, step.kwargs))) <= shapes


def _asks_for_rows(step: Step, steps: list[Step]) -> bool:
    """Whether a shape is asked for its first entry alone: the number of rows."""
    if isinstance(step.run, _method):
        return step.run.name == "size" and step.args[1:] == (0,)
    users = [user for user in steps if step.name in user.reads]
    first = all(user.run is operator.getitem and user.args[1:] == (0,) for user in users)
    return step.run is getattr and step.args[1:] == ("shape",) and first


def _is_nest(value: Any) -> bool:
    """A tuple of tensors, such as chunks, whose parts are taken by later steps."""
    return isinstance(value, tuple | list) and all(part is None or isinstance(part, Tensor) for part in value)
