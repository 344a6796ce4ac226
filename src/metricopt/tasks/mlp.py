"""The paper's tabular network: a Leaky-ReLU MLP with batch-norm and dropout at every hidden layer."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from .._checks import at_least
from .._errors import ConfigError
from .._random import redraw


def mlp(
    features: int,
    *,
    generator: torch.Generator,
    hidden: tuple[int, ...] = (100, 30, 10),
    dropout: float = 0.1,
    slope: float = 0.01,
) -> nn.Sequential:
    """Linear, BatchNorm1d, LeakyReLU, Dropout for every hidden width, then Linear to one score (MetricOpt, section
    4.3).

    One flat `nn.Sequential`, so that everything in front of the first adapted layer can be split off.

    Args:
        features: width of the input.
        generator: draws the initial weights; the global random state is not touched.
        hidden: widths of the hidden layers.
        dropout: chance of a hidden unit to be dropped while training. The paper gives none.
        slope: slope of the Leaky-ReLU below zero. The paper gives none.

    Returns:
        a network from (N, features) to (N, 1), in training mode.

    >>> net = mlp(5, generator=torch.Generator().manual_seed(0))
    >>> [layer.out_features for layer in net if isinstance(layer, nn.Linear)]
    [100, 30, 10, 1]
    """
    at_least("features", features, 1)
    if not 0.0 <= dropout < 1.0:
        raise ConfigError(f"dropout must lie in [0, 1), got {dropout!r}")
    for out in hidden:
        at_least("hidden widths", out, 1)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        for width, out in pairwise((features, *hidden)):
            layers += [nn.Linear(width, out), nn.BatchNorm1d(out), nn.LeakyReLU(slope), nn.Dropout(dropout)]
        network = nn.Sequential(*layers, nn.Linear((features, *hidden)[-1], 1))
    redraw(network, generator)
    return network
