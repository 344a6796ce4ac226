"""What a problem of the arena is made of: a trained model, three sets of rows, and what a metric knows beside them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._random import generator
from ...adapters import Film, OutputShift
from ...tasks.images import cifar10, mnist, normalised, published_resnet
from ...tasks.tables import FILES, Array, TabularFile, read_csv
from .bases import Recipe, conv_net, fitted, table_net, training_loss


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows `(x, y)`; `about` `(N, ...)` is known to the metric alone: costs, groups."""

    x: Tensor
    y: Tensor
    about: Tensor


@dataclass(frozen=True, kw_only=True)
class Arena:
    """A trained model and its rows. Methods see `train` and `search`; `test` is for the one who judges."""

    model: nn.Module = field(repr=False)
    train: Part = field(repr=False)
    search: Part = field(repr=False)
    test: Part = field(repr=False)
    outputs: str
    adapters: Any = "auto"


# --- tables --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Features `(N, F)`, targets `(N,)`, and what is known of each row beside them."""

    x: Tensor
    y: Tensor
    about: Tensor | None = None


def table(
    load: Callable[[], Columns],
    *,
    key: str,
    outputs: str,
    seed: int,
    epochs: int = 30,
    most: int = 20_000,
    tail: float | None = None,
    balanced: bool = False,
) -> Arena:
    """Half of the rows for training, a fifth to search on, the rest to judge.

    Args:
        load: the rows.
        key: names the data in the cache of trained models.
        outputs: kind of the outputs.
        seed: of the split and the training.
        epochs: of the training.
        most: rows that are used.
        tail: the rarest training class is this much rarer than the commonest; None leaves the classes as they are.
        balanced: train on as many rows of each class.
    """
    rows = load()
    source = generator("arena split", seed)
    order = torch.randperm(len(rows.y), generator=source)[:most]
    cut, end = len(order) // 2, len(order) * 7 // 10
    about = torch.zeros(len(rows.y), 1) if rows.about is None else rows.about
    parts = [order[:cut], order[cut:end], order[end:]]
    if tail is not None:
        parts[0] = thinned(parts[0], rows.y, tail)
    if balanced:
        parts[0] = evened(parts[0], rows.y, source)
    mean, deviation = rows.x[parts[0]].mean(dim=0), rows.x[parts[0]].std(dim=0)
    x = ((rows.x - mean) / deviation.clamp_min(1e-6)).nan_to_num(0.0).clamp(-8, 8)
    y = rows.y
    made = [Part(x=x[i], y=y[i], about=about[i]) for i in parts]
    classes = 1 if outputs in ("binary", "values") else int(y.max()) + 1
    net = table_net(x.shape[1], classes, seed=seed)
    targets, centre, unit = made[0].y, 0.0, 1.0
    if outputs == "values":  # trained on standardised targets, which the last layer then turns back into units
        centre, unit = float(targets.mean()), float(targets.std())
        targets = (targets - centre) / unit
    recipe = Recipe(epochs=epochs)
    fitted(net, made[0].x, targets, recipe=recipe, loss=training_loss(outputs), key=key, seed=seed)
    last = net[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(unit)
        last.bias.mul_(unit).add_(centre)
    return Arena(model=net, train=made[0], search=made[1], test=made[2], outputs=outputs)


def binary(name: str) -> Columns:
    """A binary table of `tasks.tables`."""
    x, y = FILES[name].load()
    return Columns(x=torch.from_numpy(x).float(), y=torch.from_numpy(y).float())


def wine_grades() -> Columns:
    """Grades 3 to 8 of red wines as classes 0 to 3: up to 4, 5, 6, better."""
    x, y = replace(FILES["red_wine"], read=partial(read_csv, positive=float)).load()
    return Columns(x=torch.from_numpy(x).float(), y=(torch.from_numpy(y).clamp(4, 7) - 4).long())


def of_sklearn(name: str) -> Columns:
    """A data set that comes with scikit-learn: digits, wine, breast_cancer, diabetes."""
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    labels = torch.from_numpy(np.asarray(y))
    return Columns(x=torch.from_numpy(x).float(), y=labels.float() if name == "diabetes" else labels.long())


def income() -> Columns:
    """A9A, all 48,842 rows; the hidden group of a row is its sex and race (indicators 71 to 77 of Adult's 123)."""
    from ...tasks import load_dataset

    found = load_dataset("a9a")
    group = found.features[:, 71].long() + 2 * (found.features[:, 66] > 0).long()
    return Columns(x=found.features, y=found.targets, about=group[:, None].float())


def cover(classes: bool, *, rows: int = 60_000) -> Columns:
    """CoverType: lodgepole pine against the rest, or all seven types."""
    from ...tasks.datasets import COVTYPE

    path = COVTYPE.files[0]
    numbers = np.array([line.split(b",") for line in path.read().split(b"\n")[: rows * 2] if line], dtype=np.float32)
    chosen = torch.randperm(len(numbers), generator=generator("covertype rows"))[:rows]
    table_ = torch.from_numpy(numbers)[chosen]
    kinds = table_[:, -1].long() - 1
    return Columns(x=table_[:, :-1], y=kinds if classes else (kinds == 1).float())


def houses() -> Columns:
    """Prices of Californian districts in thousands of dollars."""
    x, y = TabularFile(
        name="california_housing.csv",
        sha256="2364609dc48bec7df3ba9dbb7041478e704ecddcee70ef1827ec3fc49d22c0cc",
        read=_houses,
    ).load()
    return Columns(x=torch.from_numpy(x).float(), y=torch.from_numpy(y).float())


def _houses(content: bytes) -> tuple[Array, Array]:
    import pandas as pd

    frame = pd.get_dummies(pd.read_csv(io.BytesIO(content)), columns=["ocean_proximity"], dtype=float)
    prices = frame.pop("median_house_value").to_numpy() / 1000
    return frame.to_numpy(dtype=np.float64), prices


def drifting(*, rows: int = 6000, seed: int = 0) -> Columns:
    """Made rows whose labels are harder in one part of the space, which the metric alone calls a group."""
    source = generator("drifting", seed)
    x = torch.randn(rows, 8, generator=source)
    group = (x[:, 0] + x[:, 1] > 1.6).float()
    score = x[:, 2] + x[:, 3] * x[:, 4] - 0.4 - group * (1.6 + x[:, 2])
    y = (torch.rand(rows, generator=source) < torch.sigmoid(2.5 * score)).float()
    return Columns(x=x, y=y, about=group[:, None])


def thinned(rows: Tensor, y: Tensor, ratio: float) -> Tensor:
    """`rows` without most of the later classes: class k keeps a share ratio^(-k / (K - 1)) of the commonest."""
    labels = y[rows].long()
    classes = int(labels.max()) + 1
    most = int(torch.bincount(labels).min())
    kept = [rows[labels == k][: max(int(most * ratio ** (-k / (classes - 1))), min(8, most))] for k in range(classes)]
    return torch.cat(kept)


def evened(rows: Tensor, y: Tensor, source: torch.Generator) -> Tensor:
    """As many rows of each class as the rarest has."""
    labels = y[rows].long()
    few = int(torch.bincount(labels).min())
    kept = [rows[labels == k][:few] for k in range(int(labels.max()) + 1)]
    together = torch.cat(kept)
    return together[torch.randperm(len(together), generator=source)]


# --- images --------------------------------------------------------------------------------------------------------

#: Gains and shifts of every channel of the last stage, and a shift of the scores.
_LAST = [Film(), OutputShift()]


def long_tail(
    *, seed: int, last: int = 128, epochs: int = 16, tail: float = 50.0, noise: float = 0.0, search: int = 2500
) -> Arena:
    """CIFAR-10 whose training images thin out, or bear wrong labels, on a net of four convolutions.

    Args:
        seed: of everything.
        last: channels of the last convolution.
        epochs: of the training.
        tail: how much rarer the last class is than the first; 1 for none.
        noise: share of training labels that are replaced by the next class.
        search: images to search on.
    """
    (x, y), (tx, ty) = cifar10()
    source = generator("long tail", seed)
    order = torch.randperm(len(y), generator=source)
    pool, val = order[:45_000], order[45_000 : 45_000 + search]
    chosen = thinned(pool, y, tail) if tail > 1 else pool[:15_000]
    labels = y.clone()
    if noise:
        wrong = torch.rand(len(y), generator=source) < noise
        labels[wrong & (y % 2 == 1)] = y[wrong & (y % 2 == 1)] // 2  # odd classes alone: an uneven noise
    net = conv_net(3, 10, width=32, last=last, seed=seed)
    train = Part(x=normalised(x[chosen]), y=labels[chosen], about=torch.zeros(len(chosen), 1))
    key = f"long tail {last} {tail} {noise}"
    recipe = Recipe(epochs=epochs, rate=0.1, images=True, sgd=True)
    fitted(net, train.x, train.y, recipe=recipe, loss=training_loss("multiclass"), key=key, seed=seed)
    return Arena(
        model=net,
        train=train,
        search=Part(x=normalised(x[val]), y=y[val], about=torch.zeros(len(val), 1)),
        test=Part(x=normalised(tx), y=ty, about=torch.zeros(len(ty), 1)),
        outputs="multiclass",
        adapters=(_LAST, {"film": "12"}),
    )


def thin_digits(*, seed: int, last: int = 48, epochs: int = 8, tail: float = 50.0) -> Arena:
    """MNIST whose training digits thin out from 600 to 12, on a small conv net."""
    images, labels = mnist()
    x = images.float() / 127.5 - 1
    source = generator("thin digits", seed)
    order = torch.randperm(len(labels), generator=source)
    pool, val, test = order[:40_000], order[40_000:42_000], order[42_000:52_000]
    counts = [int(600 * tail ** (-k / 9)) for k in range(10)]
    chosen = torch.cat([pool[labels[pool] == k][:n] for k, n in enumerate(counts)])
    net = conv_net(1, 10, width=12, last=last, seed=seed)
    recipe = Recipe(epochs=epochs, batch=64, rate=5e-3)
    fitted(
        net,
        x[chosen],
        labels[chosen],
        recipe=recipe,
        loss=training_loss("multiclass"),
        key=f"thin digits {last} {tail}" if last != 48 else f"thin digits {tail}",
        seed=seed,
    )
    parts = [Part(x=x[i], y=labels[i], about=torch.zeros(len(i), 1)) for i in (chosen, val, test)]
    return Arena(
        model=net,
        train=parts[0],
        search=parts[1],
        test=parts[2],
        outputs="multiclass",
        adapters=(_LAST, {"film": "12"}),
    )


def last_block(depth: int) -> str:
    """Which modules of a ResNet for CIFAR-10 are in its last block.

    >>> last_block(20)
    'layer3.2.*'
    """
    return f"layer3.{(depth - 2) // 6 - 1}.*"


def published_net(*, depth: int, seed: int, corrupt: bool = False) -> Arena:
    """A published ResNet on CIFAR-10: its own training images, and the test images to search on and to judge.

    Args:
        depth: 20, 32, 44 or 56.
        seed: which test images are searched on.
        corrupt: test images lose contrast and get noise, as a camera in the dark gives them.
    """
    (x, y), (tx, ty) = cifar10()
    source = generator("published net", seed)
    chosen = torch.randperm(len(y), generator=source)[:8000]
    order = torch.randperm(len(ty), generator=source)
    seen = normalised(tx)
    if corrupt:
        seen = 0.75 * seen + 0.12 * torch.randn(seen.shape, generator=source)
    val, test = order[:2500], order[2500:7500]
    return Arena(
        model=published_resnet(depth),
        train=Part(x=normalised(x[chosen]), y=y[chosen], about=torch.zeros(len(chosen), 1)),
        search=Part(x=seen[val], y=ty[val], about=torch.zeros(len(val), 1)),
        test=Part(x=seen[test], y=ty[test], about=torch.zeros(len(test), 1)),
        outputs="multiclass",
        adapters=(_LAST, {"film": last_block(depth)}),
    )
