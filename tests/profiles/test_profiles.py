"""Profiles: counted exactly, differentiable, population first, and the same whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.profiles import (
    PROFILES,
    BinaryProfile,
    EmbeddingsProfile,
    MulticlassProfile,
    MultilabelProfile,
    Profile,
    UnlabelledProfile,
    ValuesProfile,
    WithColumns,
)
from metricopt.profiles.embeddings import _hits

Make = Callable[[torch.Generator, int], tuple[Profile, Tensor, Tensor]]


def _binary(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = torch.randint(2, (rows,), generator=source)
    return BinaryProfile(), torch.randn(3, rows, generator=source) + y, y


def _multiclass(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = torch.randint(4, (rows,), generator=source)
    return MulticlassProfile(classes=4), torch.randn(3, rows, 4, generator=source), y


def _many_classes(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = torch.randint(40, (rows,), generator=source)
    return MulticlassProfile(classes=40), torch.randn(3, rows, 40, generator=source), y


def _multilabel(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = torch.randint(2, (rows, 3), generator=source)
    return MultilabelProfile(labels=3), torch.randn(3, rows, 3, generator=source), y


def _values(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = 5 + torch.randn(rows, generator=source)
    return ValuesProfile(), y + torch.randn(3, rows, generator=source), y


def _embeddings(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    y = torch.randint(5, (rows,), generator=source)
    return EmbeddingsProfile(), torch.randn(3, rows, 6, generator=source), y


def _unlabelled(source: torch.Generator, rows: int) -> tuple[Profile, Tensor, Tensor]:
    return UnlabelledProfile(outputs=4), torch.randn(3, rows, 4, generator=source), torch.zeros(rows)


MAKERS: list[Make] = [_binary, _multiclass, _many_classes, _multilabel, _values, _embeddings, _unlabelled]


@pytest.mark.parametrize("make", MAKERS)
def test_a_population_is_what_its_members_are_and_has_named_columns(make: Make) -> None:
    profile, outputs, y = make(torch.Generator().manual_seed(0), 60)
    together = profile(outputs, y)
    assert together.shape == (3, len(profile.columns))
    assert torch.allclose(together, torch.cat([profile(one[None], y) for one in outputs]), atol=1e-5)
    names = [column.name for column in profile.columns]
    assert len(set(names)) == len(names)
    assert profile.family_index().max() == len(profile.families) - 1


@pytest.mark.parametrize("make", MAKERS)
def test_gradients_change_no_value_and_are_finite(make: Make) -> None:
    profile, outputs, y = make(torch.Generator().manual_seed(1), 50)
    plain = profile(outputs, y)
    point = outputs.clone().requires_grad_(True)
    soft = profile(point, y)
    assert torch.equal(plain, soft.detach())
    (slope,) = torch.autograd.grad(soft.sum(), point)
    assert bool(slope.isfinite().all())
    assert bool((slope != 0).any())


@pytest.mark.parametrize("make", [one for one in MAKERS if one is not _embeddings])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(make: Make, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    profile, outputs, y = make(source, 40)
    order = torch.randperm(40, generator=source)
    assert torch.allclose(profile(outputs, y), profile(outputs[:, order], y[order]), atol=1e-4)


@pytest.mark.parametrize("make", MAKERS)
def test_one_class_and_scores_that_are_all_alike_are_finite(make: Make) -> None:
    profile, outputs, y = make(torch.Generator().manual_seed(2), 30)
    one_class = torch.zeros_like(y) if not y.is_floating_point() else torch.full_like(y, 2.0)
    for scores, targets in ((outputs, one_class), (torch.zeros_like(outputs), y)):
        point = scores.clone().requires_grad_(True)
        found = profile(point, targets)
        assert bool(found.isfinite().all())
        assert bool(torch.autograd.grad(found.sum(), point)[0].isfinite().all())


def _columns(profile: Profile, psi: Tensor) -> dict[str, float]:
    return {column.name: float(value) for column, value in zip(profile.columns, psi, strict=True)}


def test_binary_columns_are_those_of_scikit_learn() -> None:
    profile, outputs, y = _binary(torch.Generator().manual_seed(3), 200)
    scores, truth = outputs[0].numpy(), y.numpy()
    labels, found = (scores > 0).astype(int), _columns(profile, profile(outputs, y)[0])
    expected = {
        "precision": sk.precision_score(truth, labels),
        "recall": sk.recall_score(truth, labels),
        "F1": sk.f1_score(truth, labels),
        "F2": sk.fbeta_score(truth, labels, beta=2),
        "MCC": sk.matthews_corrcoef(truth, labels),
        "balanced accuracy": sk.balanced_accuracy_score(truth, labels),
        "accuracy": sk.accuracy_score(truth, labels),
        "AUROC": sk.roc_auc_score(truth, scores),
        "average precision": sk.average_precision_score(truth, scores),
        "precision in the top 10%": truth[np.argsort(-scores)[:20]].mean(),
        "log-likelihood": -sk.log_loss(truth, 1 / (1 + np.exp(-scores.astype(float)))),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), abs=1e-4), name


def test_multiclass_columns_are_those_of_scikit_learn() -> None:
    profile, outputs, y = _multiclass(torch.Generator().manual_seed(4), 300)
    scores, truth = outputs[0], y.numpy()
    labels, found = scores.argmax(dim=1).numpy(), _columns(profile, profile(outputs, y)[0])
    recalls = sk.recall_score(truth, labels, average=None)
    precisions = sk.precision_score(truth, labels, average=None)
    matrix = sk.confusion_matrix(truth, labels) / len(truth)
    expected = {
        **{f"recall of class {k}": recalls[k] for k in range(4)},
        **{f"precision of class {k}": precisions[k] for k in range(4)},
        "accuracy": sk.accuracy_score(truth, labels),
        "macro F1": sk.f1_score(truth, labels, average="macro"),
        "quadratic kappa": sk.cohen_kappa_score(truth, labels, weights="quadratic"),
        "MCC": sk.matthews_corrcoef(truth, labels),
        "worst recall": recalls.min(),
        "mean of the three worst recalls": np.sort(recalls)[:3].mean(),
        "G-mean": float(np.exp(np.log(recalls).mean())),
        "class 2 taken for class 0": -matrix[2, 0],
        "true class among the top 2": sk.top_k_accuracy_score(truth, scores.numpy(), k=2),
        "log-likelihood": -sk.log_loss(truth, scores.double().softmax(dim=1).numpy()),
        "average precision of class 1": sk.average_precision_score(truth == 1, scores.softmax(dim=1)[:, 1].numpy()),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), abs=1e-4), name


def test_values_are_in_spreads_of_the_targets() -> None:
    y = torch.tensor([10.0, 20.0, 30.0, 40.0])
    found = _columns(ValuesProfile(), ValuesProfile()((y + torch.tensor([0.0, 1.0, -4.0, 20.0]))[None], y)[0])
    spread = float(y.std())
    assert found["bias"] == pytest.approx(17 / 4 / spread)
    assert found["- mean absolute error"] == pytest.approx(-25 / 4 / spread)
    assert found["share within 5%"] == 0.5
    assert found["share within 50%"] == 1.0
    assert found["share predicted too low"] == 0.25
    assert found["- mean shortfall"] == pytest.approx(-1 / spread)


def test_a_row_is_not_its_own_neighbour() -> None:
    profile = EmbeddingsProfile()
    points = torch.eye(6)[None]
    found = _columns(profile, profile(points, torch.arange(6))[0])
    assert found["recall at 1 by cosine"] == 0.0
    twins = torch.eye(3).repeat(2, 1)[None]
    found = _columns(profile, profile(twins, torch.arange(3).repeat(2))[0])
    assert found["recall at 1 by cosine"] == found["mean AP by distance"] == 1.0
    collapsed = _columns(profile, profile(torch.ones(1, 6, 3), torch.arange(3).repeat(2))[0])
    assert collapsed["recall at 4 by cosine"] == 0.0  # of equally near ones the right one does not come first by luck


def test_neighbours_are_ordered_as_a_plain_sort_orders_them() -> None:
    source = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (150,), generator=source)
    same, itself = labels[:, None] == labels, torch.eye(150, dtype=torch.bool)
    for size in (1e-3, 1.0, 1e3):
        similar = size * torch.randn(2, 150, 150, generator=source)
        order = similar.masked_fill(itself, -torch.inf).argsort(dim=2, descending=True)[:, :, :-1]
        assert torch.equal(_hits(similar, same, itself), torch.gather(same.expand_as(similar), 2, order))


def test_slices_show_what_happens_inside_them() -> None:
    y = torch.tensor([1, 1, 0, 0, 1, 0])
    scores = torch.tensor([[2.0, 2.0, -2.0, -2.0, -2.0, 2.0]])
    inside = torch.tensor([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    profile = BinaryProfile(slices=("young", "old"))
    found = _columns(profile, profile(scores, y, inside)[0])
    assert (found["accuracy in young"], found["accuracy in old"]) == (1.0, 0.0)
    with pytest.raises(ConfigError, match="reads 2 slices and needs to know which rows are in them, got none"):
        profile(scores, y)


def test_columns_of_ones_own() -> None:
    mine = WithColumns(BinaryProfile(), lambda outputs, y: outputs.mean(dim=1, keepdim=True), ["mean score"])
    outputs = torch.randn(2, 9, 1)
    psi = mine(outputs, torch.arange(9) % 2)
    assert psi[:, -1].tolist() == pytest.approx(outputs[..., 0].mean(dim=1).tolist())
    assert mine.columns[-1].name == "mean score"
    assert mine.identity != BinaryProfile().identity
    wrong = WithColumns(BinaryProfile(), lambda outputs, y: outputs, ["one"])
    with pytest.raises(ConfigError, match=r"must be \(n, 1\) for 2 phis"):
        wrong(outputs, torch.arange(9) % 2)


def test_the_identity_is_that_of_the_columns() -> None:
    assert MulticlassProfile(classes=4).identity == MulticlassProfile(classes=4).identity
    some = [(width, slices) for width in (3, 4) for slices in ((), ("old",))]
    made = [PROFILES[kind](*one).identity for kind in PROFILES for one in some]
    kinds = {
        "binary": 2,
        "multiclass": 4,
        "multilabel": 4,
        "values": 2,
        "lists": 2,
        "embeddings": 1,
        "boxes": 1,
        "positions": 4,
    }
    assert len(set(made)) == sum(kinds.values())
