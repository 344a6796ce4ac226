"""Multilayer perceptrons: those of tables, of the paper's tasks, and those that losses are tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from ._checks import at_least, below_one
from ._random import redraw


def perceptron(
    widths: Sequence[int],
    *,
    activation: Callable[[], nn.Module],
    norm: bool = False,
    dropout: float | None = None,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Linear, batch norm, activation and dropout for every hidden width, then Linear to the outputs.

    One flat `nn.Sequential` in training mode, so that everything in front of the first adapted layer can be split off.

    Args:
        widths: of the input, the hidden layers and the output, at least two.
        activation: makes one.
        norm: whether there is batch norm.
        dropout: chance of a hidden unit to be dropped while training; None for no such layer.
        generator: draws the initial weights, and the global random state is not touched; None leaves them to torch.

    >>> [type(layer).__name__ for layer in perceptron((5, 8, 3), activation=nn.SiLU, norm=True)]
    ['Linear', 'BatchNorm1d', 'SiLU', 'Linear']

    Raises:
        ConfigError: a width below 1, or a dropout outside [0, 1).
    """
    for width in widths:
        at_least("widths", width, 1)
    below_one("dropout", dropout or 0.0)
    if generator is not None:
        with torch.random.fork_rng(devices=[]):
            network = perceptron(widths, activation=activation, norm=norm, dropout=dropout)
        redraw(network, generator)
        return network
    layers: list[nn.Module] = []
    for width, out in pairwise(widths[:-1]):
        layers += [nn.Linear(width, out), *([nn.BatchNorm1d(out)] if norm else []), activation()]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
