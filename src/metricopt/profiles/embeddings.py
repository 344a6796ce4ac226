"""Points whose distances count: retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .profile import Column, Profile, named, ratio, straight_through

_NEIGHBOURS = (1, 2, 4, 8)
#: Queries that are looked at, and points among which each looks.
_QUERIES, _POINTS = 512, 4096


@final
@dataclass(frozen=True, kw_only=True)
class EmbeddingsProfile(Profile):
    """Recall at k and average precision of retrieval, by cosine and by distance, spread within and between classes.

    A row is never its own answer. Of large sets every n-th row asks, and every m-th answers.
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        return named(
            [
                *(
                    (f"neighbours by {by}", [*(f"recall at {k} by {by}" for k in _NEIGHBOURS), f"mean AP by {by}"])
                    for by in ("cosine", "distance")
                ),
                (
                    "contrast",
                    ["similarity within classes", "- similarity between classes", "log-odds of the own class"],
                ),
            ]
        )

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        labels = targets.reshape(-1)
        answers = _evenly(len(labels), _POINTS, labels.device)
        asks = answers[_evenly(len(answers), _QUERIES, labels.device)]
        same = labels[asks][:, None] == labels[answers][None, :]
        itself = asks[:, None] == answers[None, :]
        unit = F.normalize(outputs, dim=2)
        cosine = unit[:, asks] @ unit[:, answers].transpose(1, 2)
        apart = -torch.cdist(outputs[:, asks], outputs[:, answers])
        apart = apart / apart.detach().std(dim=(1, 2), keepdim=True).clamp_min(1e-6)
        found = [_neighbours(cosine * 8, same, itself), _neighbours(apart * 2, same, itself)]
        own, other = (same & ~itself).to(cosine), (~same).to(cosine)
        within = ratio((cosine * own).sum(dim=(1, 2)), own.sum())
        between = ratio((cosine * other).sum(dim=(1, 2)), other.sum())
        logs = (8 * cosine).masked_fill(itself, -1e4)
        mine = logs.masked_fill(~(same & ~itself), -1e4).logsumexp(dim=2) - logs.logsumexp(dim=2)
        has = own.sum(dim=1) > 0
        found.append(torch.stack([within, -between, ratio((mine.clamp_min(-20) * has).sum(dim=1), has.sum())], dim=1))
        return torch.cat(found, dim=1)


def _neighbours(similar: Tensor, same: Tensor, itself: Tensor) -> Tensor:
    """Recall at each k and mean average precision `(n, len(k) + 1)` of similarities `(n, Q, N)`."""
    with torch.no_grad():
        hits = _hits(similar, same, itself).to(similar)
        has = (same & ~itself).sum(dim=1) > 0
        count = has.sum().clamp_min(1)
        place = torch.arange(1, hits.shape[2] + 1, device=hits.device)
        precision = (hits.cumsum(dim=2) / place * hits).sum(dim=2) / hits.sum(dim=2).clamp_min(1)
        exact = [(hits[:, :, :k].amax(dim=2) * has).sum(dim=1) / count for k in _NEIGHBOURS]
        exact.append((precision * has).sum(dim=1) / count)
    if not similar.requires_grad:
        return torch.stack(exact, dim=1)
    best = similar.masked_fill(~same | itself, -1e4).logsumexp(dim=2)
    rivals = similar.masked_fill(same, -1e4).topk(min(_NEIGHBOURS[-1], similar.shape[2]), dim=2).values
    cuts = [rivals[:, :, min(k, rivals.shape[2]) - 1] for k in _NEIGHBOURS]
    soft = [(torch.sigmoid(best - cut) * has).sum(dim=1) / count for cut in cuts]
    soft.append(soft[0] + soft[-1])
    return torch.stack([straight_through(a, b) for a, b in zip(exact, soft, strict=True)], dim=1)


def _hits(similar: Tensor, same: Tensor, itself: Tensor) -> Tensor:
    """`(n, Q, N - 1)`: whether the nearest answer is right, the next one, and so on; of equally near ones wrong first.

    Numbers are sorted whose last bit says whether an answer is wrong, since NumPy sorts values a hundred times as fast
    as torch finds their order on a CPU.
    """
    bits = similar.float().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the floats
    keys = ((ordered & ~1) | (~same).int()).masked_fill(itself, torch.iinfo(torch.int32).min)
    if keys.device.type == "cpu":
        found = torch.from_numpy(np.sort(keys.numpy(), axis=2))
    else:
        found = keys.sort(dim=2).values
    return (found.flip(2)[:, :, :-1] & 1) == 0


def _evenly(rows: int, most: int, device: torch.device) -> Tensor:
    if rows <= most:
        return torch.arange(rows, device=device)
    return torch.linspace(0, rows - 1, most, device=device).long()
