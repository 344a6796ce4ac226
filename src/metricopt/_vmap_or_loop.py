"""A function for each member of a population: all at once by `torch.func.vmap`, in turn where that cannot map it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._pytree import tree_map, tree_map_only

#: It has the only switch for the warning below.
_FUNCTORCH: Any = torch._C._functorch


@final
class VmapOrLoop:
    """Maps functions over the first axis of their arguments, and remembers which ones `vmap` cannot map.

    Recurrent layers have no rule for it, and code that looks at values (`if`, `.item()`, a boolean mask) none either.
    Those run once for each member: slower, with the same values and gradients.

    >>> each = VmapOrLoop()
    >>> above = lambda x: x[x > 1].sum()  # how many numbers are left depends on the values
    >>> each("above", above, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([2., 7.])
    """

    def __init__(self) -> None:
        self._in_turn: set[Hashable] = set()

    def __call__(
        self, key: Hashable, run: Callable[..., Any], *arguments: Any, in_dims: tuple[int | None, ...] | None = None
    ) -> Any:
        """`run` of each member, results stacked along a new first axis.

        Args:
            key: the same for the same code.
            run: of one member; it returns tensors, in any nest.
            arguments: tensors with the population as first axis, in any nest.
            in_dims: 0 for each such argument, None for one that all members share; all 0 if not given.
        """
        dims = (0,) * len(arguments) if in_dims is None else in_dims
        # `vmap` does not see autocast: half-precision tensors would meet weights that were not cast.
        if key not in self._in_turn and not _autocast():
            try:
                with _without_complaint():
                    return torch.func.vmap(run, in_dims=dims, randomness="different")(*arguments)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:
                # What is wrong with `run` itself is wrong in turn as well, and told in its own words there.
                found = _in_turn(run, arguments, dims)
                self._in_turn.add(key)
                return found
        return _in_turn(run, arguments, dims)


@contextmanager
def _without_complaint() -> Iterator[None]:
    """An operation that `vmap` has no rule for, such as packing sequences, it does in turn, and warns of each time."""
    _FUNCTORCH._set_vmap_fallback_warning_enabled(False)
    try:
        yield
    finally:
        _FUNCTORCH._set_vmap_fallback_warning_enabled(True)


def _in_turn(run: Callable[..., Any], arguments: tuple[Any, ...], dims: tuple[int | None, ...]) -> Any:
    def of(member: int) -> Any:
        return run(
            *(
                argument if dim is None else tree_map_only(Tensor, itemgetter(member), argument)
                for argument, dim in zip(arguments, dims, strict=True)
            )
        )

    count = next(_length(argument) for argument, dim in zip(arguments, dims, strict=True) if dim is not None)
    return tree_map(lambda *parts: torch.stack(parts), *(of(member) for member in range(count)))


def _autocast() -> bool:
    return torch.is_autocast_enabled("cpu") or (torch.cuda.is_available() and torch.is_autocast_enabled("cuda"))


def _length(nest: Any) -> int:
    found: list[int] = []
    tree_map_only(Tensor, lambda tensor: found.append(len(tensor)), nest)
    return found[0]
