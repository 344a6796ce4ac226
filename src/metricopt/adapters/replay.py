"""What lies in front of phi in a model that cannot be traced: recorded once, then played back.

Models of transformers and detectors decide by looking at values, so `torch.fx` cannot read their steps. But which of
their modules run before phi enters shows when they run. What these give is kept, and stands in for them afterwards:
the code of the model runs as it is, its modules do not.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from .._errors import AdapterError
from .probe import Inputs, cloned, first_rows, invoke, rows_of
from .program import INPUT, Group, Program, Ref, Step, refs, resolve

_RECORDED, _REPLAYED = "recorded", "replayed"
#: What may stand beside tensors in the output of a module that is not run again.
_PLAIN = (type(None), bool, int, float, str)

Forward: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A call that is not made again, but answered.

    Args:
        module: that is called.
        call: the how manieth call of it, of those that are still made or answered.
        spec: how its output is put together.
        leaves: of its output in order, a `Ref` to the number of a kept tensor, or what is no tensor.
        kept: whether its tensors are kept; else others of the same shape stand in, since nobody reads them.
    """

    module: nn.Module
    call: int
    spec: TreeSpec
    leaves: tuple[Any, ...]
    kept: bool = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Place:
        return replace(self, module=copy.deepcopy(self.module, memo))


@dataclass
class _Call:
    """A module's call on the probe, with those inside of it; `end` is its place in the order in which calls end."""

    module: nn.Module
    inside: list[_Call] = field(default_factory=list)
    output: Any = None
    end: int = 0


class _Done(BaseException):
    """All that is kept is there; no code of the model may catch it."""


def recorded(model: nn.Module, groups: Mapping[nn.Module, Group], probe: Inputs) -> Program | None:
    """`model` in two steps, what is kept of it and the model with that played back; None where nothing can be kept.

    Rows of different sizes (lists) are left alone: what a batch of them gives depends on which are in it.

    Args:
        model: in eval mode, its adapters doing nothing.
        groups: what is adapted.
        probe: a few inputs, rows first.
    """
    if isinstance(probe, list) or rows_of(probe) < 2:
        return None
    try:
        several, one = (_calls(model, rows) for rows in (probe, first_rows(probe, 1)))
    except Exception:  # noqa: BLE001 - a model may not take a single row, and say so in any way
        return None
    ends = [call.end for call in _walk(several) if call.module in groups]
    found = _answered(several, one, min(ends, default=0), (rows_of(probe), 1))
    if not any(True for call in found for _ in call.module.parameters()):
        return None
    places = _without_unread(model, _places(several, found), probe)
    given = Step(name=_RECORDED, kind="function", run=Recorder(model, places), args=(Ref(INPUT),))
    again = Step(name=_REPLAYED, kind="module", run=Replayed(model, places), args=(Ref(INPUT), Ref(_RECORDED)))
    return Program(prefix=(given,), rest=(again,), crossing=(INPUT, _RECORDED), output=Ref(_REPLAYED))


@final
class Recorder:
    """Runs a model until all that is kept is there, and gives that: a tuple of tensors, rows first."""

    def __init__(self, model: nn.Module, places: Sequence[Place]) -> None:
        self.model, self.places = model, tuple(places)
        self._count = len(_names(places))

    def __call__(self, inputs: Inputs) -> tuple[Tensor, ...]:
        kept: dict[str, Tensor] = {}

        def answer(place: Place, run: Callable[[], Any]) -> Any:
            output = run()
            leaves, spec = tree_flatten(output)
            if spec != place.spec:
                raise AdapterError(f"a {type(place.module).__name__} gave something else than on the probe batch")
            if place.kept:
                named = zip(place.leaves, leaves, strict=True)
                kept.update((ref.name, leaf) for ref, leaf in named if isinstance(ref, Ref))
            if len(kept) == self._count:
                raise _Done
            return output

        try:
            with _answering(self.places, answer):
                invoke(self.model, inputs)
        except _Done:
            return tuple(kept[str(number)] for number in range(self._count))
        raise AdapterError(
            "the model calls its modules in another order than on the probe batch, so that what lies in front of phi "
            "cannot be kept; name adapters that sit at its first modules, or write its forward without this choice"
        )


@final
class Replayed(nn.Module):
    """The model with what was kept in place of the modules in front of phi."""

    def __init__(self, model: nn.Module, places: Sequence[Place]) -> None:
        super().__init__()
        self.model, self.places = model, tuple(places)

    def forward(self, inputs: Inputs, kept: tuple[Tensor, ...]) -> Any:
        def answer(place: Place, run: Callable[[], Any]) -> Any:
            del run
            return tree_unflatten(resolve(place.leaves, lambda name: kept[int(name)]), place.spec)

        with _answering(self.places, answer):
            return invoke(self.model, inputs)


# --- what is looked for on the probe ---------------------------------------------------------------------------------


def _calls(model: nn.Module, inputs: Inputs) -> _Call:
    """The tree of calls of a forward pass."""
    root, ended = _Call(module=model), iter(range(1 << 62))
    open_calls = [root]

    def wrapped(module: nn.Module, forward: Forward) -> Forward:
        def noted(*args: Any, **kwargs: Any) -> Any:
            call = _Call(module=module)
            open_calls[-1].inside.append(call)
            open_calls.append(call)
            try:
                call.output = forward(*args, **kwargs)
            finally:
                call.end = next(ended)
                open_calls.pop()
            return call.output

        return noted

    with torch.no_grad(), _forwards(model.modules(), wrapped):
        invoke(model, cloned(inputs))
    return root.inside[0]


def _walk(call: _Call) -> Iterator[_Call]:
    yield call
    for one in call.inside:
        yield from _walk(one)


def _answered(call: _Call, twin: _Call, cut: int, rows: tuple[int, int]) -> list[_Call]:
    """The outermost calls that end before `cut` and give batches of rows, as their twins on a single row show."""
    if call.end < cut and type(call.module) is type(twin.module) and _gives_rows(call.output, twin.output, rows):
        return [call]
    if len(call.inside) != len(twin.inside):
        return []
    pairs = zip(call.inside, twin.inside, strict=True)
    return [found for one, other in pairs for found in _answered(one, other, cut, rows)]


def _gives_rows(output: Any, twin: Any, rows: tuple[int, int]) -> bool:
    """Whether all tensors of an output have the rows first, and nothing else is in it but plain values."""
    (leaves, spec), (others, like) = tree_flatten(output), tree_flatten(twin)
    if spec != like or not any(isinstance(leaf, Tensor) for leaf in leaves):
        return False
    for leaf, other in zip(leaves, others, strict=True):
        if isinstance(leaf, Tensor) and isinstance(other, Tensor):
            if (leaf.shape[:1], other.shape[:1]) != ((rows[0],), (rows[1],)) or leaf.shape[1:] != other.shape[1:]:
                return False
        elif not isinstance(leaf, _PLAIN) or leaf != other:
            return False
    return True


def _places(root: _Call, found: Sequence[_Call]) -> list[Place]:
    """Places of the calls that were found, counted among those that are still made."""
    answered, counts, places = {id(call) for call in found}, Counter[nn.Module](), []
    numbers = iter(range(1 << 62))

    def visit(call: _Call) -> None:
        number = counts[call.module]
        counts[call.module] += 1
        if id(call) not in answered:
            for one in call.inside:
                visit(one)
            return
        leaves, spec = tree_flatten(call.output)
        named = tuple(Ref(str(next(numbers))) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        places.append(Place(module=call.module, call=number, spec=spec, leaves=named))

    visit(root)
    return places


def _without_unread(model: nn.Module, places: list[Place], probe: Inputs) -> list[Place]:
    """Places with as little kept as gives the same outputs.

    In a chain of modules only the last output is read. One that nobody reads need not be kept where another of the
    same shape is: that one stands in for it. Whether it is read shows when it stands in and the outputs change.
    """
    with torch.no_grad():
        wanted = tree_leaves(invoke(model, cloned(probe)))
        kept = Recorder(model, places)(cloned(probe))

    def same(tried: Sequence[Place]) -> bool:
        try:
            with torch.no_grad():
                found = tree_leaves(Replayed(model, tried)(cloned(probe), kept))
        except Exception:  # noqa: BLE001 - the model's own code on what it was not made for
            return False
        return len(found) == len(wanted) and all(map(_equal, found, wanted))

    for number, place in enumerate(places):
        for later in reversed(places[number + 1 :]):
            stand_in = _stand_in(place, later, kept)
            if stand_in is not None:
                tried = [*places[:number], stand_in, *places[number + 1 :]]
                places = tried if same(tried) else places
                break
    return _numbered_anew(places)


def _stand_in(place: Place, other: Place, kept: Sequence[Tensor]) -> Place | None:
    """`place` with the tensors of `other` in it, where their shapes are the same."""
    own, theirs = (list(refs(one.leaves)) for one in (place, other))
    tensors = [[kept[int(name)] for name in names] for names in (own, theirs)]
    if [(t.shape, t.dtype) for t in tensors[0]] != [(t.shape, t.dtype) for t in tensors[1]]:
        return None
    if not all(tensor.is_floating_point() for tensor in tensors[0]):  # a mask may be the same by chance
        return None
    names = dict(zip(own, theirs, strict=True))
    return replace(place, leaves=resolve(place.leaves, lambda name: Ref(names[name])), kept=False)


def _numbered_anew(places: Sequence[Place]) -> list[Place]:
    """Places whose kept tensors are numbered without gaps."""
    numbers = {name: Ref(str(number)) for number, name in enumerate(_names(places))}
    return [replace(place, leaves=resolve(place.leaves, numbers.__getitem__)) for place in places]


def _names(places: Sequence[Place]) -> list[str]:
    """Of all that is kept."""
    return [name for place in places if place.kept for name in refs(place.leaves)]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    return type(one) is type(other)


# --- standing in for forward ------------------------------------------------------------------------------------------


@contextmanager
def _answering(places: Sequence[Place], answer: Callable[[Place, Callable[[], Any]], Any]) -> Iterator[None]:
    """The calls at `places` are answered by `answer(place, the call itself)`."""
    by_call = {(place.module, place.call): place for place in places}
    counts, inside = Counter[nn.Module](), [False]

    def wrapped(module: nn.Module, forward: Forward) -> Forward:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if inside[0]:  # of a call that will not be made
                return forward(*args, **kwargs)
            place = by_call.get((module, counts[module]))
            counts[module] += 1
            if place is None:
                return forward(*args, **kwargs)
            inside[0] = True
            try:
                return answer(place, lambda: forward(*args, **kwargs))
            finally:
                inside[0] = False

        return counted

    with _forwards({place.module for place in places}, wrapped):
        yield


@contextmanager
def _forwards(
    modules: Iterator[nn.Module] | set[nn.Module], wrapped: Callable[[nn.Module, Forward], Forward]
) -> Iterator[None]:
    """Modules with another `forward`: below hooks, which act on what it gives as they always do."""
    with ExitStack() as stack:
        for module in list(modules):
            if isinstance(module, torch.jit.ScriptModule):
                continue
            before = vars(module).get("forward")
            forward = wrapped(module, module.forward)
            stack.callback(_put_back, module, before)
            module.forward = forward
        yield


def _put_back(module: nn.Module, forward: Forward | None) -> None:
    if forward is None:
        vars(module).pop("forward", None)
    else:
        module.forward = forward
