"""What makes a run the same run: digests of its model, data and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..metrics import Metric
from ..problem import Examples
from ..runtime import Answers


def digest(tensors: Iterable[Tensor]) -> str:
    """Sixteen hex digits over shapes, dtypes and values.

    >>> digest([torch.zeros(2)]) == digest([torch.zeros(2)]) != digest([torch.zeros(3)])
    True
    """
    total = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous()
        total.update(f"{tuple(flat.shape)}{flat.dtype}".encode())
        total.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def digest_of_model(model: nn.Module) -> str:
    """Over the names and values of its state."""
    state = model.state_dict()
    values = digest(value for value in state.values() if isinstance(value, Tensor))
    return hashlib.blake2b((values + "\x1f".join(state)).encode(), digest_size=8).hexdigest()


def digest_of_examples(examples: Examples) -> str:
    return digest([examples.inputs, examples.targets])


def remembered(metric: Metric, answers: Answers, told: Callable[[], None]) -> Metric:
    """`metric` behind `answers`: what was rated before the run was stopped is not rated again.

    Args:
        metric: the user's.
        answers: of this run; a question is the digest of what the metric is asked about.
        told: called after every answer, an old one too.
    """

    def ask(*arguments: Any) -> float:
        question = digest_of_model(arguments[0]) if metric.reads == "model" else digest(map(torch.as_tensor, arguments))
        value = answers.of(question, lambda: metric.checked(metric.fn(*arguments)))
        told()
        return value

    return replace(metric, fn=ask)
