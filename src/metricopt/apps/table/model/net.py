"""A multilayer perceptron for encoded tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import nn

from ...._checks import below_one
from ...._random import redraw
from ...._typed import Least, Typed

_Width = Annotated[int, Least(1)]


@final
@dataclass(frozen=True, kw_only=True)
class TableNet(Typed):
    """The shape of a network: Linear, BatchNorm1d, SiLU, Dropout for every hidden width, then Linear to the outputs.

    Args:
        features: width of the input, see `TableEncoder.width`.
        outputs: how many scores: 1 for two classes and for regression, else one for each class.
        hidden: widths of the hidden layers; none makes a linear model.
        dropout: chance of a hidden unit to be dropped while training.

    >>> net = TableNet(features=5, outputs=3, hidden=(8,)).build(torch.Generator().manual_seed(0))
    >>> [type(layer).__name__ for layer in net]
    ['Linear', 'BatchNorm1d', 'SiLU', 'Dropout', 'Linear']
    """

    features: _Width
    outputs: _Width = 1
    hidden: tuple[_Width, ...] = (128, 64)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        below_one("dropout", self.dropout)

    def build(self, generator: torch.Generator) -> nn.Sequential:
        """A new network from (N, features) to (N, outputs), in training mode.

        One flat `nn.Sequential`, so that everything in front of the first adapted layer can be split off.

        Args:
            generator: draws the initial weights; the global random state is not touched.
        """
        with torch.random.fork_rng(devices=[]):
            network = self.layers()
        redraw(network, generator)
        return network

    def layers(self) -> nn.Sequential:
        """The modules without values of their own choosing: a template to load weights into."""
        layers: list[nn.Module] = []
        width = self.features
        for out in self.hidden:
            layers += [nn.Linear(width, out), nn.BatchNorm1d(out), nn.SiLU(), nn.Dropout(self.dropout)]
            width = out
        return nn.Sequential(*layers, nn.Linear(width, self.outputs))
