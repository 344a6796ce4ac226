"""A multilayer perceptron for encoded tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import nn

from ...._checks import at_least, below_one
from ...._errors import CheckpointError, ConfigError
from ...._random import redraw
from .settings_fields import Fields


@final
@dataclass(frozen=True, kw_only=True)
class TableNet:
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

    features: int
    outputs: int = 1
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        at_least("features", self.features, 1)
        at_least("outputs", self.outputs, 1)
        if not isinstance(self.hidden, tuple):
            raise ConfigError(f"hidden must be a tuple of widths, got {self.hidden!r}")
        for width in self.hidden:
            at_least("widths in hidden", width, 1)
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

    def to_settings(self) -> dict[str, Any]:
        """Plain JSON; `from_settings` takes it."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_settings(cls, settings: object) -> TableNet:
        """The shape that `to_settings` described; raises CheckpointError where it is not one."""
        fields = Fields(settings, "a table network", ("features", "outputs", "hidden", "dropout"))
        try:
            return cls(
                features=fields.integer("features", least=1),
                outputs=fields.integer("outputs", least=1),
                hidden=fields.integers("hidden", least=1),
                dropout=fields.number("dropout"),
            )
        except ConfigError as error:
            raise CheckpointError(f"a saved table network cannot be built: {error}. Save it again.") from error
