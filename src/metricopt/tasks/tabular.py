"""Table 3 of MetricOpt: a pre-trained MLP on tabular rows, and the rows that judge it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of
from .._parts import split
from .._perceptron import perceptron
from .._random import generator
from .._types import SAMPLERS
from .datasets import DATASETS, Dataset, load_dataset
from .disk_cache import Settings
from .pretrain import PRETRAINING_VERSION, Pretraining, load_or_train, pretrain

#: Which adapters the task is made for: the paper's dynamic biases, those and a shift of the score, the shift alone.
ADAPTERS = ("shifted", "paper", "shift")


class Rows(NamedTuple):
    """Features (N, F) and targets (N,), float32."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What a task hands out: a trained model in evaluation mode and three sets of rows.

    Whoever builds a problem gives it `train` and `val`. `test` is for the one who judges.
    """

    name: str
    seed: int
    model: nn.Sequential = field(repr=False)
    train: Rows = field(repr=False)
    val: Rows = field(repr=False)
    test: Rows = field(repr=False)
    settings: Settings

    def describe(self) -> Settings:
        """Flat columns for a row of results: the settings of the task, the seed, the sizes."""
        sizes = {"n_train": len(self.train.y), "n_val": len(self.val.y), "n_test": len(self.test.y)}
        return {"task": self.name, "seed": self.seed, **self.settings, **sizes}


@dataclass(frozen=True, kw_only=True)
class TabularTask:
    """A tabular binary task (MetricOpt, section 4.3): 70/10/20 by seed, MLP 100-30-10-1.

    Args:
        data: a name in `DATASETS`.
        sampler: "balanced" mini-batches as in the paper, or "plain".
        adapters: "paper" for the paper's input bias alone, "shifted" for that and a shift of the score.
        dim: length of phi.
        recipe: of the pre-training; None takes the one of the data set.

    Differs from the paper: it does not say how long and at which rate it pre-trains. Columns that are not
    indicators are standardised by the training rows; the paper does not say whether it does so.

    >>> task = TabularTask(data="synthetic", recipe=Pretraining(epochs=1))
    >>> materials = task.build(0, cache=False)
    >>> materials.model(materials.val.x).shape
    torch.Size([400, 1])
    """

    data: str = "a9a"
    sampler: str = "balanced"
    adapters: str = "shifted"
    dim: int = 16
    recipe: Pretraining | None = None

    def __post_init__(self) -> None:
        one_of("data", self.data, tuple(DATASETS))
        one_of("sampler", self.sampler, SAMPLERS)
        one_of("adapters", self.adapters, ADAPTERS)
        at_least("dim", self.dim, 1)

    @property
    def name(self) -> str:
        return f"{self.data}-{self.sampler}"

    @property
    def pretraining(self) -> Pretraining:
        """The recipe that is used."""
        return DATASETS[self.data].recipe if self.recipe is None else self.recipe

    def build(self, seed: int, *, device: torch.device | str = "cpu", cache: bool = True) -> Materials:
        """Load, split, standardise, pre-train. What comes out depends on the task, `seed` and the kind of device.

        Args:
            seed: of the split, the initial weights and the pre-training.
            device: where rows and model live.
            cache: take the pre-trained model from disk if it is there, and keep it there if not.

        Raises:
            DataError: the files of the data set are missing or damaged.
            CheckpointError: the cached model is damaged.
        """
        dataset = load_dataset(self.data)
        train, val, test = split_rows(dataset, seed=seed, device=device)
        settings: Settings = {
            "data": self.data,
            "checksum": dataset.checksum,
            "sampler": self.sampler,
            **asdict(self.pretraining),
            "version": PRETRAINING_VERSION,
            "device": train.x.device.type,
        }
        template = mlp(train.x.shape[1], generator=generator(seed, "weights"), dropout=self.pretraining.dropout)
        model = load_or_train(
            template.to(device),
            settings={**settings, "seed": seed},
            train=lambda net: self._train(net, train, seed),
            cache=cache,
        )
        settings |= {"adapters": self.adapters, "dim": self.dim}
        return Materials(name=self.name, seed=seed, model=model, train=train, val=val, test=test, settings=settings)

    def _train(self, model: nn.Sequential, train: Rows, seed: int) -> None:
        pretrain(model, train.x, train.y, recipe=self.pretraining, sampler=self.sampler, seed=seed)


def mlp(features: int, *, generator: torch.Generator, dropout: float = 0.1) -> nn.Sequential:
    """The paper's tabular network, 100-30-10-1 with Leaky-ReLU and batch norm (section 4.3). It gives no slope and no
    dropout."""
    widths = (features, 100, 30, 10, 1)
    return perceptron(widths, activation=nn.LeakyReLU, norm=True, dropout=dropout, generator=generator)


def split_rows(dataset: Dataset, *, seed: int, device: torch.device | str = "cpu") -> tuple[Rows, Rows, Rows]:
    """Train, validation and test rows on `device`, standardised by what the training rows say."""
    indices = split(len(dataset), seed=seed)
    features = standardise(*(dataset.features[index] for index in indices))
    train, val, test = (
        Rows(x=x.to(device), y=dataset.targets[index].to(device)) for x, index in zip(features, indices, strict=True)
    )
    return train, val, test


def standardise(train: Tensor, *others: Tensor) -> list[Tensor]:
    """All parts, (N, F) each, such that every column of `train` has mean 0 and standard deviation 1.

    Columns of zeros and ones stay as they are: scaled, a rare one would become huge.

    >>> standardise(torch.tensor([[0.0, 1.0], [4.0, 0.0]]), torch.tensor([[6.0, 1.0]]))[1]
    tensor([[2., 1.]])
    """
    deviation, mean = torch.std_mean(train.double(), dim=0, correction=0)  # float32 sums of 400,000 rows lose digits
    kept = ((train == 0) | (train == 1)).all(dim=0) | (deviation == 0)
    shift, scale = torch.where(kept, 0.0, mean).float(), torch.where(kept, 1.0, deviation).float()
    return [(part - shift) / scale for part in (train, *others)]
