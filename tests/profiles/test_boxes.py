"""The profile of detections against a slow twin; what it leaves alone; a search that reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import metricopt
from metricopt._errors import ConfigError
from metricopt.profiles import BoxesProfile, Slices

PROFILE = BoxesProfile()
NAMES = [column.name for column in PROFILE.columns]


def boxes(count: int, source: torch.Generator) -> Tensor:
    corner = 20 * torch.rand(count, 2, generator=source)
    return torch.cat([corner, corner + 4 + 6 * torch.rand(count, 2, generator=source)], dim=1)


def scenes(count: int, seed: int, *, labels: bool = False) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Detections near objects, twice on some, beside false alarms; and the objects, on some images none."""
    source = torch.Generator().manual_seed(seed)
    outputs, targets = [], []
    for number in range(count):
        objects = boxes(number % 4, source)
        near = torch.cat([objects, objects[:1]]) + 0.4 * torch.randn(
            len(objects) + len(objects[:1]), 4, generator=source
        )
        all_boxes = torch.cat([near, boxes((number + 1) % 3, source)])
        scores = torch.rand(len(all_boxes), generator=source).round(decimals=1)  # equal ones among them
        record, target = {"boxes": all_boxes, "scores": scores}, {"boxes": objects}
        if labels:
            record["labels"] = torch.randint(2, (len(all_boxes),), generator=source)
            target["labels"] = torch.randint(2, (len(objects),), generator=source)
        outputs.append(record)
        targets.append(target)
    return outputs, targets


def read(outputs: list[Any], targets: list[Any], profile: BoxesProfile = PROFILE) -> Tensor:
    return profile(profile.of_outputs(outputs, targets), profile.of_targets(targets))


def overlap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    sizes = [float(np.prod(np.maximum(box[2:] - box[:2], 0))) for box in (one, other)]
    return shared / (sum(sizes) - shared)


def twin(outputs: list[dict[str, Tensor]], targets: list[dict[str, Tensor]]) -> dict[str, float]:
    """Detection by detection, as VOC counts."""
    told: list[tuple[float, bool]] = []
    for record, target in zip(outputs, targets, strict=True):
        free = set(range(len(target["boxes"])))
        for i in sorted(range(len(record["scores"])), key=lambda i, r=record: -float(r["scores"][i])):  # type: ignore[misc]
            fitting = [
                (overlap(record["boxes"][i].numpy(), target["boxes"][j].numpy()), -j)
                for j in free
                if "labels" not in target or record["labels"][i] == target["labels"][j]
            ]
            best, j = max(fitting, default=(0.0, 0))
            told.append((float(record["scores"][i]), best >= 0.5))
            free -= {-j} if best >= 0.5 else set()
    objects = sum(len(target["boxes"]) for target in targets)
    found: dict[str, float] = {}
    for at in (0.05, 0.5, 0.9):
        hits, false = (sum(score > at and hit is right for score, hit in told) for right in (True, False))
        found[f"recall from confidence {at:g} on"] = hits / objects
        found[f"precision from confidence {at:g} on"] = hits / max(hits + false, 1)
        found[f"F1 from confidence {at:g} on"] = 2 * hits / (objects + hits + false)
        found[f"few false alarms from confidence {at:g} on"] = -np.log1p(false / objects)
    ranked = sorted(told, key=lambda one: (-one[0], one[1]))
    hits, total = 0, 0.0
    for place, (_, hit) in enumerate(ranked, start=1):
        hits += hit
        total += hits / place if hit else 0.0
    return found | {"average precision": total / objects}


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_counted_is_what_a_slow_twin_counts(seed: int, labels: bool) -> None:
    (first, targets), (second, _) = scenes(30, seed, labels=labels), scenes(30, seed + 100, labels=labels)
    for row, outputs in zip(read([first, second], targets), (first, second), strict=True):
        for name, value in twin(outputs, targets).items():
            assert float(row[NAMES.index(name)]) == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize("seed", range(3))
def test_columns_of_a_class_are_those_of_its_detections_alone(seed: int) -> None:
    outputs, targets = scenes(30, seed, labels=True)
    profile = PROFILE.for_data(outputs, targets)
    assert profile.classes == 2 and profile.identity != PROFILE.identity
    names, row = [column.name for column in profile.columns], read([outputs], targets, profile)[0]
    torch.testing.assert_close(row[: len(NAMES)], read([outputs], targets)[0])
    for label in range(2):
        ours, theirs = (
            [{key: value[one["labels"] == label] for key, value in one.items()} for one in part]
            for part in (outputs, targets)
        )
        counted = twin(ours, theirs)
        found = {
            f"recall of class {label} from confidence 0.5 on": counted["recall from confidence 0.5 on"],
            f"precision of class {label} from confidence 0.9 on": counted["precision from confidence 0.9 on"],
            f"average precision of class {label}": counted["average precision"],
        }
        wrong = sum(abs(int((a["scores"] > 0.5).sum()) - len(b["boxes"])) for a, b in zip(ours, theirs, strict=True))
        found[f"right number of class {label} from confidence 0.5 on"] = -wrong / sum(len(b["boxes"]) for b in theirs)
        for name, value in found.items():
            assert float(row[names.index(name)]) == pytest.approx(value, abs=1e-5), name


def test_classes_have_columns_where_both_sides_tell_them_and_they_are_few() -> None:
    outputs, targets = scenes(6, 0, labels=True)
    assert PROFILE.for_data(outputs, scenes(6, 0)[1]) == PROFILE == PROFILE.for_data(scenes(6, 0)[0], targets)
    many = [one | {"labels": one["labels"] + 80} for one in targets]
    one_kind = [one | {"labels": 0 * one["labels"]} for one in targets]
    assert PROFILE.for_data(outputs, many) == PROFILE == PROFILE.for_data(outputs, one_kind)
    absent = [one | {"labels": one["labels"] + 1} for one in targets]  # none is of class 0, as where that is background
    profile = PROFILE.for_data(outputs, absent)
    assert profile.classes == 3 and bool(read([outputs], absent, profile).isfinite().all())


def test_an_object_is_found_once_and_nothing_is_no_error() -> None:
    square = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    twice = {"boxes": square.repeat(2, 1), "scores": torch.tensor([0.8, 0.6])}
    found = read([[twice]], [{"boxes": square}])[0]
    assert float(found[NAMES.index("recall from confidence 0.5 on")]) == 1.0
    assert float(found[NAMES.index("precision from confidence 0.5 on")]) == pytest.approx(0.5)
    none = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
    for outputs, target in ((none, {"boxes": square}), (twice, {"boxes": torch.zeros(0, 4)}), (none, none)):
        rated = read([[outputs]], [target])
        assert bool(rated.isfinite().all()) and float(rated[0, 0]) == 0.0


def test_of_very_many_detections_the_surest_are_read() -> None:
    source = torch.Generator().manual_seed(0)
    square = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    many = {"boxes": torch.cat([100 + boxes(500, source), square]), "scores": torch.linspace(0, 0.9, 501)}
    stacked = PROFILE.of_outputs([[many]], [{"boxes": square}])
    assert stacked.shape == (1, 1, 100, 3) and float(stacked[0, 0, :, 1].sum()) == 1.0


@pytest.mark.parametrize("labels", [False, True])
def test_slopes_lead_to_more_of_each_column(labels: bool) -> None:
    records, targets = scenes(40, 7, labels=labels)
    profile = PROFILE.for_data(records, targets)
    assert labels == (profile.classes == 2)
    for number, (name, family) in enumerate(profile.columns):
        scores = [record["scores"].clone().clamp(0.02, 0.98).requires_grad_() for record in records]
        phi = [record | {"scores": one} for record, one in zip(records, scores, strict=True)]
        before = read([phi], targets, profile)[0, number]
        slopes = torch.autograd.grad(before, scores)
        assert any(bool((slope != 0).any()) for slope in slopes), name
        step = 0.02 if family == "class number" else 0.1
        with torch.no_grad():
            moved = [(one + step * slope.sign()).clamp(0, 1) for one, slope in zip(scores, slopes, strict=True)]
        after = read([[record | {"scores": one} for record, one in zip(records, moved, strict=True)]], targets, profile)
        assert float(after[0, number]) >= float(before.detach()) - 1e-6, name


def test_what_is_no_record_of_boxes_is_left_alone() -> None:
    records, targets = scenes(3, 0)
    assert PROFILE.fits(records, targets)
    assert not PROFILE.fits(records, torch.zeros(3))
    assert not PROFILE.fits(torch.zeros(3, 2), targets)
    assert not PROFILE.fits([{"boxes": torch.zeros(2, 4)}], targets)
    assert not PROFILE.fits(records, [{"boxes": torch.zeros(4)}])


# --- a search that reads it -------------------------------------------------------------------------------------------

SIDE = 6
CORNERS = 4.0 * torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).flip(1)
CELLS = torch.cat([CORNERS, CORNERS + 4], dim=1)


class Grid(nn.Module):
    """Looks into each cell of a picture; far too shy."""

    def __init__(self, width: int = 1, bias: float = -1.5, least: float = 0.0) -> None:
        super().__init__()
        self.least = least
        self.look = nn.Sequential(nn.Conv2d(1, width, 1), nn.Conv2d(width, 1, 1))
        with torch.no_grad():
            for layer in self.look:
                layer.weight.fill_(2.0 / width)  # type: ignore[operator,union-attr]
                layer.bias.fill_(bias)  # type: ignore[operator,union-attr]

    def forward(self, images: Tensor) -> Any:
        each = [(one, one >= self.least) for one in self.look(images).flatten(1).sigmoid()]
        return [{"boxes": CELLS[kept], "scores": one[kept]} for one, kept in each]


def pictures(count: int, seed: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    source = torch.Generator().manual_seed(seed)
    there = torch.rand(count, SIDE * SIDE, generator=source) < 0.1
    images = there.float() + 0.4 * torch.randn(there.shape, generator=source)
    return images.view(count, 1, SIDE, SIDE), [{"boxes": CELLS[row]} for row in there]


def f1(records: Any, targets: Any) -> float:
    hits = told = 0
    for record, target in zip(records, targets, strict=True):
        kept = record["boxes"][record["scores"] > 0.5]
        hits += int((torch.cdist(kept, target["boxes"]) < 1e-3).sum())
        told += len(kept) + len(target["boxes"])
    return 2 * hits / max(told, 1)


def tuned(model: nn.Module, **settings: Any) -> metricopt.Outcome:
    def loss(records: Any, targets: Any) -> Tensor:
        pairs = zip(records, targets, strict=True)
        wanted = [(torch.cdist(one["boxes"], other["boxes"]) < 1e-3).any(dim=1).float() for one, other in pairs]
        return nn.functional.binary_cross_entropy(torch.cat([one["scores"] for one in records]), torch.cat(wanted))

    given = {"train": pictures(60, 0), "val": pictures(150, 1), "budget": 62} | settings
    return metricopt.optimize(
        model, metric=f1, higher_is_better=True, bounds=(0, 1), loss=loss, outputs="boxes", quiet=True, **given
    )


def test_a_search_reads_detections_and_what_it_learned_travels() -> None:
    outcome = tuned(Grid())
    assert outcome.accepted and outcome.after > outcome.before + 0.1
    assert outcome.value is not None and list(outcome.value.columns) == NAMES
    assert any("confidence" in part.name for part in outcome.reading.parts)  # type: ignore[union-attr]
    images, targets = pictures(40, 2)
    slope = torch.zeros(1, requires_grad=True)
    with torch.enable_grad():
        records = [{"boxes": CELLS, "scores": (one - 3 + slope).sigmoid()} for one in images.flatten(1)]
        outcome.learned_loss()(records, targets).backward()
    assert float(slope.grad) < 0  # type: ignore[arg-type]  # surer is better
    other = tuned(Grid(width=3, bias=-0.7), value=outcome.value, budget=42, val=pictures(150, 3))
    assert other.after > other.before + 0.1


def test_a_detector_may_find_more_with_one_phi_than_with_another() -> None:
    outcome = tuned(Grid(least=0.05))
    assert outcome.accepted and outcome.after > outcome.before + 0.1


def test_slices_of_detections_are_refused() -> None:
    with pytest.raises(ConfigError, match="outputs of the kind 'boxes' cannot look into slices"):
        tuned(Grid(), slices=Slices(names=["a", "b"], of=lambda x: x[:, 0, 0, 0] > 0))
