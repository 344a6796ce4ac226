"""Metrics from plain callables: of outputs and targets, or of the whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_map_only

from .._checks import one_of
from .._types import Reads
from .judged import takes_beside
from .metric import Metric


def from_function(
    fn: Callable[..., Any],
    *,
    higher_is_better: bool,
    name: str | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    reads: Reads = "scores",
    arrays: Literal["torch", "numpy"] = "torch",
) -> Metric:
    """A metric from any callable `(outputs, targets) -> number`.

    Args:
        fn: the callable; for binary problems both arguments are flat, `(N,)`.
        higher_is_better: its direction; nothing can tell it but you.
        name: for tables; the name of the function if None.
        bounds: the range of its values.
        reads: whether it takes raw "scores", "probabilities", "labels", or the "model".
        arrays: whether tensors or NumPy arrays are handed to it.

    >>> import torch
    >>> cost = from_function(
    ...     lambda label, target: (5 * (label < target) + (label > target)).mean(),
    ...     higher_is_better=False, name="cost", bounds=(0, 5), reads="labels", arrays="numpy",
    ... )
    >>> cost(torch.tensor([1.0, -1.0]), torch.tensor([0, 1]))
    3.0
    """
    one_of("arrays", arrays, ("torch", "numpy"))
    return Metric(
        on_arrays(fn) if arrays == "numpy" else fn,
        name=name or name_of(fn),
        higher_is_better=higher_is_better,
        bounds=bounds,
        reads=reads,
    )


def from_model_function(
    fn: Callable[..., Any],
    *,
    higher_is_better: bool,
    name: str | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Metric:
    """A metric from a callable of the whole model, `(model) -> number`: latency, BLEU of generated text, a game.

    >>> from torch import nn
    >>> size = from_model_function(
    ...     lambda model: sum(p.numel() for p in model.parameters()),
    ...     higher_is_better=False,
    ...     name="size",
    ...     bounds=(0, 99),
    ... )
    >>> size.measure_model(nn.Linear(2, 3))
    9.0
    """
    return Metric(fn, name=name or name_of(fn), higher_is_better=higher_is_better, bounds=bounds, reads="model")


def name_of(fn: object) -> str:
    """The name under which a callable was written down; its class where it has none."""
    inner = getattr(fn, "func", fn)  # functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))


def on_arrays(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` behind a conversion of its tensors to NumPy arrays; what stands beside the targets may be a nest of them."""

    def called(outputs: Any, targets: Any, *beside: Any) -> Any:
        return fn(to_array(outputs), to_array(targets), *tree_map_only(Tensor, to_array, beside))

    called.takes_beside = takes_beside(fn)  # type: ignore[attr-defined]
    return called


def to_array(value: Any) -> Any:
    """A tensor as a read-only NumPy array; half precision becomes float32, other things stay as they are.

    Read-only because it shares the tensor's memory: a metric that writes would change what later calls see.
    """
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    array: np.ndarray[Any, Any] = (
        value.float() if value.dtype.itemsize == 2 and value.is_floating_point() else value
    ).numpy()
    array.flags.writeable = False
    return array
