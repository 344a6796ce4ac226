"""From a trained model and rows that it has not seen to the outcome of `optimize`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..._types import LossFunction
from ...adapters import OutputShift
from ...job import Outcome, optimize
from ...metrics import Metric
from ...tabular import TableRows, holdout
from .fit_settings import FitSettings


def tune_network(
    network: nn.Module,
    metric: Metric,
    *,
    rows: TableRows,
    held_out: TableRows,
    loss: str | LossFunction,
    settings: FitSettings,
    class_names: Sequence[str] | None = None,
) -> Outcome:
    """Tune a network on rows that it has not seen, through whatever adapters fit it."""
    return optimize(
        network,
        metric=metric,
        train=(rows.inputs, rows.targets),
        val=(held_out.inputs, held_out.targets),
        loss=loss,
        method=settings.method,
        budget=settings.calls,
        acceptance=settings.acceptance,
        confidence=settings.confidence,
        device=settings.device,
        seed=settings.seed,
        class_names=class_names,
        quiet=not settings.verbose,
    )


def tune_scores(
    scores: Tensor,
    targets: Tensor,
    metric: Metric,
    *,
    loss: str | LossFunction,
    settings: FitSettings,
    codes: Tensor | None,
    class_names: Sequence[str] | None = None,
) -> Outcome:
    """Tune the shift and the scale of scores that are there already; the outcome's model is one linear layer.

    Args:
        scores: `(M, 1)` or `(M, K)` float32, of a model for rows that it has not seen.
        targets: `(M,)`.
        codes: class numbers to spread over search and test; None for a regression.
    """
    seen, unseen = torch.arange(len(scores)), None
    if settings.acceptance is not None:
        # Split here and not inside, so that the loss too is followed on rows of the search alone.
        seen, unseen = holdout(len(scores), fraction=settings.acceptance, seed=settings.seed, classes=codes)
    method = settings.method
    if isinstance(method, str) and method == "auto":
        # A shift and a factor need no value function: with two numbers to find, plain search does as well in a tenth
        # of the time.
        method = "random_search" if codes is None else "threshold"
    part = (scores[seen], targets[seen])
    return optimize(
        identity_layer(scores.shape[1]),
        metric=metric,
        train=part,
        val=part,
        loss=loss,
        method=method,
        budget=settings.calls,
        adapters=OutputShift(),
        acceptance=None if unseen is None else (scores[unseen], targets[unseen]),
        confidence=settings.confidence,
        device="cpu",
        seed=settings.seed,
        class_names=class_names,
        quiet=not settings.verbose,
    )


def identity_layer(width: int) -> nn.Linear:
    """A linear layer that gives its input `(N, width)` back: what a shift and a scale of scores fold into."""
    layer = nn.Linear(width, width, device="meta").to_empty(device="cpu")  # "meta" draws no random numbers
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
        layer.bias.zero_()
    return layer.eval()


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of outputs `(N, 1)` and targets `(N,)`."""
    return (outputs.reshape(-1) - targets.to(outputs.dtype)).square().mean()
