"""Detections: for each image a record of boxes and how sure the model is of them, against a record of boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .profile import Column, Profile, named, ratio, straight_through

#: Confidences from which a detection counts.
_AT = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: The same for each class by itself, of which at most so many have columns of their own.
_AT_OF_A_CLASS, _MOST_CLASSES = (0.1, 0.3, 0.5, 0.7, 0.9), 20
#: A detection finds an object that it overlaps by so much (intersection over union).
_OVERLAP = 0.5
#: Of an image the surest so many are read.
_MOST = 100
#: How soft a soft step is, in units of confidence, and with how many others a soft rank compares.
_STEP, _OTHERS = 0.05, 256
_LEAST = 1e-4


@final
@dataclass(frozen=True, kw_only=True)
class BoxesProfile(Profile):
    """Average precision; recall, precision, F1 and false alarms from several confidences on; likelihood.

    Outputs are records with "boxes" `(m, 4)` as (left, top, right, bottom), "scores" `(m,)` in [0, 1] and, where the
    targets have them, "labels" `(m,)`; targets are records with "boxes" and perhaps "labels". Detections are matched as
    in VOC: the surest first, each to the free object of its label that it overlaps most, by half at least. `phi` is
    followed through the scores; that it moves boxes shows in the counts, not in their gradients.

    Args:
        classes: labels 0 to `classes - 1` have columns of their own: recall, precision, how right their number in an
            image is, average precision. 0 for none.
    """

    classes: int = 0

    @property
    def columns(self) -> tuple[Column, ...]:
        each = [f"class {k}" for k in range(self.classes)]
        levels = [(name, at) for name in each for at in _AT_OF_A_CLASS]
        of_classes = {
            "class recall": [f"recall of {name} from confidence {at:g} on" for name, at in levels],
            "class precision": [f"precision of {name} from confidence {at:g} on" for name, at in levels],
            "class number": [f"right number of {name} from confidence {at:g} on" for name, at in levels],
            "class ranking": [f"average precision of {name}" for name in each],
        }
        return named(
            [
                ("ranking", ["average precision"]),
                *(
                    (name, [f"{name} from confidence {at:g} on" for at in _AT])
                    for name in ("recall", "precision", "F1", "few false alarms")
                ),
                ("likelihood", ["log-likelihood"]),
                ("confidence", ["confidence of what is found", "low confidence of false alarms"]),
                *(of_classes.items() if each else ()),
            ]
        )

    def fits(self, outputs: Any, targets: Any) -> bool:
        return all(
            isinstance(records, list) and bool(records) and all(_is_record(one, fields) for one in records[:64])
            for records, fields in ((outputs, ("boxes", "scores")), (targets, ("boxes",)))
        )

    def of_targets(self, targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """`(N, 1 + classes)`: how many objects there are, and how many of each class."""
        return torch.tensor(
            [
                [len(one["boxes"]), *(int((one["labels"] == label).sum()) for label in range(self.classes))]
                for one in targets
            ],
            dtype=torch.float32,
        )

    def for_data(self, outputs: Any, targets: Any) -> BoxesProfile:
        """With columns for each class where both say which one it is, and there are not too many."""
        if not all("labels" in one for one in (*outputs, *targets)):
            return self
        classes = 1 + max((int(one["labels"].max()) for one in targets if len(one["labels"])), default=-1)
        return replace(self, classes=classes) if 1 < classes <= _MOST_CLASSES else self

    def of_outputs(self, outputs: Sequence[Any], targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """`(n, N, M, 3)`: of each detection its score, whether it finds an object, and whether it is there at all.

        With columns for classes a fourth number is its label.
        """
        records, shape = [_surest(one) for phi in outputs for one in phi], (len(outputs), -1)
        scores, there = _padded([one["scores"] for one in records])
        boxes, _ = _padded([one["boxes"].detach() for one in records])
        wanted, is_wanted = _padded([one["boxes"] for one in targets])
        overlap = _overlaps(boxes.unflatten(0, shape), wanted.to(boxes))
        possible = there.unflatten(0, shape)[..., None] & is_wanted[:, None].to(there.device)
        further: list[Tensor] = []
        if all("labels" in one for one in (*records[:1], *targets[:1])):
            labels, theirs = (_padded([one["labels"] for one in part])[0] for part in (records, targets))
            possible &= labels.unflatten(0, shape)[..., None] == theirs[:, None].to(labels)
            further = [labels.to(scores)] if self.classes else []
        found = _found(scores.detach(), torch.where(possible, overlap, 0.0).flatten(0, 1))
        read: Tensor = torch.stack([scores, found.to(scores), there.to(scores), *further], dim=2).unflatten(0, shape)
        return read

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        del slices
        objects = targets[:, 0].sum().clamp_min(1).to(outputs)
        scores, found, there = outputs[..., :3].flatten(1, 2).unbind(2)
        alarms = there - found
        columns: list[list[Tensor]] = [[], [], [], []]
        for at in _AT:
            sure = _surely(scores, at)
            hits, false = (sure * found).sum(dim=1) / objects, (sure * alarms).sum(dim=1) / objects
            rated = hits, ratio(hits, hits + false), 2 * hits / (1 + hits + false), -torch.log1p(false)
            for column, one in zip(columns, rated, strict=True):
                column.append(one)
        fit = found * scores.clamp_min(_LEAST).log() + alarms * (1 - scores).clamp_min(_LEAST).log()
        own, theirs = (_mean(scores, part) for part in (found, alarms))
        average = _average_precision(scores, found, there, objects)
        counted = [one for column in columns for one in column]
        overall = [average, *counted, _mean(fit, there), own, -theirs]
        return torch.stack([*overall, *self._of_classes(outputs, targets.to(outputs))], dim=1)

    def _of_classes(self, outputs: Tensor, targets: Tensor) -> list[Tensor]:
        recalls, precisions, numbers, rankings = [], [], [], []
        for label in range(self.classes):
            mine, wanted = outputs[..., 3] == label, targets[:, 1 + label]
            scores, found, there = (part * mine for part in outputs[..., :3].unbind(3))
            objects = wanted.sum().clamp_min(1)
            for at in _AT_OF_A_CLASS:
                sure = _surely(scores, at) * there
                hits, told = (sure * found).sum(dim=(1, 2)) / objects, sure.sum(dim=2)
                recalls.append(hits)
                precisions.append(ratio(hits, told.sum(dim=1) / objects))
                numbers.append(-(told - wanted).abs().sum(dim=1) / objects)
            rankings.append(_average_precision(scores.flatten(1), found.flatten(1), there.flatten(1), objects))
        return [*recalls, *precisions, *numbers, *rankings]


def _surely(scores: Tensor, at: float) -> Tensor:
    """Which scores lie above `at`."""
    return straight_through((scores > at).to(scores), torch.sigmoid((scores - at) / _STEP))


def _is_record(one: Any, fields: Sequence[str]) -> bool:
    if not (isinstance(one, Mapping) and all(isinstance(one.get(name), Tensor) for name in fields)):
        return False
    return bool(one["boxes"].dim() == 2 and one["boxes"].shape[1] == 4)


def _surest(record: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if len(record["scores"]) <= _MOST:
        return record
    kept = record["scores"].detach().topk(_MOST).indices
    return {name: record[name][kept] for name in ("boxes", "scores", "labels") if name in record}


def _padded(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """`(N, M, ...)` with zeros behind the shorter ones, at least one place, and `(N, M)`: what is no filling."""
    stacked = pad_sequence(list(parts), batch_first=True)
    if stacked.shape[1] == 0:
        stacked = stacked.new_zeros(len(parts), 1, *stacked.shape[2:])
    lengths = torch.tensor([len(part) for part in parts], device=stacked.device)
    return stacked, torch.arange(stacked.shape[1], device=stacked.device) < lengths[:, None]


def _overlaps(boxes: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union of boxes `(n, N, M, 4)` with those of the same image `(N, T, 4)`: `(n, N, M, T)`."""
    one, other = boxes[..., None, :], wanted[:, None]
    corner, end = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    shared = (end - corner).clamp_min(0).prod(dim=-1)
    sizes = [(part[..., 2:] - part[..., :2]).clamp_min(0).prod(dim=-1) for part in (one, other)]
    return shared / (sizes[0] + sizes[1] - shared).clamp_min(1e-9)


def _found(scores: Tensor, overlap: Tensor) -> Tensor:
    """`(B, M)`: which detections find an object, from scores `(B, M)` and overlaps `(B, M, T)`; each object once."""
    images = torch.arange(len(scores), device=scores.device)
    found = torch.zeros_like(scores, dtype=torch.bool)
    free = overlap.new_ones(len(scores), overlap.shape[2])
    near = overlap.amax(dim=2) >= _OVERLAP  # few are: only these are gone through one by one
    order = scores.masked_fill(~near, -torch.inf).argsort(dim=1, descending=True, stable=True)
    for detection in order[:, : int(near.sum(dim=1).max())].unbind(1):
        best, where = (overlap[images, detection] * free).max(dim=1)
        hit = best >= _OVERLAP
        found[images, detection] = hit
        free[images, where] *= (~hit).to(free)
    return found


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp_min(1)


def _average_precision(scores: Tensor, found: Tensor, there: Tensor, objects: Tensor) -> Tensor:
    """`(n,)`: the mean over objects of the precision where each is found, 0 for those that are not."""
    is_found, own = found.topk(int(found.sum(dim=1).max()), dim=1)
    mine = scores.gather(1, own)
    hits = mine.detach().masked_fill(is_found == 0, -torch.inf).sort(dim=1, descending=True).values
    places = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    false = scores.detach().masked_fill((there == 0) | (found > 0), -torch.inf).sort(dim=1).values
    # Of equal scores false alarms come first: a model that cannot tell is not lucky.
    above = false.shape[1] - torch.searchsorted(false, hits)
    exact = (places / (places + above) * hits.isfinite()).sum(dim=1) / objects
    if not scores.requires_grad:
        return exact
    kept = torch.linspace(0, scores.shape[1] - 1, min(scores.shape[1], _OTHERS), device=scores.device).long()
    higher = torch.sigmoid((scores[:, None, kept] - mine[:, :, None]) / _STEP)
    higher = higher * there[:, None, kept] * (own[:, :, None] != kept) * (scores.shape[1] / len(kept))
    precision = (1 + (higher * found[:, None, kept]).sum(dim=2)) / (1 + higher.sum(dim=2))
    return straight_through(exact, (precision * is_found).sum(dim=1) / objects)
