"""What problems of the arena are judged by: functions of raw scores, targets, and what is known of a row besides."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: `(scores, targets, about) -> number`, the larger the better.
Judge = Callable[[Tensor, Tensor, Tensor], float]


def _counts(scores: Tensor, y: Tensor) -> tuple[float, float, float, float]:
    predicted, truth = scores.reshape(-1) > 0, y.reshape(-1) > 0
    return tuple(float((a & b).sum()) for a in (predicted, ~predicted) for b in (truth, ~truth))  # type: ignore[return-value]


def f2(scores: Tensor, y: Tensor, about: Tensor) -> float:
    tp, fp, fn, _ = _counts(scores, y)
    return 5 * tp / max(5 * tp + 4 * fn + fp, 1)


def mcc(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """Moved to [0, 1]."""
    tp, fp, fn, tn = _counts(scores, y)
    norm = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    return 0.5 + 0.5 * ((tp * tn - fp * fn) / norm if norm else 0.0)


def g_mean(scores: Tensor, y: Tensor, about: Tensor) -> float:
    tp, fp, fn, tn = _counts(scores, y)
    return float((tp / max(tp + fn, 1) * tn / max(tn + fp, 1)) ** 0.5)


def average_precision(scores: Tensor, y: Tensor, about: Tensor) -> float:
    found = (y.reshape(-1) > 0)[scores.reshape(-1).argsort(descending=True, stable=True)].double()
    precision = found.cumsum(0) / torch.arange(1, len(found) + 1)
    return float((precision * found).sum() / found.sum().clamp_min(1))


def cost(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """A miss costs 6, a false alarm 1; as a share of the dearer of the two constant answers' costs, from 1 down."""
    _, fp, fn, _ = _counts(scores, y)
    worst = max(6 * float((y > 0).sum()), float((y <= 0).sum()))
    return 1 - min((6 * fn + fp) / worst, 1.0)


def profit(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """Whoever has a score above 0 is called, the highest first, until a tenth of the rows is: a hit pays 8, a call
    costs 1; as a share of what perfect knowledge would earn, losses are 0."""
    flat = scores.reshape(-1)
    capacity = max(len(flat) // 10, 1)
    called = flat.argsort(descending=True, stable=True)[:capacity]
    called = called[flat[called] > 0]
    hits = float((y.reshape(-1)[called] > 0).sum())
    most = 7 * min(float((y > 0).sum()), capacity)
    return max(min((8 * hits - len(called)) / most, 1.0), 0.0) if most else 0.0


def queue(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """A simulator. 25 cases arrive a day; those with a score above 0 wait in a queue by score, 5 are seen a day.

    A true case seen on its day is worth 1, later half as much each day; each case that is seen costs .1. As a share
    of all true cases.
    """
    flat, truth = scores.reshape(-1).tolist(), (y.reshape(-1) > 0).tolist()
    waiting: list[tuple[float, int, int]] = []
    worth = 0.0
    for day, begin in enumerate(range(0, len(flat), 25)):
        waiting += [(flat[i], i, day) for i in range(begin, min(begin + 25, len(flat))) if flat[i] > 0]
        waiting.sort(reverse=True)
        for _, i, arrived in waiting[:5]:
            worth += (math.pow(0.5, day - arrived) if truth[i] else 0.0) - 0.1
        waiting = [one for one in waiting[5:] if day - one[2] < 4]
    return float(min(max(worth / max(sum(truth), 1), 0.0), 1.0))


def worst_group(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """Balanced accuracy in the group where it is lowest; groups of fewer than 20 rows do not count."""
    found = []
    right = (scores.reshape(-1) > 0) == (y.reshape(-1) > 0)
    for group in about[:, 0].unique():
        own = about[:, 0] == group
        each = [right[own & (y.reshape(-1) == k)].float() for k in (0, 1)]
        if all(len(one) >= 10 for one in each):
            found.append(sum(float(one.mean()) for one in each) / 2)
    return min(found, default=0.0)


# --- several classes -----------------------------------------------------------------------------------------------


def _recalls(scores: Tensor, y: Tensor) -> Tensor:
    right = scores.argmax(dim=1) == y
    return torch.stack([right[y == k].double().mean() for k in y.unique()])


def multi_g_mean(scores: Tensor, y: Tensor, about: Tensor) -> float:
    return float(_recalls(scores, y).clamp_min(1e-3).log().mean().exp())


def worst_recall(scores: Tensor, y: Tensor, about: Tensor) -> float:
    return float(_recalls(scores, y).min())


def worst_three(scores: Tensor, y: Tensor, about: Tensor) -> float:
    return float(_recalls(scores, y).sort().values[:3].mean())


def accuracy(scores: Tensor, y: Tensor, about: Tensor) -> float:
    return float((scores.argmax(dim=1) == y).double().mean())


def macro_f1(scores: Tensor, y: Tensor, about: Tensor) -> float:
    predicted, found = scores.argmax(dim=1), []
    for k in y.unique():
        tp = float(((predicted == k) & (y == k)).sum())
        found.append(2 * tp / max(float((predicted == k).sum() + (y == k).sum()), 1))
    return sum(found) / len(found)


def quadratic_kappa(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """Moved to [0, 1]."""
    predicted, classes = scores.argmax(dim=1), scores.shape[1]
    matrix = torch.zeros(classes, classes, dtype=torch.float64)
    matrix.index_put_((y, predicted), torch.ones(len(y), dtype=torch.float64), accumulate=True)
    matrix = matrix / matrix.sum()
    grade = torch.arange(classes, dtype=torch.float64)
    apart = (grade[:, None] - grade[None, :]).square()
    expected = matrix.sum(1)[:, None] * matrix.sum(0)[None, :]
    return 1 - float((apart * matrix).sum() / (apart * expected).sum().clamp_min(1e-9)) / 2


def macro_precision(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """Mean of the average precisions of all classes."""
    probabilities = scores.softmax(dim=1)
    found = [average_precision(probabilities[:, k], (y == k).long(), about) for k in y.unique().tolist()]
    return sum(found) / len(found)


def class_cost(scores: Tensor, y: Tensor, about: Tensor) -> float:
    """CIFAR-10: to call an animal (classes 2 to 7) a vehicle costs 8, any other mistake 1."""
    predicted = scores.argmax(dim=1)
    animal = (y >= 2) & (y <= 7)
    vehicle = (predicted < 2) | (predicted > 7)
    price = torch.where(animal & vehicle, 8.0, 1.0) * (predicted != y)
    return 1 - float(price.mean()) / 8


# --- values --------------------------------------------------------------------------------------------------------


def within_tenth(outputs: Tensor, y: Tensor, about: Tensor) -> float:
    """Share of values that are off by at most 10 %."""
    return float(((outputs.reshape(-1) - y).abs() <= 0.1 * y.abs()).double().mean())


def stock(outputs: Tensor, y: Tensor, about: Tensor) -> float:
    """Too little costs four times as much as too much; 1 less the mean cost in spreads of the targets."""
    error = (outputs.reshape(-1) - y).double() / y.double().std()
    price = torch.where(error < 0, -4 * error, error)
    return 1 - min(float(price.clamp_max(8).mean()) / 4, 1.0)
