"""A multilayer perceptron for encoded tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from torch import nn

from ...._checks import below_one
from ...._perceptron import perceptron
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

        Args:
            generator: draws the initial weights; the global random state is not touched.
        """
        return self._made(generator)

    def layers(self) -> nn.Sequential:
        """The modules without values of their own choosing: a template to load weights into."""
        return self._made(None)

    def _made(self, generator: torch.Generator | None) -> nn.Sequential:
        widths = (self.features, *self.hidden, self.outputs)
        return perceptron(widths, activation=nn.SiLU, norm=True, dropout=self.dropout, generator=generator)
