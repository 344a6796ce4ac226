"""Models inside of something: compiled, spread over devices, in pieces."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metricopt import learn_value, optimize
from metricopt._checks import finite_only
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.job.arguments import unwrapped
from metricopt.methods import Result

X = torch.randn(200, 3, generator=generator("wrapped"))
Y = (X[:, 0] > 0.5).float()
GIVEN = {"metric": "f1", "train": (X[:100], Y[:100]), "val": (X[100:], Y[100:])}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of the compiler, as it is imported
@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel], ids=["compiled", "data parallel"])
def test_what_is_inside_is_taken_and_said(wrap):
    inner = nn.Linear(3, 1)
    with pytest.warns(UserWarning, match="what is inside of it is taken"):
        outcome = optimize(wrap(inner), **GIVEN, budget=70, method="threshold", quiet=True)
    assert type(outcome.model) is nn.Linear
    with pytest.warns(UserWarning, match="what is inside of it is taken"):
        assert len(learn_value(wrap(inner), **GIVEN, calls=15)) > 0


def test_a_model_in_pieces_is_refused():
    class FullyShardedDataParallel(nn.Linear):
        """Stands for torch's, which needs a process group."""

    with pytest.raises(ConfigError, match="gather it into one module first"):
        unwrapped(FullyShardedDataParallel(2, 1))


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_model_that_was_never_run_is_refused():
    with pytest.raises(ConfigError, match="lazy layers without values"):
        optimize(nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 1)), **GIVEN, quiet=True)


def test_a_figure_that_is_no_number_is_never_kept():
    found = Result(
        phi=torch.zeros(2),
        utility=None,
        calls=0,
        seconds=0.0,
        phis=torch.zeros(0, 2),
        utilities=torch.zeros(0),
        diagnostics={"gain_error": float("inf"), "gain": 0.5},
    )
    assert found.diagnostics == {"gain": 0.5} == finite_only({"a": float("nan"), "gain": 0.5})


def test_a_model_that_returns_several_things_is_told_what_to_do():
    class WithFeatures(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(ConfigError, match="outputs, a tuple, and .* Give a loss that takes such outputs, or a model"):
        optimize(WithFeatures(3, 1), **GIVEN, budget=70, quiet=True)
