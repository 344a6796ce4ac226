"""A model with a poor threshold, and MLflow kept to this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import metricopt


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Without this MLflow asks for a database, which its light package cannot use.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def optimise() -> Callable[..., metricopt.Outcome]:
    """`optimize` on a threshold that is far off, in a few dozen calls."""

    def run(watch: Any, **changes: Any) -> metricopt.Outcome:
        x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0.6).float()
        net = nn.Linear(3, 1)
        net.load_state_dict({"weight": torch.tensor([[2.0, 0.0, 0.0]]), "bias": torch.zeros(1)})
        asked = {"metric": "f1", "budget": 80, "quiet": True} | changes
        return metricopt.optimize(net, train=(x[:100], y[:100]), val=(x[100:], y[100:]), watch=watch, **asked)

    return run
