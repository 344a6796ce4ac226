"""Class labels, the scale of numbers, weights of classes, and rows that are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from metricopt._errors import CheckpointError, ConfigError, DataError
from metricopt._parts import folds, holdout
from metricopt._typed import from_json, from_plain, to_json
from metricopt.apps.table.model import ClassLabels, TargetScale, class_weights


@pytest.mark.parametrize(
    "targets",
    [
        ["no", "yes", "maybe", "no"],
        np.array(["b", "a"]),
        pd.Series(["b", "a", "b"], dtype="string"),
        pd.Series(pd.Categorical(["x", "y"])),
        np.array([3, 1, 1]),
        np.array([[3], [1]]),
        [True, False],
        np.array([0.5, 1.5, 0.5]),
        np.array([2, 1.5], dtype=object),
    ],
)
def test_labels_come_back_as_they_were(targets: object) -> None:
    labels = ClassLabels.fit(targets)
    codes = labels.encode(targets)
    assert codes.dtype == torch.long and sorted(set(codes.tolist())) == list(range(len(labels)))
    assert labels.decode(codes).tolist() == np.asarray(targets).reshape(-1).tolist()
    assert from_json(ClassLabels, to_json(labels), "labels") == labels


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["a", "a"], "at least two classes, but every target is 'a'"),
        (["a", None, "b"], "1 of 3 targets are missing"),
        (np.array([1.0, np.nan]), "1 of 2 targets are missing"),
        (["a", 1], "all classes must be text, or all numbers, got int, str"),
        ([], "at least one row, got shape"),
        (np.zeros((2, 2)), "one column"),
    ],
)
def test_targets_that_are_no_classes_are_an_error(targets: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassLabels.fit(targets)


def test_a_label_that_was_not_there_is_an_error_that_lists_the_classes() -> None:
    with pytest.raises(DataError, match="'c' is none of the classes: 'a', 'b'"):
        ClassLabels.fit(["a", "b"]).encode(["c"])


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {},
        {"kind": "text"},
        {"kind": "word", "values": ["a", "b"]},
        {"kind": "text", "values": ["a"]},
        {"kind": "text", "values": ["b", "a"]},
        {"kind": "text", "values": ["a", "a"]},
        {"kind": "text", "values": "ab"},
        {"kind": "text", "values": ["a", 1]},
        {"kind": "integer", "values": [1, 2.5]},
        {"kind": "integer", "values": [False, True]},
        {"kind": "number", "values": [0.0, float("inf")]},
    ],
)
def test_damaged_labels_are_a_checkpoint_error(settings: object) -> None:
    with pytest.raises(CheckpointError, match="not a readable labels"):
        from_plain(ClassLabels, settings, "labels")


def test_a_scale_is_folded_into_the_last_layer() -> None:
    targets = torch.tensor([1e6, 1e6 + 1, 1e6 + 5], dtype=torch.float64)
    scale = TargetScale.fit(targets)
    standard = scale.to_standard(targets)
    assert float(standard.mean()) == pytest.approx(0, abs=1e-6)
    assert float(standard.std(correction=0)) == pytest.approx(1, abs=1e-6)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    expected = scale.to_units(net.double()(x.double()))
    assert torch.allclose(scale.in_units(net.float())(x.double()), expected, rtol=1e-12)


def test_weights_count_in_the_scale() -> None:
    repeated = TargetScale.fit(torch.tensor([1.0, 1.0, 1.0, 5.0]))
    weighted = TargetScale.fit(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 1.0]))
    assert (weighted.center, weighted.spread) == pytest.approx((repeated.center, repeated.spread))


@pytest.mark.parametrize("value", [0.0, 3.3, 1e20])
def test_equal_targets_have_a_spread_of_one(value: float) -> None:
    assert TargetScale.fit(torch.full((7,), value, dtype=torch.float64)).spread == 1.0


def test_targets_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(DataError, match="1 of 2 are not"):
        TargetScale.fit(torch.tensor([1.0, float("nan")]))
    with pytest.raises(ConfigError, match="spread must be positive"):
        TargetScale(center=0.0, spread=0.0)


def test_balanced_weights_make_all_classes_count_the_same() -> None:
    codes = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights(codes, 3, "balanced")
    totals = torch.zeros(3).index_add_(0, codes, weights[codes])
    assert torch.allclose(totals, torch.full((3,), 10 / 3))
    rows = torch.rand(10, generator=torch.Generator().manual_seed(0))
    weighted = class_weights(codes, 3, "balanced", rows=rows)[codes] * rows
    assert torch.allclose(torch.zeros(3).index_add_(0, codes, weighted), rows.sum() / 3)


def test_class_weights_may_be_given_or_left_out() -> None:
    codes = torch.tensor([0, 1])
    assert class_weights(codes, 3, None).tolist() == [1, 1, 1]
    assert class_weights(codes, 3, {1: 4.0}).tolist() == [1, 4, 1]
    assert class_weights(codes, 3, "balanced").tolist() == [1, 1, 1]
    for weight in ("even", {3: 1.0}, {0: -1.0}, {0: float("nan")}, 2.0):
        with pytest.raises(ConfigError, match="class weights"):
            class_weights(codes, 3, weight)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 5), st.floats(0.05, 0.95))
def test_held_out_rows_are_the_share_of_every_class(labels: list[int], seed: int, fraction: float) -> None:
    classes = torch.tensor(labels)
    kept, held = holdout(len(labels), fraction=fraction, seed=seed, classes=classes)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(len(labels)))
    for label in set(labels):
        count = labels.count(label)
        assert int((classes[kept] == label).sum()) >= 1
        assert abs(int((classes[held] == label).sum()) - fraction * count) <= 1


@given(st.lists(st.integers(0, 3), min_size=5, max_size=60), st.integers(0, 5), st.integers(2, 5))
def test_folds_hold_every_row_out_once_and_spread_the_classes(labels: list[int], seed: int, count: int) -> None:
    classes = torch.tensor(labels)
    parts = folds(len(labels), count=count, seed=seed, classes=classes)
    assert sorted(torch.cat([held for _, held in parts]).tolist()) == list(range(len(labels)))
    for kept, held in parts:
        assert sorted([*kept.tolist(), *held.tolist()]) == list(range(len(labels)))
        for label in set(labels):
            assert abs(int((classes[held] == label).sum()) - labels.count(label) / count) < 1


def test_another_seed_holds_other_rows_out() -> None:
    first, again, other = (holdout(100, fraction=0.3, seed=seed)[1].tolist() for seed in (0, 0, 1))
    assert first == again != other and len(first) == 30


def test_a_share_or_a_number_of_folds_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        holdout(10, fraction=1.0, seed=0)
    with pytest.raises(ConfigError, match="one class per row"):
        holdout(10, fraction=0.5, seed=0, classes=torch.zeros(3))
    with pytest.raises(ConfigError, match="count of folds"):
        folds(10, count=1, seed=0)
    with pytest.raises(ConfigError, match="rows must be an integer of at least 3"):
        folds(2, count=3, seed=0)
