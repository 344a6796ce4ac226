"""Batches of any shape: a tensor, a tuple or mapping of tensors, or a list with one record for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .._errors import DataError


def mapped(function: Callable[[Tensor], Any], nest: Any) -> Any:
    """`nest` with `function` of every tensor in it."""
    if isinstance(nest, Tensor):
        return function(nest)
    if isinstance(nest, Mapping):
        # A model's own kind of mapping may not take what we make: a plain dict always does.
        return {name: mapped(function, part) for name, part in nest.items()}
    if isinstance(nest, tuple):
        parts = [mapped(function, part) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else tuple(parts)
    return [mapped(function, part) for part in nest] if isinstance(nest, list) else nest


def rows_of(nest: Any) -> int:
    """How many examples a batch holds.

    >>> rows_of({"ids": torch.zeros(4, 7), "mask": torch.zeros(4)}), rows_of([{"boxes": torch.zeros(2, 4)}])
    (4, 1)
    """
    if isinstance(nest, Tensor):
        return len(nest) if nest.dim() else 0
    if isinstance(nest, list):
        return len(nest)
    parts = nest.values() if isinstance(nest, Mapping) else nest if isinstance(nest, tuple) else ()
    counts = {rows_of(part) for part in parts}
    if len(counts) != 1:
        raise DataError(f"the parts of a batch must have the same number of rows, got {sorted(counts) or type(nest)}")
    return counts.pop()


def take(nest: Any, index: Tensor) -> Any:
    """The rows `index` `(m,)` of a batch, in that order.

    >>> take(["a", "b", "c"], torch.tensor([2, 0]))
    ['c', 'a']
    """
    # `index_select` copies whole rows: several times faster than `tensor[index]`.
    return _rowwise(
        nest,
        lambda tensor: tensor.index_select(0, index.to(tensor.device)),
        lambda records: [records[i] for i in index.tolist()],
    )


def sliced(nest: Any, start: int, stop: int) -> Any:
    """The rows from `start` to `stop`, without a copy."""
    return _rowwise(nest, lambda tensor: tensor[start:stop], lambda records: records[start:stop])


def _rowwise(nest: Any, of_tensor: Callable[[Tensor], Any], of_records: Callable[[list[Any]], Any]) -> Any:
    if isinstance(nest, list):
        return of_records(nest)
    if isinstance(nest, Mapping):
        return {name: _rowwise(part, of_tensor, of_records) for name, part in nest.items()}
    if isinstance(nest, tuple):
        parts = [_rowwise(part, of_tensor, of_records) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else tuple(parts)
    return mapped(of_tensor, nest)


def concatenated(parts: Sequence[Any], dim: int = 0) -> Any:
    """Several batches as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(list(parts), dim=dim)
    if isinstance(first, list):
        return [record for part in parts for record in part]
    if isinstance(first, Mapping):
        return {name: concatenated([part[name] for part in parts], dim) for name in first}
    if isinstance(first, tuple):
        joined = [concatenated(list(column), dim) for column in zip(*parts, strict=True)]
        return type(first)(*joined) if hasattr(first, "_fields") else tuple(joined)
    raise DataError(f"batches must be made of tensors or records, got a {type(first).__name__}")


def member(outputs: Any, index: int) -> Any:
    """The outputs at one phi, of outputs of a population: a list holds one entry a phi, tensors have phis first."""
    return outputs[index] if isinstance(outputs, list) else mapped(lambda tensor: tensor[index], outputs)


def on(nest: Any, device: torch.device | str) -> Any:
    return mapped(lambda tensor: tensor.to(device), nest)


def numel(nest: Any) -> int:
    """How many numbers a batch holds."""
    return sum(tensor.numel() for tensor in _tensors(nest))


def size_in_bytes(nest: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(nest))


def _tensors(nest: Any) -> Iterator[Tensor]:
    """Every tensor in it; nothing is put together again, so that it may also be what a module makes for another."""
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, Mapping | tuple | list):
        for part in nest.values() if isinstance(nest, Mapping) else nest:
            yield from _tensors(part)
