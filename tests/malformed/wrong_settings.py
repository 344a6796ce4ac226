"""Calls of `optimize` and `learn_value` with one or two arguments that nobody should give."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import metricopt
from metricopt import Budget, LearnedValue, Metric, OutputShift, ValueFunction
from metricopt.methods import ThresholdTuning


class Raising(nn.Module):
    def forward(self, _: Tensor) -> Tensor:
        raise RuntimeError("the model broke\nin two lines")


class Odd(nn.Module):
    """A model that returns whatever it is told to make of its scores."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.change = nn.Linear(3, 1), change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.inner(x))


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("no data today")


def _raises(*_: Any) -> float:
    raise ZeroDivisionError("no such metric")


def _data() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0.4).float()


def _network() -> nn.Linear:
    network = nn.Linear(3, 1)
    network.load_state_dict({"weight": torch.tensor([[2.0, 0.1, 0.0]]), "bias": torch.zeros(1)})
    return network


#: Strange whatever the argument is.
ANYTHING: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    3,
    10**30,
    -0.5,
    0.3,
    2.5,
    float("nan"),
    float("inf"),
    1e308,
    "",
    "f2",
    "\0",
    "../../etc/passwd",
    "a\nb\x1b[31m",
    "🜚",
    b"f1",
    (),
    [],
    {},
    {"calls": 3},
    set(),
    ["f1", "mcc"],
    [1, [2, 3]],
    object(),
    object,
    int,
    lambda *_: None,
    ...,
    1j,
    np.float32(0.4),
    np.array([np.nan]),
    np.array(["a", "b"]),
    np.array([object()], dtype=object),
    torch.zeros(0),
    torch.zeros(3, 3),
    torch.tensor(float("nan")),
    torch.zeros(2, dtype=torch.complex64),
    torch.device("meta"),
    nn.Linear(2, 2),
)


def _learned() -> LearnedValue:
    return LearnedValue(
        profile="another",
        columns=["a"],
        families=torch.zeros(1, dtype=torch.long),
        psi=torch.zeros(4, 1),
        utilities=torch.zeros(4),
        hyperparameters=torch.zeros(6),
        metric="f1",
        higher_is_better=True,
    )


def _special() -> dict[str, tuple[Any, ...]]:
    """Strange in the place of one argument: nearly right."""
    x, y = _data()
    value = ValueFunction(3, generator=torch.Generator().manual_seed(0)).eval()
    pairs: tuple[Any, ...] = (
        (x, y[:5]),
        (x[:0], y[:0]),
        (x,),
        (x, y, y),
        (x[:, :2], y),
        (x, torch.full((60,), 7.0)),
        (x, torch.full((60,), torch.nan)),
        (x * torch.nan, y),
        (x, y[:, None, None]),
        (x.long(), y),
        (x.half(), y.half()),
        (x.numpy().astype(str), y),
        ([[1, 2], [3]], [1, 2]),
        ([], []),
        (x.tolist(), y.tolist()),
        TensorDataset(x),
        DataLoader(TensorDataset(x, y), batch_size=7, shuffle=True),
        DataLoader([1, 2, 3]),  # type: ignore[arg-type]
        Endless(),
        [(1, 2), (3, 4)],
        "train.csv",
    )
    return {
        "model": (
            Raising(),
            nn.Identity(),
            nn.Sequential(),
            nn.Linear(4, 1),
            nn.Linear(3, 1).double(),
            nn.Linear(3, 1).half(),
            nn.Linear(3, 0),
            nn.Linear(3, 70),
            nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=1)),
            Odd(lambda s: (s, s)),
            Odd(lambda s: {"scores": s}),
            Odd(lambda s: s.sum()),
            Odd(lambda s: s * torch.nan),
            Odd(lambda s: s[:, :, None, None]),
            Odd(lambda s: s[:1]),
            Odd(lambda s: None),
            Odd(lambda s: s.detach().numpy()),
            nn.Embedding(3, 2),
            nn.LSTM(3, 2),
        ),
        "metric": (
            _raises,
            lambda s, t: "good",
            lambda s, t: torch.nan,
            lambda s, t: s,
            lambda: 1.0,
            lambda s, t: s.add_(1).mean().item(),
            Metric(lambda s, t: 2.0, name="too much", higher_is_better=True),
            Metric(lambda m: 0.5, name="model", higher_is_better=True, reads="model"),
            "F1",
            "accuracy_score",
        ),
        "train": pairs,
        "val": pairs,
        "acceptance": (*pairs, 1.0, 0.0, 1e-9, 0.999, -0.2),
        "loss": ("cross_entropyy", _raises, lambda s, t: s, lambda s, t: 1.0, lambda s, t: (s * 0).sum() * torch.nan),
        "budget": (20, 62, 63, -5, True, 62.0, Budget(), Budget(seconds=1e-9), Budget(calls=0), {"calls": 70}, "many"),
        "method": ("thresold", ["threshold", "nope"], [[]], ThresholdTuning, (ThresholdTuning(), 3), "random,cma"),
        "adapters": ("all", OutputShift, [OutputShift(), OutputShift()], [[OutputShift()]], "film"),
        "dim": (1, 2.0, "16", 10**9, -3),
        "value": (
            "no/such/folder",
            value,
            _learned(),
        ),
        "device": ("cdua", "cuda:99", "cpu:0", "mps", "meta", 0, torch.device("cpu")),
        "seed": (-1, 2**70, 1.5, "0"),
        "run": (
            "/proc/nothing/here",
            "/dev/null",
            "/dev/null/x",
            "a\0b",
            "",
            b"run",
            3,
            [],
            np.array([np.nan]),
            object(),
        ),
        "watch": (3, [3], "print", [None]),
        "class_names": (["a"], ["a", "b", "c"], "ab", [1, 2], ["a", "a"], ["\n", "\x1b[31m"], 5),
        "bounds": ((1, 0), (0, 0), (0, float("inf")), "01", (0, 1, 2), (0.0, 1.0), 5),
        "reads": ("score", "model", "labels", 3),
        "higher_is_better": ("yes", 1, False),
        "confidence": (0.0, 1.0, 0.4999, 95, "0.95"),
        "batch_size": (0, 1, 2.0, 10**9),
        "sampler": ("balanced", "ballanced"),
        "quiet": (True, "no"),
        "calls": (0, 1, 3, 40, -2, 10**30),
        "config": (5, "quick", {}),
    }


SHARED = (
    *("model", "metric", "train", "val", "loss", "higher_is_better", "bounds", "reads"),
    *("adapters", "dim", "sampler", "batch_size", "device", "seed"),
)
OF_OPTIMIZE = (
    *SHARED,
    *("method", "budget", "value", "acceptance", "confidence", "run", "watch", "class_names", "quiet"),
)


def called(seed: int) -> object:
    """One call, chosen by `seed`; what comes back if nothing is wrong with it after all."""
    draw = random.Random(seed)
    x, y = _data()
    arguments: dict[str, Any] = {
        "model": _network(),
        "metric": "f1",
        "train": (x[:20], y[:20]),
        "val": (x[20:], y[20:]),
    }
    learning = draw.random() < 0.1
    if learning:
        arguments["calls"] = 60
    else:
        arguments |= {"method": "threshold", "budget": 64, "quiet": True}
    special = _special()
    for name in draw.sample((*SHARED, "calls", "config") if learning else OF_OPTIMIZE, draw.choice((1, 1, 1, 2))):
        # A watcher may raise what it likes, and many of ANYTHING can be called; a run is kept wherever it is told to
        # be.
        nearly = name in ("watch", "run") or draw.random() < 0.6
        arguments[name] = draw.choice(special[name] if nearly else ANYTHING)
    model = arguments.pop("model")
    if learning:
        return len(metricopt.learn_value(model, **arguments))
    outcome = metricopt.optimize(model, **arguments)
    return [outcome.accepted, outcome.calls, str(outcome)]
