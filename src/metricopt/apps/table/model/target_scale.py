"""Targets of a regression in standard deviations, and the way back into the user's units."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from ...._errors import ConfigError, DataError
from ...._typed import Typed


@final
@dataclass(frozen=True, kw_only=True)
class TargetScale(Typed):
    """`t = (y - center) / spread` while training; the trained network is folded back by `in_units`.

    >>> scale = TargetScale.fit(torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64))
    >>> scale.center, scale.to_units(torch.tensor([0.0])).tolist()
    (20.0, [20.0])
    """

    center: float
    spread: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spread <= 0:
            raise ConfigError(f"spread must be positive, got {self.spread}")

    @classmethod
    def fit(cls, targets: Tensor, weights: Tensor | None = None) -> TargetScale:
        """Mean and standard deviation of `targets` `(N,)`; a spread of 1 where all are the same.

        Raises:
            DataError: no targets, or one that is missing or infinite.
        """
        values = targets.double()
        if len(values) == 0 or not bool(values.isfinite().all()):
            bad = int((~values.isfinite()).sum())
            raise DataError(f"targets must be finite numbers, {bad} of {len(values)} are not; leave those rows out")
        share = (
            torch.full_like(values, 1 / len(values)) if weights is None else weights.double() / weights.double().sum()
        )
        center = float((share * values).sum())
        spread = float((share * (values - center).square()).sum().sqrt())
        # A spread that is rounding of the center's digits is none.
        tiny = 1e-12 * max(abs(center), float(values.abs().amax()))
        return cls(center=center, spread=spread if spread > tiny and math.isfinite(spread) else 1.0)

    def to_standard(self, targets: Tensor) -> Tensor:
        """Targets in units as standardised ones, float32."""
        return ((targets.double() - self.center) / self.spread).float()

    def to_units(self, outputs: Tensor) -> Tensor:
        """Standardised outputs in the user's units, float64."""
        return outputs.double() * self.spread + self.center

    def in_units(self, network: nn.Sequential) -> nn.Sequential:
        """A float64 copy of a trained network with outputs in the user's units: the scale is folded into its last
        layer.

        Float64, because targets far from zero leave float32 few digits for their differences.

        Raises:
            ConfigError: the last layer is not linear.
        """
        folded = copy.deepcopy(network).double()
        last = folded[-1]
        if not isinstance(last, nn.Linear) or last.bias is None:
            raise ConfigError(f"the last layer must be Linear with a bias to hold the scale, got {last}")
        with torch.no_grad():
            last.weight.mul_(self.spread)
            last.bias.mul_(self.spread).add_(self.center)
        return folded
