"""Detections on real images: blood cells of three kinds, under the microscope (BCCD, 364 images, 4,888 boxes).

    python -m studies.blood              an hour on one core; rows in studies/results/blood.jsonl
    python -m studies.blood --summary    what the rows say

A small detector of centres (CenterNet) is trained on 164 images; gains and shifts of its head and of the norm before
it (142 numbers of phi) are searched by 100 others and few calls, and judged by 100 more. Images are divided anew for
each seed. What lies in front of the last layers runs once: the model that is searched takes its features.
Needs Pillow, and BCCD.tar, made of https://github.com/Shenggan/BCCD_Dataset, in the data folder, below `bccd`.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import metricopt
from metricopt.profiles import BoxesProfile
from metricopt.tasks.images import found_below
from studies.cells import compared, kept, measured

ROWS = Path(__file__).parent / "results" / "blood.jsonl"
KINDS = ("RBC", "WBC", "Platelets")
#: Images are read at half their size; a cell of the detector has so many pixels a side.
SIZE, CELL, MOST = (240, 320), 8, 60
SEEDS, CALLS = range(3), 62
#: MetricOpt that reads detections of each kind, all kinds alike, or phi; and a search without a value function.
METHODS = {
    "metricopt": {"method": "metricopt"},
    "metricopt, kinds alike": {"method": "metricopt", "profile": BoxesProfile()},
    "metricopt_phi": {"method": "metricopt_phi"},
    "cma_es": {"method": "cma_es"},
}

Records: TypeAlias = list[dict[str, Tensor]]


@lru_cache(maxsize=1)
def images() -> tuple[Tensor, Records]:
    """All images `(N, 3, 240, 320)` and their boxes. Boxes without an inside, of which there are two, are left out."""
    from PIL import Image  # nothing else here needs it

    pixels, records = [], []
    with tarfile.open(found_below("bccd", "put BCCD.tar there") / "BCCD.tar") as tar:
        held = {member.name: member for member in tar.getmembers()}
        for name in sorted(one for one in held if one.endswith(".xml")):
            root = ElementTree.fromstring(tar.extractfile(held[name]).read())  # type: ignore[union-attr]
            picture = held[name.replace("Annotations", "JPEGImages").replace(".xml", ".jpg")]
            with Image.open(io.BytesIO(tar.extractfile(picture).read())) as image:  # type: ignore[union-attr]
                pixels.append(np.asarray(image.resize(SIZE[::-1], Image.Resampling.BILINEAR)))
            boxes, labels = [], []
            for one in root.iter("object"):
                corners = [float(one.findtext(f"bndbox/{side}") or 0) / 2 for side in ("xmin", "ymin", "xmax", "ymax")]
                if corners[2] > corners[0] and corners[3] > corners[1]:
                    boxes.append(corners)
                    labels.append(KINDS.index(one.findtext("name") or ""))
            records.append({"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels)})
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255 - 0.7, records


def _layer(width: int, out: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(width, out, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


def stem() -> nn.Sequential:
    """Features `(N, 64, 30, 40)` of images."""
    halves = [_layer(width, out, stride=2) for width, out in ((3, 16), (16, 32), (32, 64))]
    last = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    return nn.Sequential(*halves, _layer(64, 64, dilation=2), _layer(64, 64, dilation=4), last)


class Detector(nn.Module):
    """Says of each place how sure it is of the centre of a cell of each kind, and how far the sides are."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(64), nn.Conv2d(64, len(KINDS) + 4, 1)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([-4.0] * len(KINDS) + [1.0] * 4))  # centres are rare

    def maps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of centres `(N, 3, H, W)`, and boxes `(N, 4, H, W)` in pixels."""
        told = self.head(self.norm(features).relu())
        y, x = ((torch.arange(size, device=told.device) + 0.5) * CELL for size in told.shape[2:])
        centre = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))])
        sides = CELL * told[:, len(KINDS) :].clamp(max=4.0).exp()
        return told[:, : len(KINDS)], torch.cat([centre - sides[:, :2], centre + sides[:, 2:]], dim=1)

    def forward(self, features: Tensor) -> Records:
        logits, boxes = self.maps(features)
        peaks = logits == F.max_pool2d(logits, 3, stride=1, padding=1)
        sure = torch.where(peaks, logits, -torch.inf).flatten(1).topk(MOST, dim=1)
        cell = sure.indices % boxes[0, 0].numel()
        corners = boxes.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)).transpose(1, 2)
        kinds = sure.indices // boxes[0, 0].numel()
        return [
            {"boxes": box, "scores": score.sigmoid(), "labels": kind}
            for box, score, kind in zip(corners, sure.values, kinds, strict=True)
        ]


def loss(model: nn.Module, features: Tensor, truth: Records) -> Tensor:
    """As in CenterNet: penalty-reduced focal loss of centres, L1 of the corners as a share of the sides."""
    logits, boxes = model.maps(features)  # type: ignore[operator]
    heat = torch.zeros_like(logits)
    height, width = logits.shape[2:]
    y, x = torch.arange(height)[:, None], torch.arange(width)
    far = []
    for number, record in enumerate(truth):
        middle = (record["boxes"][:, :2] + record["boxes"][:, 2:]) / 2 / CELL
        for (cx, cy), box, kind in zip(middle.long().tolist(), record["boxes"], record["labels"].tolist(), strict=True):
            cx, cy = min(cx, width - 1), min(cy, height - 1)
            spread = max(float((box[2:] - box[:2]).min()) / CELL / 6, 0.5)
            heat[number, kind] = torch.maximum(
                heat[number, kind], torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * spread**2))
            )
            found = boxes[number, :, cy, cx]
            wanted = torch.stack([(box[2] - box[0]), (box[3] - box[1])]).clamp_min(1)
            far.append(((found - box).abs() / wanted.repeat(2)).mean())
    sure = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    there = heat == 1
    focal = torch.where(there, (1 - sure) ** 2 * sure.log(), (1 - heat) ** 4 * sure**2 * (1 - sure).log())
    return -focal.sum() / there.sum().clamp_min(1) + 2 * torch.stack(far).mean()


def flipped(images: Tensor, truth: Records) -> tuple[Tensor, Records]:
    """Left to right and top to bottom, each in half of the cases; under a microscope no side is up."""
    for axis, size in enumerate(SIZE):
        if torch.rand(()) < 0.5:
            images, near, far = images.flip(axis + 2), 1 - axis, 3 - axis
            turned = []
            for one in truth:
                boxes = one["boxes"].clone()
                boxes[:, near], boxes[:, far] = size - one["boxes"][:, far], size - one["boxes"][:, near]
                turned.append(one | {"boxes": boxes})
            truth = turned
    return images, truth


# --- what a laboratory is judged by ----------------------------------------------------------------------------------


def told(record: dict[str, Tensor], kind: int) -> Tensor:
    """Boxes of a kind that count as found, the surest first."""
    mine = (record["labels"] == kind) & (record["scores"] > 0.5)
    return record["boxes"][mine][record["scores"][mine].argsort(descending=True)]


def hits(found: Tensor, there: Tensor) -> int:
    """How many of `there` are found, each by one box that overlaps it by half, the surest first."""
    overlap, count = _overlap(found, there), 0
    for row in range(len(found)):
        if overlap.shape[1] and float(overlap[row].max()) >= 0.5:
            count += 1
            overlap[:, int(overlap[row].argmax())] = 0
    return count


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    corner, end = torch.maximum(one[:, None, :2], other[:, :2]), torch.minimum(one[:, None, 2:], other[:, 2:])
    shared = (end - corner).clamp_min(0).prod(dim=2)
    sizes = [(part[:, 2:] - part[:, :2]).prod(dim=1) for part in (one, other)]
    return shared / (sizes[0][:, None] + sizes[1] - shared).clamp_min(1e-9)


def counted(records: Records, truth: Records, kind: int) -> tuple[int, int, int]:
    """Of a kind: how many are found, how many are told of, how many are there."""
    pairs = [
        (told(record, kind), wanted["boxes"][wanted["labels"] == kind])
        for record, wanted in zip(records, truth, strict=True)
    ]
    return sum(hits(*pair) for pair in pairs), sum(len(one) for one, _ in pairs), sum(len(one) for _, one in pairs)


def macro_f1(records: Records, truth: Records) -> float:
    """F1 of each kind of cell at confidence .5, their mean."""
    counts = [counted(records, truth, kind) for kind in range(len(KINDS))]
    return sum(2 * right / max(claimed + there, 1) for right, claimed, there in counts) / len(counts)


def worst_recall(records: Records, truth: Records) -> float:
    """Recall of the kind that is found worst, less a tenth of a point for each false alarm an object."""
    counts = [counted(records, truth, kind) for kind in range(len(KINDS))]
    alarms, objects = sum(claimed - right for right, claimed, _ in counts), sum(there for _, _, there in counts)
    return min(right / max(there, 1) for right, _, there in counts) - 0.1 * alarms / max(objects, 1)


def count_error(records: Records, truth: Records) -> float:
    """Of a blood count: by which share of what is there the number of cells of a kind is wrong, at most 1, mean."""
    wrong = []
    for kind in range(len(KINDS)):
        pairs = [
            (int(((one["labels"] == kind) & (one["scores"] > 0.5)).sum()), int((wanted["labels"] == kind).sum()))
            for one, wanted in zip(records, truth, strict=True)
        ]
        wrong.append(min(sum(abs(a - b) for a, b in pairs) / max(sum(b for _, b in pairs), 1), 1.0))
    return -sum(wrong) / len(wrong)


JUDGES: dict[str, Callable[[Records, Records], float]] = {
    "macro_f1": macro_f1,
    "worst_recall": worst_recall,
    "count_error": count_error,
}


@lru_cache(maxsize=1)
def problem(seed: int) -> tuple[nn.Module, list[tuple[Tensor, Records]]]:
    """A trained detector, and features with their boxes: to train on, to search on and to judge by."""
    pixels, records = images()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        front, model = stem(), Detector()
        parts = torch.randperm(len(pixels)).split([164, 100, 100])
        rows, steps = parts[0], 25 * len(parts[0]) // 8
        optimizer = torch.optim.Adam([*front.parameters(), *model.parameters()])
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for _ in range(steps):
            some = rows[torch.randint(len(rows), (8,))]
            x, y = flipped(pixels[some], [records[i] for i in some.tolist()])
            optimizer.zero_grad()
            loss(model, front(x), y).backward()
            optimizer.step()
            schedule.step()
    front.eval()
    with torch.no_grad():
        seen = torch.cat([front(part) for part in pixels.split(52)])
    return model.eval(), [(seen[rows], [records[i] for i in rows.tolist()]) for rows in parts]


def perform(*, metric: str, method: str, seed: int) -> dict[str, Any]:
    """The metric on fresh images before and after a search without an acceptance test."""
    model, (train, search, test) = problem(seed)
    judge = JUDGES[metric]
    outcome = metricopt.optimize(
        model,
        metric=judge,
        higher_is_better=True,
        bounds=(-1.0, 1.0),
        loss=metricopt.TrainingLoss(loss),
        train=train,
        val=search,
        acceptance=None,
        outputs="boxes",
        adapters=metricopt.Film(),
        where=("head", "norm"),
        budget=CALLS,
        batch_size=16,
        seed=seed,
        quiet=True,
        **METHODS[method],
    )
    with torch.no_grad():
        before, after = (judge(one(test[0]), test[1]) for one in (model, outcome.model))
    return {"start": before, "gain": after - before, "dim": len(outcome.phi), "seconds": outcome.seconds}


def summary(rows: list[dict[str, Any]]) -> str:
    return compared(rows, metrics=list(JUDGES), methods=list(METHODS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"metric": metric, "method": method, "seed": seed} for seed in SEEDS for metric in JUDGES for method in METHODS
    ]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
