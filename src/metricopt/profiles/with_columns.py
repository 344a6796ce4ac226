"""A profile with columns of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .._errors import ConfigError
from .profile import Column, Profile


@final
@dataclass(frozen=True)
class WithColumns(Profile):
    """`profile` and, behind its columns, what `function` gives.

    Args:
        profile: of this kind of output.
        function: `(outputs (n, N, ...), targets) -> (n, k)`, differentiable where phi is to be moved along it.
        names: of its k numbers.

    >>> from metricopt.profiles import BinaryProfile
    >>> mine = WithColumns(BinaryProfile(), lambda outputs, y: outputs.mean(dim=1, keepdim=True), ["mean score"])
    >>> mine(torch.zeros(2, 5), torch.tensor([0, 1, 0, 1, 1])).shape[1] == len(mine.columns)
    True
    """

    profile: Profile
    function: Callable[[Tensor, Tensor], Tensor]
    names: Sequence[str]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.profile.columns, *(Column(name, "own") for name in self.names))

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        own = self.function(
            outputs.reshape(len(outputs), len(targets)) if outputs.shape[2:] == (1,) else outputs, targets
        )
        if own.shape != (len(outputs), len(self.names)):
            raise ConfigError(
                f"the columns of your own must be (n, {len(self.names)}) for {len(outputs)} phis and the names "
                f"{list(self.names)}, got {tuple(own.shape)}"
            )
        return torch.cat([self.profile(outputs, targets, slices), own.to(outputs.dtype)], dim=1)
