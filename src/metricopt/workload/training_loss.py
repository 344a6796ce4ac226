"""Losses that need the whole model: in training mode, or with the targets as an input (detection)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from .._errors import ConfigError


@dataclass(frozen=True)
class TrainingLoss:
    """A loss `(model, inputs, targets) -> scalar` of a model that is called by the loss itself.

    The phis run one by one. Running statistics of norms stay as they are, whatever the mode.

    Args:
        fn: calls `model` as training does, for example `lambda m, x, t: sum(m(x, t).values())`.
        training: whether the model is in training mode meanwhile (dropout drawn anew, losses in place of boxes).
    """

    fn: Callable[[Any, Any, Any], Tensor]
    training: bool = True

    def __call__(self, model: nn.Module, inputs: Any, targets: Any) -> Tensor:
        with _mode(model, self.training):
            loss = self.fn(model, inputs, targets)
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            raise ConfigError(f"a TrainingLoss must return one number as a tensor, got a {type(loss).__name__}")
        return loss


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    try:
        for module in before:
            module.training = training and not isinstance(module, _NormBase)
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
