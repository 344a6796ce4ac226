"""Trajectories: what they accept, what they refuse, and that a file gives them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import CheckpointError, ConfigError, FingerprintMismatch
from metricopt._phi import PhiSpec, Slot
from metricopt.value import Trajectories

NAN = float("nan")


def _two_runs() -> Trajectories:
    runs = Trajectories(runs=2, fingerprint="f", dim=3)
    runs.append(0, torch.zeros(2, 3), torch.tensor([0.5, NAN]))
    runs.append(4, torch.ones(2, 3))
    runs.append(9, 2 * torch.ones(2, 3), torch.tensor([0.25, 1.0]))
    return runs


def test_shapes_and_observations() -> None:
    runs = _two_runs()
    assert runs.phis.shape == (2, 3, 3)
    assert runs.steps.tolist() == [0, 4, 9]
    assert runs.observed.tolist() == [[True, False, True], [False, False, True]]
    phis, utilities = runs.observations
    assert phis[:, 0].tolist() == [0.0, 2.0, 2.0]
    assert utilities.tolist() == [0.5, 0.25, 1.0]


def test_empty_has_empty_shapes() -> None:
    runs = Trajectories(runs=2, fingerprint="f", dim=3)
    assert runs.phis.shape == (2, 0, 3)
    assert runs.utilities.shape == (2, 0)
    assert [len(part) for part in runs.observations] == [0, 0]


def test_what_was_appended_cannot_be_changed_from_outside() -> None:
    phis = torch.zeros(1, 2)
    runs = Trajectories(runs=1, fingerprint="f", dim=2)
    runs.append(0, phis, torch.tensor([0.5]))
    phis.fill_(7.0)
    runs.phis.fill_(8.0)
    runs.utilities.fill_(0.1)
    assert runs.phis.tolist() == [[[0.0, 0.0]]]
    assert runs.utilities.tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("step", "phis", "utilities", "message"),
    [
        (8, torch.zeros(2, 3), None, "step must be an integer of at least 9, got 8"),
        (10, torch.zeros(2, 4), None, r"phis must have shape \(2, 3\), got \(2, 4\)"),
        (10, torch.zeros(2, 3).double(), None, "keep one dtype"),
        (10, torch.tensor([[0.0, 0.0, 0.0], [0.0, NAN, 0.0]]), None, r"runs \[1\] are not finite at step 10"),
        (10, torch.zeros(2, 3), torch.zeros(3), r"utilities must have shape \(2,\), got \(3,\)"),
        (10, torch.zeros(2, 3), torch.tensor([0.5, 1.25]), r"got \[1.25\]; pass raw"),
        (10, torch.zeros(2, 3), torch.tensor([-0.5, 1.0]), r"must lie in \[0, 1\]"),
    ],
)
def test_refusals_leave_nothing_behind(
    step: int, phis: torch.Tensor, utilities: torch.Tensor | None, message: str
) -> None:
    runs = _two_runs()
    with pytest.raises(ConfigError, match=message):
        runs.append(step, phis, utilities)
    assert len(runs) == 3
    assert runs.phis.shape[1] == runs.utilities.shape[1] == 3


def test_the_same_step_may_be_appended_twice() -> None:
    runs = _two_runs()
    runs.append(9, torch.zeros(2, 3))
    assert runs.steps.tolist() == [0, 4, 9, 9]


def test_select_and_stack_are_inverse() -> None:
    runs = _two_runs()
    again = Trajectories.stack([runs.select([0]), runs.select([1])])
    assert torch.equal(again.phis, runs.phis)
    assert torch.equal(again.utilities.nan_to_num(-1), runs.utilities.nan_to_num(-1))
    assert again.runs == 2
    again.append(10, torch.zeros(2, 3))
    assert len(runs) == 3


def test_select_refuses_runs_that_are_not_there() -> None:
    for bad in ([], [2], [-1]):
        with pytest.raises(ConfigError, match="numbers from 0 to 1"):
            _two_runs().select(bad)


def test_stack_refuses_what_does_not_fit() -> None:
    other = Trajectories(runs=1, fingerprint="g", dim=3)
    with pytest.raises(FingerprintMismatch, match="phi f and of phi g"):
        Trajectories.stack([_two_runs(), other])
    short = Trajectories(runs=1, fingerprint="f", dim=3)
    with pytest.raises(ConfigError, match="same schedule"):
        Trajectories.stack([_two_runs(), short])
    with pytest.raises(ConfigError, match="at least one set"):
        Trajectories.stack([])


@given(
    runs=st.integers(1, 3),
    dim=st.integers(1, 4),
    gaps=st.lists(st.integers(0, 5), max_size=5),
    double=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_file_gives_back_every_bit(
    tmp_path_factory: pytest.TempPathFactory, runs: int, dim: int, gaps: list[int], double: bool, seed: int
) -> None:
    stream = torch.Generator().manual_seed(seed)
    saved = Trajectories(runs=runs, fingerprint="f", dim=dim)
    step = 0
    for gap in gaps:
        step += gap
        phis = torch.randn(runs, dim, generator=stream, dtype=torch.float64 if double else torch.float32)
        utilities = torch.rand(runs, generator=stream, dtype=torch.float64)
        saved.append(step, phis, utilities.masked_fill(utilities < 0.3, torch.nan))
    path = tmp_path_factory.mktemp("runs") / "runs.safetensors"
    saved.save(path)
    loaded = Trajectories.load(path)
    assert (loaded.runs, loaded.dim, loaded.fingerprint) == (runs, dim, "f")
    assert torch.equal(loaded.steps, saved.steps)
    assert loaded.phis.dtype == saved.phis.dtype
    assert torch.equal(loaded.phis, saved.phis)
    assert torch.equal(loaded.utilities.nan_to_num(-1), saved.utilities.nan_to_num(-1))


def test_loading_for_another_phi_is_an_error(tmp_path: Path) -> None:
    spec = PhiSpec(slots=(Slot(name="a", shape=(3,)),))
    runs = Trajectories(runs=1, fingerprint=spec.fingerprint, dim=3)
    runs.append(0, torch.zeros(1, 3))
    runs.save(tmp_path / "runs")
    assert len(Trajectories.load(tmp_path / "runs", spec=spec)) == 1
    with pytest.raises(FingerprintMismatch, match="was made for a phi with fingerprint"):
        Trajectories.load(tmp_path / "runs", spec=PhiSpec(slots=(Slot(name="b", shape=(3,)),)))


def test_a_value_function_is_not_a_trajectory(tmp_path: Path) -> None:
    from metricopt.value import ValueFunction

    ValueFunction(3, generator=torch.Generator().manual_seed(0)).save(tmp_path / "value")
    with pytest.raises(CheckpointError, match="holds a 'value function'"):
        Trajectories.load(tmp_path / "value")


def test_observations_match_a_loop(runs_of: Callable[..., Trajectories]) -> None:
    runs = runs_of(runs=3, steps=6, observed=2)
    phis, utilities = runs.observations
    expected = [
        (runs.phis[i, t], runs.utilities[i, t]) for i in range(3) for t in range(6) if not runs.utilities[i, t].isnan()
    ]
    assert len(expected) == 6
    assert torch.equal(phis, torch.stack([p for p, _ in expected]))
    assert torch.equal(utilities, torch.stack([u for _, u in expected]))
