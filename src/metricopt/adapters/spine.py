"""Splitting a model in front of everything that depends on phi."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from .layout import Binding

#: All bindings of one module, in order.
Group: TypeAlias = tuple[Binding, ...]

#: A module to call, or the bindings to apply to what came before.
Step: TypeAlias = nn.Module | Group


@dataclass(frozen=True, kw_only=True)
class Spine:
    """`prefix` does not depend on phi; `rest` does. Both are run one after the other."""

    prefix: tuple[nn.Module, ...]
    rest: tuple[Step, ...]


def split(model: nn.Module, groups: Mapping[nn.Module, Group]) -> Spine:
    """The longest prefix free of phi along nested Sequentials, else an empty one.

    Where the first adapted module needs only its output, the module itself belongs to the prefix:
    its raw output is computed once for all phi.
    """
    steps = list(_steps(model, groups))
    for index, step in enumerate(steps):
        if not isinstance(step, nn.Module):
            return _spine(steps[:index], steps[index:])
        adapted = [module for module in step.modules() if module in groups]
        if adapted == [step] and not any(b.adapter.reads_input for b in groups[step]):
            return _spine([*steps[:index], step], [groups[step], *steps[index + 1 :]])
        if adapted:
            return _spine(steps[:index], steps[index:])
    return _spine(steps, [])


def _spine(prefix: Sequence[Step], rest: Sequence[Step]) -> Spine:
    return Spine(prefix=tuple(m for m in prefix if isinstance(m, nn.Module)), rest=tuple(rest))


def _steps(module: nn.Module, groups: Mapping[nn.Module, Group]) -> Iterator[Step]:
    if not _is_plain_chain(module, groups):
        yield module
        return
    for child in module._modules.values():
        assert child is not None  # a Sequential holds modules only
        yield from _steps(child, groups)
    if module in groups:
        yield groups[module]


def _is_plain_chain(module: nn.Module, groups: Mapping[nn.Module, Group]) -> bool:
    """A Sequential that does nothing but call its children: no own forward, no hooks, no input needed."""
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return False
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    reads_input = any(binding.adapter.reads_input for binding in groups.get(module, ()))
    return len(module) > 0 and not any(hooks) and not reads_input
