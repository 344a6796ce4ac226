"""What all searches over phi share: phi = 0 first, the best observation, more budget only adds to what was seen."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError, MissingExtra
from metricopt.adapters import InputBias, OutputShift
from metricopt.methods import CmaEs, Method, RandomSearch, ThresholdTuning, TrustRegionBO
from metricopt.metrics import Metric, from_function
from tiny_problem import Ticks, tiny_problem

SEARCHES = {
    "random search": RandomSearch(),
    "CMA-ES": CmaEs(),
    "trust region": TrustRegionBO(initial=6, batch=3, candidates=50, fit_steps=5),
}
RIVALS = {**SEARCHES, "threshold": ThresholdTuning()}

each_search = pytest.mark.parametrize("method", SEARCHES.values(), ids=SEARCHES.keys())
each_rival = pytest.mark.parametrize("method", RIVALS.values(), ids=RIVALS.keys())


def hill() -> Metric:
    """Smooth in the scores, best where their mean is 1: something to climb."""

    def height(outputs: Tensor, targets: Tensor) -> float:
        return 1 / (1 + (float(outputs.mean()) - 1) ** 2)

    return from_function(height, higher_is_better=True)


@each_rival
@pytest.mark.parametrize("calls", [1, 2, 7, 23])
def test_spends_its_calls_and_starts_at_zero(method: Method, calls: int) -> None:
    result = method.run(tiny_problem(calls=calls), seed=0)
    assert result.calls == len(result.phis) == calls
    assert torch.equal(result.phis[0], torch.zeros_like(result.phi))


@each_rival
def test_proposes_the_best_observation(method: Method) -> None:
    result = method.run(tiny_problem(calls=30), seed=0)
    assert result.utility == float(result.utilities.max())
    assert torch.equal(result.phi, result.phis[int(result.utilities.argmax())])
    assert result.utility > float(result.utilities[0]) + 0.1


@each_rival
def test_no_budget_proposes_the_start(method: Method) -> None:
    result = method.run(tiny_problem(calls=0), seed=0)
    assert result.utility is None
    assert not result.phi.any()


@each_search
def test_a_smaller_budget_sees_the_first_points_of_a_larger_one(method: Method) -> None:
    small = method.run(tiny_problem(calls=11), seed=3)
    large = method.run(tiny_problem(calls=24), seed=3)
    assert torch.equal(small.phis, large.phis[:11])


@each_search
def test_seeds_matter(method: Method) -> None:
    one = method.run(tiny_problem(calls=5), seed=1)
    two = method.run(tiny_problem(calls=5), seed=2)
    assert not torch.equal(one.phis, two.phis)


@each_search
def test_needs_a_limit(method: Method) -> None:
    with pytest.raises(ConfigError, match="has no limit; give calls or seconds"):
        method.run(tiny_problem(calls=None), seed=0)


@each_rival
def test_time_alone_is_limit_enough(method: Method) -> None:
    problem = tiny_problem(calls=None, seconds=60.5, clock=Ticks())
    result = method.run(problem, seed=0)
    assert problem.meter.seconds_left == 0
    assert 1 <= len(result.utilities) == result.calls < 60
    assert result.utility == float(result.utilities.max())


@pytest.mark.parametrize(
    ("method", "calls"), [(CmaEs(), 160), (TrustRegionBO(initial=6, candidates=200), 60)], ids=["cma", "bo"]
)
def test_climbs_a_smooth_hill(method: Method, calls: int) -> None:
    result = method.run(tiny_problem(calls=calls, metric=hill()), seed=0)
    assert float(result.utilities[0]) < 0.2
    assert result.utility is not None
    assert result.utility > 0.999


@each_search
def test_one_number_of_phi_is_enough(method: Method) -> None:
    result = method.run(tiny_problem(calls=25, adapters=[OutputShift(temperature=False)]), seed=0)
    assert result.phis.shape == (25, 1)
    assert result.utility is not None
    assert result.utility > float(result.utilities[0]) + 0.1


@each_search
@pytest.mark.parametrize("dim", [40])
def test_many_numbers_of_phi(method: Method, dim: int) -> None:
    result = method.run(tiny_problem(calls=20, adapters=[InputBias(dim=dim)]), seed=0)
    assert result.phis.shape == (20, dim)
    assert bool(result.phis[1:].any(dim=1).all())


@pytest.mark.parametrize(
    ("method", "package", "extra"), [(CmaEs(), "cma", "cma"), (TrustRegionBO(), "botorch", "bo")], ids=["cma", "bo"]
)
def test_missing_package_is_told_before_anything_is_spent(
    method: Method, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    problem = tiny_problem(calls=5)
    with pytest.raises(MissingExtra, match=rf"metricopt\[{extra}\]"):
        method.run(problem, seed=0)
    assert problem.meter.calls == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomSearch(radius=0.0),
        lambda: CmaEs(sigma0=-1.0),
        lambda: CmaEs(population=3),
        lambda: CmaEs(propose="median"),  # type: ignore[arg-type]
        lambda: TrustRegionBO(box=0.0),
        lambda: TrustRegionBO(batch=0),
        lambda: TrustRegionBO(initial=0),
        lambda: TrustRegionBO(batch=8, candidates=4),
        lambda: TrustRegionBO(fit_steps=0),
        lambda: ThresholdTuning(candidates=0),
        lambda: ThresholdTuning(grid="random"),  # type: ignore[arg-type]
    ],
)
def test_settings_are_checked(make: type[Method]) -> None:
    with pytest.raises(ConfigError):
        make()
