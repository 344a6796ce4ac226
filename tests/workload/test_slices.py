"""Slices reach the value function by name or as clusters, row by row, and whoever gives wrong ones is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import metricopt
from metricopt import InputBias, OutputShift, attach, get_loss
from metricopt._errors import ConfigError, FingerprintMismatch
from metricopt.metrics import Budget, as_metric
from metricopt.problem import Problem
from metricopt.profiles import Slices, UnlabelledProfile, clusters
from metricopt.search import ScoreView
from metricopt.workload import StreamedWorkload, TensorWorkload

ROWS = 240
X = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0.3).float()
SIDES = Slices(names=["left", "right"], of=lambda x: x[:, 2] > 0)


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))


def workload(slices: Any, **settings: Any) -> TensorWorkload:
    adapted = attach(net(), [InputBias(dim=4), OutputShift()], probe=X[:2])
    half = ROWS // 2
    parts = {"train": (X[:half], Y[:half]), "val": (X[half:], Y[half:])}
    return TensorWorkload(adapted, loss=get_loss("cross_entropy"), slices=slices, **parts, **settings)


def view_of(slices: Any) -> ScoreView:
    made = workload(slices)
    metric = as_metric(lambda s, t: 0.5, name="any", higher_is_better=True, bounds=(0, 1))
    problem = Problem(made, metric=metric, budget=Budget(calls=5))
    assert made.profile is not None
    return ScoreView(problem, made.profile, search_share=0.5, rows=64, seed=0)


def test_columns_of_the_profile_are_counted_inside_the_slices() -> None:
    view = view_of(SIDES)
    names = [column.name for column in view.profile.columns]
    found = view.profiles(torch.zeros(1, view.dim))[0]
    outputs = view.workload.predict(view.workload.start[None])[0].reshape(-1)
    half, right = X[ROWS // 2 :, 2] > 0, (outputs > 0) == (Y[ROWS // 2 :] > 0)
    assert float(found[names.index("accuracy in right")]) == pytest.approx(float(right[half].float().mean()))
    assert float(found[names.index("accuracy in left")]) == pytest.approx(float(right[~half].float().mean()))


def test_batches_and_second_opinions_know_the_slices_of_their_rows() -> None:
    view = view_of(Slices(names=["few", "many"], of=lambda x: (x[:, 0] > -1).long()))
    batch = view.batch()
    rows = torch.cdist(batch.features, view.workload.head(X)).argmin(dim=1)
    told = torch.nn.functional.one_hot((X[rows, 0] > -1).long(), 2)
    assert batch.slices is not None and torch.equal(batch.slices, told.float())
    found, again, _ = view.second_opinion(torch.zeros(2, view.dim), 3)
    assert found.shape[1] == again.shape[2] == len(view.profile.columns)
    assert view.resampled(torch.zeros(2, view.dim), 3).shape == (3, 2, len(view.profile.columns))


def test_clusters_of_the_features_are_the_same_ones_for_all_rows() -> None:
    places = torch.tensor([[-9.0], [0.0], [9.0]]).expand(3, 3)
    x = places.repeat(20, 1) + 0.1 * torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    found = clusters(lambda rows: rows, [x], 3)
    first = found(places).argmax(dim=1)
    assert sorted(first.tolist()) == [0, 1, 2]
    assert torch.equal(found(x).argmax(dim=1), first.repeat(20))
    moved = clusters(lambda rows: rows, [x + 1], 3)
    assert clusters(lambda rows: rows, [x], 3).names == found.names != moved.names


def test_clusters_of_maps_of_features_are_of_their_means() -> None:
    images = torch.zeros(40, 2, 4, 4)
    images[20:] = 1.0
    members = clusters(lambda rows: rows, images.split(7), 2)(images)
    assert members[:20].unique(dim=0).shape[0] == 1 and not torch.equal(members[0], members[-1])


def test_rows_may_be_in_several_slices() -> None:
    slices = Slices(names=["tall", "old"], of=lambda x: torch.stack([x[:, 0] > 0, x[:, 1] > 0], dim=1))
    assert slices(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])).tolist() == [[1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Slices(names=["a", "a"], of=len), "need different names"),
        (lambda: Slices(names=["a"], of=3), "need a function of the inputs"),  # type: ignore[arg-type]
        (lambda: Slices(names=["a", "b"], of=lambda x: x[:, 0])(X), "0 to 1, or 2 booleans"),
        (lambda: Slices(names=["a", "b"], of=lambda x: torch.full((len(x),), 2))(X), "from 2 to 2"),
        (lambda: Slices(names=["a", "b"], of=lambda x: x["age"] > 3)(X), "the function of slices raised IndexError"),
        (lambda: clusters(lambda x: x, [X[:15]], 2), "2 clusters need at least 20 rows, got 15"),
        (lambda: clusters(lambda x: x, [[{"a": 1}] * 50], 2), "features must be a tensor"),
        (lambda: workload(SIDES, outputs="embeddings").profile, "outputs of the kind 'embeddings' cannot look into"),
        (lambda: workload(SIDES, profile=UnlabelledProfile()).profile, "the profile UnlabelledProfile.* cannot look"),
    ],
)
def test_wrong_slices_are_told(made: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        made()


def accuracy(scores: Tensor, targets: Tensor) -> float:
    right = (scores.reshape(-1) > 0) == (targets.reshape(-1) > 0)
    return float(right.float().mean())


def tuned(**given: Any) -> metricopt.Outcome:
    return metricopt.optimize(
        net(),
        metric=accuracy,
        higher_is_better=True,
        bounds=(0, 1),
        train=TensorDataset(X, Y),
        val=TensorDataset(X + 0.1, Y),
        budget=70,
        **given,
    )


def test_one_call_takes_slices_and_says_what_the_metric_rewards_in_them() -> None:
    outcome = tuned(slices=SIDES, quiet=True)
    assert outcome.value is not None and any("in right" in name for name in outcome.value.columns)
    with pytest.raises(ConfigError, match="looks into slices, which a loss"):
        outcome.learned_loss(workload(SIDES).profile)
    with pytest.raises(FingerprintMismatch, match="and the same slices"):
        tuned(value=outcome.value, quiet=True)


def test_one_call_refuses_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match="slices must be Slices"):
        tuned(slices=1)


@pytest.mark.parametrize("slices", [SIDES, 3])
def test_a_stream_tells_the_same_slices(slices: Any) -> None:
    held, half = workload(slices), ROWS // 2
    streamed = StreamedWorkload(
        held.adapted,
        loss=get_loss("cross_entropy"),
        train=TensorDataset(X[:half].double(), Y[:half]),
        val=DataLoader(TensorDataset(X[half:].double(), Y[half:]), batch_size=50),
        slices=slices,
    )
    assert streamed.profile == held.profile
    for part, rows in (("val", None), ("val", torch.tensor([3, 0])), ("train", torch.tensor([7, 1, 7]))):
        mine, theirs = (one.slices_of(part, rows) for one in (streamed, held))  # type: ignore[arg-type]
        assert mine is not None and theirs is not None and torch.equal(mine, theirs)
    outcome = tuned(slices=slices, quiet=True, stream=True)
    assert outcome.value is not None and any(" in " in name for name in outcome.value.columns)


def test_a_run_with_other_slices_is_another_run(tmp_path: Any) -> None:
    tuned(slices=2, run=tmp_path, quiet=True)
    with pytest.raises(ConfigError, match="slices"):
        tuned(slices=3, run=tmp_path, quiet=True)
