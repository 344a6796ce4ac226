"""One real number a row: regression, judged by whatever counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .profile import Column, Profile, members, named, straight_through

_WITHIN = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_RELATIVE = (0.02, 0.05, 0.1, 0.2, 0.5)
_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@final
@dataclass(frozen=True, kw_only=True)
class ValuesProfile(Profile):
    """Bias, errors, shares within a tolerance, pinball losses; in units of the spread of the targets or relative.

    Args:
        slices: names; bias and error are taken inside each.
    """

    slices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return named(
            [
                ("bias", ["bias", "share predicted too low"]),
                ("errors", ["- mean absolute error", "- root mean squared error", "- mean log-cosh error"]),
                ("within", [f"share within {share} spreads" for share in _WITHIN]),
                ("relative", [f"share within {share:.0%}" for share in _RELATIVE]),
                ("relative errors", ["- mean relative error", "relative bias", "- squared error of logarithms"]),
                ("pinball", [f"- pinball loss at {level}" for level in _LEVELS]),
                ("one-sided", ["- mean shortfall", "- mean excess", "- squared shortfall", "- squared excess"]),
                *(("slices", [f"bias in {part}", f"- error in {part}"]) for part in self.slices),
            ]
        )

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        predicted = outputs.reshape(len(outputs), len(targets), -1)
        truth = targets.reshape(len(targets), -1).to(predicted)
        unit = truth.std().clamp_min(1e-6)
        error = (predicted - truth) / unit
        size = truth.abs().clamp_min(1e-3 * float(unit))
        relative = (predicted - truth) / size
        low, high = (-error).clamp_min(0), error.clamp_min(0)
        found = [
            error.mean(dim=(1, 2)),
            straight_through((error < 0).to(error).mean(dim=(1, 2)), torch.sigmoid(-error * 8).mean(dim=(1, 2))),
            -error.abs().mean(dim=(1, 2)),
            -(error.square().mean(dim=(1, 2)) + 1e-12).sqrt(),
            -(error + torch.nn.functional.softplus(-2 * error)).mean(dim=(1, 2)),
            *(_within(error, share) for share in _WITHIN),
            *(_within(relative, share) for share in _RELATIVE),
            -relative.abs().clamp_max(3).mean(dim=(1, 2)),
            relative.clamp(-3, 3).mean(dim=(1, 2)),
            -((predicted.clamp_min(1e-3 * float(unit)) / size).log().square()).clamp_max(9).mean(dim=(1, 2)),
            *(-torch.maximum(-level * error, (1 - level) * error).mean(dim=(1, 2)) for level in _LEVELS),
            -low.mean(dim=(1, 2)),
            -high.mean(dim=(1, 2)),
            -low.square().mean(dim=(1, 2)),
            -high.square().mean(dim=(1, 2)),
        ]
        for member in members(self.slices, slices, error):
            rows = (member / member.sum().clamp_min(1))[None, :, None]
            found += [(error * rows).sum(dim=(1, 2)), -(error.abs() * rows).sum(dim=(1, 2))]
        return torch.stack(found, dim=1)


def _within(error: Tensor, share: float) -> Tensor:
    exact = (error.abs() <= share).to(error).mean(dim=(1, 2))
    width = max(share, 0.05)
    return straight_through(exact, torch.sigmoid((share - error.abs()) / width * 3).mean(dim=(1, 2)))
