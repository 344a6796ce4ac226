"""One list of scores an example: the documents of a query, the offers shown to a customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .profile import Column, Profile, members, named, straight_through

_AT = (1, 3, 5, 10)
_WHOLE = ("NDCG", "mean average precision", "mean reciprocal rank", "share of pairs in order")
#: Others that the soft place of a document is told from.
_MOST_OTHERS = 64


@final
@dataclass(frozen=True, kw_only=True)
class ListsProfile(Profile):
    """NDCG, precision, recall and hits at several k, average precision, reciprocal rank, pairs, listwise likelihood.

    Each is a mean over the lists that hold something relevant. Relevance is 0 for what nobody wants, more for what is
    wanted, and negative where a list is shorter than others and there is no document. Of equal scores the least
    relevant comes first: a model that cannot tell documents apart is not lucky.

    Args:
        slices: names; NDCG is taken inside each.
    """

    slices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return named(
            [
                ("ranking", _WHOLE),
                *(
                    (f"{name} at k", [f"{name} at {k}" for k in _AT])
                    for name in ("NDCG", "precision", "recall", "hits")
                ),
                ("likelihood", ["log-likelihood"]),
                *(("slices", [f"NDCG in {part}"]) for part in self.slices),
            ]
        )

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        relevance = targets.reshape(len(targets), -1).to(outputs.dtype)
        there = relevance >= 0
        scores = outputs.reshape(len(outputs), *relevance.shape).masked_fill(~there, -torch.inf)
        wanted = (relevance > 0).to(scores.dtype)
        counts = (wanted.sum(dim=1) > 0).to(scores.dtype)
        place = _places(scores.detach(), relevance)
        each = _figures(place, relevance, wanted)
        if scores.requires_grad:
            each = straight_through(each, _figures(_soft_places(scores, there), relevance, wanted))
        chances = scores.masked_fill(~there, torch.finfo(scores.dtype).min).log_softmax(dim=2)
        likelihood = (chances * wanted).sum(dim=2) / wanted.sum(dim=1).clamp_min(1)
        each = torch.cat([each, likelihood[:, None]], dim=1)  # (n, K, Q)
        found = [(each * counts).sum(dim=2) / counts.sum().clamp_min(1)]
        for member in members(self.slices, slices, scores):
            share = member * counts
            found.append((each[:, :1] * share).sum(dim=2) / share.sum().clamp_min(1))
        return torch.cat(found, dim=1)


def _places(scores: Tensor, relevance: Tensor) -> Tensor:
    """`(n, Q, L)`: the place of each document in its list, 1 for the first."""
    unlucky = relevance.argsort(dim=1, stable=True).expand_as(scores)
    order = torch.gather(scores, 2, unlucky).argsort(dim=2, descending=True, stable=True)
    order = torch.gather(unlucky, 2, order)
    numbers = torch.arange(1, scores.shape[2] + 1, dtype=scores.dtype, device=scores.device)
    return torch.empty_like(scores).scatter_(2, order, numbers.expand_as(scores))


def _soft_places(scores: Tensor, there: Tensor) -> Tensor:
    """1 and how many others stand above, each comparison smooth."""
    length = scores.shape[2]
    kept = torch.linspace(0, length - 1, min(length, _MOST_OTHERS), device=scores.device).long()
    known = torch.where(there, scores, 0.0)
    middle = known.detach().sum(dim=2, keepdim=True) / there.sum(dim=1, keepdim=True).clamp_min(1)
    spread = ((known.detach() - middle).square() * there).sum(dim=2, keepdim=True) / there.sum(1, keepdim=True)
    steep = 4 / spread.sqrt().clamp_min(1e-3)
    above = torch.sigmoid((known[:, :, None, kept] - known[:, :, :, None]) * steep[..., None])
    others = there[:, None, kept] & (torch.arange(length, device=scores.device)[:, None] != kept)
    return 1 + (above * others).sum(dim=3) * (length / len(kept))


def _figures(place: Tensor, relevance: Tensor, wanted: Tensor) -> Tensor:
    """`(n, 4 + 4 K, Q)` figures of each list from the places `(n, Q, L)` of its documents, soft or exact.

    An exact place is inside the first k or is not; a soft one by so much.
    """
    gains = (torch.exp2(relevance.clamp_min(0)) - 1) * wanted
    best = gains.sort(dim=1, descending=True).values
    discount = 1 / torch.log2(1 + torch.arange(1, gains.shape[1] + 1, dtype=gains.dtype, device=gains.device))
    total, found = wanted.sum(dim=1).clamp_min(1), []
    soft = place.requires_grad
    for k in _AT:
        inside = torch.sigmoid((k + 0.5 - place) * 2) if soft else (place <= k).to(place)
        ideal = (best * discount)[:, :k].sum(dim=1).clamp_min(1e-9)
        hits = (inside * wanted).sum(dim=2)
        found.append([(gains * inside / torch.log2(1 + place)).sum(dim=2) / ideal, hits / k, hits / total])
        none = (1 - inside * wanted).clamp_min(1e-6).log().sum(dim=2).exp() if soft else (hits == 0).to(place)
        found[-1].append(1 - none)
    ndcg = (gains / torch.log2(1 + place)).sum(dim=2) / (best * discount).sum(dim=1).clamp_min(1e-9)
    # The r-th wanted document in order of place has r wanted ones down to it.
    ordered = place.masked_fill(wanted == 0, torch.inf).sort(dim=2).values
    number = torch.arange(1, place.shape[2] + 1, dtype=place.dtype, device=place.device)
    average = torch.where(ordered.isfinite(), number / ordered, 0.0).sum(dim=2) / total
    first = ordered[:, :, 0]
    reciprocal = torch.where(first.isfinite(), 1 / first, 0.0)
    by_name = [[one[i] for one in found] for i in range(4)]
    ordering = _in_order(place, relevance)
    return torch.stack([ndcg, average, reciprocal, ordering, *(one for name in by_name for one in name)], dim=1)


def _in_order(place: Tensor, relevance: Tensor) -> Tensor:
    """`(n, Q)`: the share of pairs of unequal relevance whose better one stands first, softly for soft places."""
    better = ((relevance[:, :, None] > relevance[:, None, :]) & (relevance >= 0)[:, None, :]).to(place)
    apart = place[:, :, None, :] - place[:, :, :, None]
    right = torch.sigmoid(2 * apart) if place.requires_grad else (apart > 0).to(place)
    return (right * better).sum(dim=(2, 3)) / better.sum(dim=(1, 2)).clamp_min(1)
