"""A model as a list of steps, split in front of everything that depends on phi."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from torch import nn

from .layout import Binding

#: All bindings of one module, in order.
Group: TypeAlias = tuple[Binding, ...]

#: What a step does: call a module, adapt the output of one, call a function, or ask for a shape (no tensor comes back).
Kind: TypeAlias = Literal["module", "adapt", "function", "shape"]

#: The value that the model is called with.
INPUT = "input"


@dataclass(frozen=True)
class Ref:
    """Stands for the value of another step, or for an input."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: `name = run(*args, **kwargs)`.

    For "adapt" `run` is a `Group`, the first argument is the output of its module, the others are that module's own.
    What `late` steps give is never kept: it is small, or no batch of rows. `rows_only` steps ask for the number
    of rows.
    """

    name: str
    kind: Kind
    run: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    late: bool = False
    rows_only: bool = False

    @property
    def reads(self) -> set[str]:
        """The names of the values that this step needs."""
        return set(refs((self.args, self.kwargs)))


@dataclass(frozen=True, kw_only=True)
class Program:
    """`prefix` does not depend on phi; `rest` does, and reads of the prefix only `crossing`. `output` is the result."""

    prefix: tuple[Step, ...]
    rest: tuple[Step, ...]
    crossing: tuple[str, ...]
    output: Any


def refs(nest: Any) -> Iterator[str]:
    """The names of all `Ref`s in a nest of tuples, lists, mappings and slices."""
    if isinstance(nest, Ref):
        yield nest.name
    elif isinstance(nest, tuple | list):
        for part in nest:
            yield from refs(part)
    elif isinstance(nest, Mapping):
        for part in nest.values():
            yield from refs(part)
    elif isinstance(nest, slice):
        yield from refs((nest.start, nest.stop, nest.step))


def resolve(nest: Any, value: Callable[[str], Any]) -> Any:
    """`nest` with every `Ref` replaced by `value(name)`."""
    return replaced(nest, Ref, lambda ref: value(ref.name))


def replaced(nest: Any, kind: type, by: Callable[[Any], Any]) -> Any:
    """`nest`, in plain tuples, lists, dicts and slices, with everything of a kind replaced."""
    if isinstance(nest, kind):
        return by(nest)
    if isinstance(nest, tuple):
        return tuple(replaced(part, kind, by) for part in nest)
    if isinstance(nest, list):
        return [replaced(part, kind, by) for part in nest]
    if isinstance(nest, Mapping):
        return {key: replaced(part, kind, by) for key, part in nest.items()}
    if isinstance(nest, slice):
        return slice(*(replaced(part, kind, by) for part in (nest.start, nest.stop, nest.step)))
    return nest


def chain(model: nn.Module, groups: Mapping[nn.Module, Group]) -> list[Step]:
    """The steps of nested Sequentials, one after the other; of any other model one step, the model itself."""
    steps: list[Step] = []
    value = INPUT
    for run in _links(model, groups):
        kind: Kind = "module" if isinstance(run, nn.Module) else "adapt"
        steps.append(Step(name=f"step {len(steps)}", kind=kind, run=run, args=(Ref(value),)))
        value = steps[-1].name
    return steps


def split(steps: Sequence[Step], output: Any, groups: Mapping[nn.Module, Group], *, own_hooks: bool) -> Program:
    """Divide `steps` at phi.

    An adapted module is taken apart: its raw output, which a population shares or rides through in one batch, and the
    adaptation of that output.

    Args:
        steps: in order of execution.
        output: a nest of `Ref`s.
        groups: the bindings of each adapted module.
        own_hooks: whether adapted modules have no hooks but those of the adapters, so that they may be taken apart.
    """
    apart = [part for step in steps for part in (_apart(step, groups) if own_hooks else [step])]
    dependent: set[str] = set()
    for step in apart:
        if enters(step, groups) or step.reads & dependent:
            dependent.add(step.name)
    free = {step.name: step for step in apart if step.name not in dependent}
    late, crossing = _over_the_cut(
        [s.reads for s in apart if s.name in dependent] + [set(refs(output))], free, dependent
    )
    rest = [_of_rows(step, crossing) for step in apart if step.name in dependent or step.name in late]
    used = _needed(list(free.values()), crossing)
    return Program(
        prefix=tuple(step for step in free.values() if step.name in used),
        rest=tuple(rest),
        crossing=crossing,
        output=output,
    )


def _over_the_cut(
    wanted: Sequence[set[str]], free: Mapping[str, Step], dependent: set[str]
) -> tuple[set[str], tuple[str, ...]]:
    """What the rest reads from in front of phi: late steps, which it runs itself, and values that are kept."""
    late: set[str] = set()
    kept: dict[str, bool] = {}  # whether only the number of rows is asked of it
    queue = [(name, False) for names in wanted for name in sorted(names)]
    while queue:
        name, rows_only = queue.pop(0)
        if name in dependent:
            continue
        step = free.get(name)
        if step is not None and step.late:
            if name not in late:
                late.add(name)
                queue += [(read, step.rows_only) for read in sorted(step.reads)]
        else:
            kept[name] = kept.get(name, True) and rows_only
    # Any batch has the number of rows: a value that is kept anyway will do.
    whole = [name for name, rows_only in kept.items() if not rows_only]
    return late, tuple(whole or kept)


def _of_rows(step: Step, crossing: Sequence[str]) -> Step:
    """A step that asks for the number of rows asks a value that is there."""
    if not step.rows_only or not crossing or step.reads & set(crossing):
        return step
    return replace(step, args=(Ref(crossing[0]), *step.args[1:]))


def enters(step: Step, groups: Mapping[nn.Module, Group]) -> bool:
    """Whether phi enters in this very step."""
    if step.kind == "adapt":
        return True
    if step.kind != "module" or step.name.endswith(_RAW):
        return False
    return any(module in groups for module in step.run.modules())


#: Names of steps that call an adapted module without its adapters end like this.
_RAW = " (raw)"


def is_raw(step: Step) -> bool:
    """Whether the step calls an adapted module without its adapters."""
    return step.name.endswith(_RAW)


def _apart(step: Step, groups: Mapping[nn.Module, Group]) -> list[Step]:
    if step.kind != "module" or step.run not in groups or len(list(step.run.modules())) > 1:
        return [step]
    reads_input = any(binding.adapter.reads_input for binding in groups[step.run])
    # Where the adapter needs the input as well, both would have to be kept: then the module is run again instead.
    raw = replace(step, name=step.name + _RAW, late=reads_input)
    args, kwargs = (step.args, step.kwargs) if reads_input else ((), {})
    adapt = Step(name=step.name, kind="adapt", run=groups[step.run], args=(Ref(raw.name), *args), kwargs=kwargs)
    return [raw, adapt]


def _needed(steps: Sequence[Step], wanted: Sequence[str]) -> set[str]:
    names = set(wanted)
    for step in reversed(steps):
        if step.name in names:
            names |= step.reads
    return names


def _links(module: nn.Module, groups: Mapping[nn.Module, Group]) -> Iterator[nn.Module | Group]:
    if not _is_plain_chain(module, groups):
        yield module
        return
    for child in module._modules.values():
        assert child is not None  # a Sequential holds modules only
        yield from _links(child, groups)
    if module in groups:
        yield groups[module]


def _is_plain_chain(module: nn.Module, groups: Mapping[nn.Module, Group]) -> bool:
    """A Sequential that does nothing but call its children: no own forward, no hooks, no input needed."""
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return False
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    reads_input = any(binding.adapter.reads_input for binding in groups.get(module, ()))
    return len(module) > 0 and not any(hooks) and not reads_input
