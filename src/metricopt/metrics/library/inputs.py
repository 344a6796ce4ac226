"""Scores and targets as the library's functions want them: kind known, targets checked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..._errors import ConfigError, MetricError
from ..._scores import by_position, flatten_binary, score_kind, to_labels, to_probabilities
from ..._types import ScoreKind


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Scores and targets of one call; targets are int64, binary ones are `(N,)`."""

    kind: ScoreKind
    scores: Tensor
    targets: Tensor

    @property
    def classes(self) -> int:
        return 2 if self.kind == "binary" else self.scores.shape[1]

    def labels(self) -> Tensor:
        return to_labels(self.scores, self.kind)

    def matrix(self) -> Tensor:
        """Confusion matrix `(K, K)` int64 on the CPU: rows are targets, columns are predicted labels."""
        cells = (self.targets * self.classes + self.labels()).cpu()
        return torch.bincount(cells, minlength=self.classes**2).reshape(self.classes, self.classes)

    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Hits, false alarms and misses `(K,)` int64: of the positive class, of each class, or of each label."""
        if self.kind == "multilabel":
            said = self.labels()
            hits, predicted, there = (one.sum(dim=0).cpu() for one in (said * self.targets, said, self.targets))
        else:
            matrix = self.matrix()
            of = slice(1, None) if self.kind == "binary" else slice(None)
            hits, predicted, there = (one[of] for one in (matrix.diagonal(), matrix.sum(dim=0), matrix.sum(dim=1)))
        return hits, predicted - hits, there - hits

    def columns(self) -> tuple[Tensor, Tensor]:
        """One ranking problem per column, `(K, N)` each: one-vs-rest probabilities for multiclass.

        Binary and multilabel keep the raw scores: they rank as the probabilities do, and no two of them become
        equal because a sigmoid saturates.
        """
        if self.kind == "binary":
            return self.scores[None], self.targets[None]
        if self.kind == "multilabel":
            return self.scores.T, self.targets.T
        classes = torch.arange(self.classes, device=self.targets.device)
        return to_probabilities(self.scores, self.kind).T, (self.targets[None] == classes[:, None]).long()


def read(name: str, kinds: tuple[ScoreKind, ...], scores: Tensor, targets: Tensor) -> Inputs:
    """Check shapes, kind and values of the targets for metric `name`.

    Raises:
        ConfigError: shapes that fit no kind, or a kind that the metric is not defined for.
        MetricError: no rows, or targets that are no classes.
    """
    if not (isinstance(scores, Tensor) and isinstance(targets, Tensor)):
        raise ConfigError(
            f"metric {name!r} takes tensors or numeric arrays of scores and targets, got "
            f"{type(scores).__name__} and {type(targets).__name__}; convert them with torch.as_tensor"
        )
    scores, targets = by_position(scores, targets)
    kind = score_kind(scores, targets)
    if kind not in kinds:
        two = kind == "multiclass" and "binary" in kinds and scores.shape[1] == 2
        todo = "let the model give one score a row, that of class 1 less that of class 0, or " if two else ""
        raise ConfigError(
            f"metric {name!r} is defined for {', '.join(kinds)} problems, got {kind} scores of shape "
            f"{tuple(scores.shape)} with targets of shape {tuple(targets.shape)}; {todo}choose another metric"
        )
    if scores.shape[0] == 0:
        raise MetricError(f"metric {name!r} got no rows; give it at least one example")
    if kind == "binary":
        scores, targets = flatten_binary(scores, targets)
    if scores.dtype not in (torch.float32, torch.float64):
        scores = scores.float()  # NumPy has no bfloat16; float32 holds every half-precision number
    _check_classes(name, kind, targets, scores.shape[-1])
    return Inputs(kind=kind, scores=scores, targets=targets.long())


def _check_classes(name: str, kind: ScoreKind, targets: Tensor, width: int) -> None:
    if targets.dtype == torch.bool:
        return
    top = width - 1 if kind == "multiclass" else 1
    low, high = (float(v) for v in targets.aminmax())
    whole = not targets.is_floating_point() or bool((targets == targets.round()).all())
    if not (low >= 0 and high <= top and whole):
        raise MetricError(
            f"metric {name!r} needs targets that are whole numbers from 0 to {top} for {kind} scores, got values from "
            f"{low:g} to {high:g}; renumber the classes"
        )
