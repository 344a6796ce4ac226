"""Names for shapes of callables and choices that several layers use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from torch import Tensor

#: What a metric function is handed: raw scores, probabilities, hard labels, or the whole model.
Reads: TypeAlias = Literal["scores", "probabilities", "labels", "model"]

#: How mini-batches are drawn: uniformly, or each class equally often.
Sampler: TypeAlias = Literal["plain", "balanced"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)

#: A differentiable loss: `(scores, targets) -> scalar`, mean over examples.
LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]

#: How scores and targets are shaped (see `_scores.py`).
ScoreKind: TypeAlias = Literal["binary", "multiclass", "multilabel"]

#: What a parameter inside phi does.
Role: TypeAlias = Literal["shift", "temperature", "gain", "bias", "low-rank", "other"]

#: How a metric lets its examples be drawn anew: rows with replacement, half of a set without duplicates, or not at all.
Resampling: TypeAlias = Literal["rows", "sets", "none"]
RESAMPLINGS: tuple[Resampling, ...] = get_args(Resampling)
