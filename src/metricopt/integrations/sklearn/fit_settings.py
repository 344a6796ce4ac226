"""The parameters that both estimators share, checked when `fit` is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch

from ..._checks import at_least
from ..._errors import ConfigError
from ...apps.table.model import TableTraining


@final
@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """See `MetricOptClassifier` for what the fields mean.

    Args:
        recipe: of the training.
        seed: drawn from `random_state`.
    """

    recipe: TableTraining
    hidden: tuple[int, ...]
    dropout: float
    early_stopping: bool
    validation_fraction: float
    calls: int
    method: Any
    acceptance: float | None
    confidence: float
    device: torch.device
    verbose: bool
    seed: int

    def __post_init__(self) -> None:
        at_least("calls", self.calls, 0)
        if not isinstance(self.early_stopping, bool):
            raise ConfigError(f"early_stopping must be True or False, got {self.early_stopping!r}")
        if not 0.0 < self.validation_fraction < 1.0:
            raise ConfigError(
                f"validation_fraction must lie between 0 and 1, both excluded, got {self.validation_fraction!r}"
            )

    @classmethod
    def of(cls, estimator: Any) -> FitSettings:
        """Read from the parameters of an estimator; raises ConfigError where one cannot work."""
        from sklearn.utils import check_random_state

        try:
            hidden = tuple(int(width) for width in estimator.hidden)
        except (TypeError, ValueError):
            raise ConfigError(f"hidden must be a list of widths such as (128, 64), got {estimator.hidden!r}") from None
        return cls(
            recipe=TableTraining(
                epochs=estimator.epochs,
                batch_size=estimator.batch_size,
                learning_rate=estimator.learning_rate,
                weight_decay=estimator.weight_decay,
                patience=estimator.patience,
            ),
            hidden=hidden,
            dropout=estimator.dropout,
            early_stopping=estimator.early_stopping,
            validation_fraction=estimator.validation_fraction,
            calls=estimator.calls,
            method=estimator.method,
            acceptance=estimator.acceptance,
            confidence=estimator.confidence,
            device=_device(estimator.device),
            verbose=bool(estimator.verbose),
            seed=int(check_random_state(estimator.random_state).randint(2**31 - 1)),
        )


def _device(device: Any) -> torch.device:
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f'device must be the name of a torch device such as "cpu" or "cuda", got {device!r}'
        ) from error
