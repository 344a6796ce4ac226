"""Table 3 of MetricOpt: a pre-trained MLP on tabular rows, and the rows that judge it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of
from .._random import generator
from .datasets import DATASETS, Dataset, load_dataset
from .mlp import mlp
from .pretrain import SAMPLERS, Pretraining, pretrain
from .split import split


#: Which adapters the task is made for: the paper's dynamic biases, or those with a shift of the score beside them.
ADAPTERS = ("shifted", "paper")


class Rows(NamedTuple):
    """Features (N, F) and targets (N,), float32."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What a task hands out: a trained model in evaluation mode and three sets of rows.

    Whoever builds a `Problem` gives it `train` and `val`. `test` is for the one who judges.
    """

    name: str
    seed: int
    model: nn.Sequential
    train: Rows
    val: Rows
    test: Rows = field(repr=False)
    settings: dict[str, str | int | float]

    def describe(self) -> dict[str, str | int | float]:
        """Flat columns for a row of results: the settings of the task, the seed, the sizes."""
        sizes = {f"n_{part}": len(getattr(self, part).y) for part in ("train", "val", "test")}
        return {"task": self.name, "seed": self.seed, **self.settings, **sizes}


@dataclass(frozen=True, kw_only=True)
class TabularTask:
    """A tabular binary task: which data, which sampler, which adapters.

    Args:
        data: a name in `DATASETS`.
        sampler: "balanced" mini-batches as in the paper, or "plain".
        adapters: "paper" for the paper's input bias alone, "shifted" for that and a shift of the score.
        dim: length of phi.
        dropout: of the MLP.
        epochs: of the pre-training.

    >>> task = TabularTask(data="synthetic", epochs=1)
    >>> materials = task.build(0)
    >>> materials.model(materials.val.x).shape
    torch.Size([400, 1])
    """

    data: str = "a9a"
    sampler: str = "balanced"
    adapters: str = "shifted"
    dim: int = 16
    dropout: float = 0.1
    epochs: int = 12

    def __post_init__(self) -> None:
        DATASETS[self.data]
        one_of("sampler", self.sampler, SAMPLERS)
        one_of("adapters", self.adapters, ADAPTERS)
        at_least("dim", self.dim, 1)

    @property
    def name(self) -> str:
        return f"{self.data}-{self.sampler}"

    def build(self, seed: int, *, device: torch.device | str = "cpu") -> Materials:
        """Load, split, standardise, pre-train. Everything depends on the settings and on `seed` only.

        Raises:
            DataError: the files of the data set are missing or damaged.
        """
        dataset = load_dataset(self.data)
        train, val, test = split_rows(dataset, seed=seed, device=device)
        model = mlp(train.x.shape[1], generator=generator(seed, "weights"), dropout=self.dropout).to(device)
        pretrain(model, train.x, train.y, recipe=Pretraining(sampler=self.sampler, epochs=self.epochs), seed=seed)
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        return Materials(name=self.name, seed=seed, model=model, train=train, val=val, test=test, settings=settings)


def split_rows(dataset: Dataset, *, seed: int, device: torch.device | str = "cpu") -> tuple[Rows, Rows, Rows]:
    """Train, validation and test rows, standardised by what the training rows say."""
    parts = split(len(dataset), seed=seed)
    indices = (parts.train, parts.val, parts.test)
    xs = standardise(*(dataset.features[index] for index in indices))
    train, val, test = (
        Rows(x=x.to(device), y=dataset.targets[index].to(device)) for x, index in zip(xs, indices, strict=True)
    )
    return train, val, test


def standardise(train: Tensor, *others: Tensor) -> list[Tensor]:
    """All parts, (N, F) each, with mean 0 and standard deviation 1 on `train` in every column.

    Columns of zeros and ones stay as they are: scaled, a rare one would become huge.
    """
    indicator = ((train == 0) | (train == 1)).all(dim=0)
    # float64, because the mean of 400,000 elevations does not fit into float32.
    deviation, mean = torch.std_mean(train.double(), dim=0, correction=0)
    shift = torch.where(indicator, 0.0, mean).float()
    scale = torch.where(indicator | (deviation == 0), 1.0, deviation).float()
    return [(part - shift) / scale for part in (train, *others)]
