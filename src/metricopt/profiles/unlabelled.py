"""What scores say without targets: confidence, entropy, shares of classes. For metrics that keep their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .profile import Column, Profile, named, spread, straight_through

_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_OUTPUTS = 30


@final
@dataclass(frozen=True, kw_only=True)
class UnlabelledProfile(Profile):
    """Shares of labels, mean confidence and entropy, quantiles and spread of the scores.

    Args:
        outputs: scores a row; 1 for binary and for values.
    """

    outputs: int = 1

    @property
    def columns(self) -> tuple[Column, ...]:
        each = range(self.outputs) if self.outputs <= _MOST_OUTPUTS else range(0)
        return named(
            [
                ("shares", [f"share of label {k}" for k in each]),
                ("scores", [f"mean score {k}" for k in each]),
                ("confidence", ["mean confidence", "- entropy", "spread of scores"]),
                ("quantiles", [f"{level:.0%} quantile of the margin" for level in _LEVELS]),
            ]
        )

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        scores = outputs.reshape(len(outputs), outputs.shape[1], -1)
        found = []
        if scores.shape[2] == 1:
            soft = torch.sigmoid(scores / spread(scores) * 4)
            labels = straight_through((scores > 0).to(scores), soft)
            chance = torch.sigmoid(scores)
            confidence = torch.maximum(chance, 1 - chance)
            entropy = torch.nn.functional.binary_cross_entropy(chance, chance, reduction="none")
            margin = scores[:, :, 0]
        else:
            hard = torch.nn.functional.one_hot(scores.argmax(dim=2), scores.shape[2]).to(scores)
            labels = straight_through(hard, (2 * scores).softmax(dim=2))
            chance = scores.softmax(dim=2)
            confidence = chance.amax(dim=2)
            entropy = -(chance * chance.clamp_min(1e-9).log()).sum(dim=2)
            top = scores.topk(2, dim=2).values
            margin = top[:, :, 0] - top[:, :, 1]
        if self.outputs <= _MOST_OUTPUTS:
            found += [labels.mean(dim=1), scores.mean(dim=1)]
        whole = [confidence, -entropy, (scores - scores.mean(dim=1, keepdim=True)).square()]
        found.append(torch.stack([part.reshape(len(part), -1).mean(dim=1) for part in whole], dim=1))
        levels = torch.tensor(_LEVELS, dtype=margin.dtype, device=margin.device)
        found.append(torch.quantile(margin, levels, dim=1).T)
        return torch.cat(found, dim=1)
