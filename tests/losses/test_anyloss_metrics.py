"""The ready-made AnyLoss metrics: twins with the textbook formula, and the metric itself as the hard limit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import confusion_twin as cm
from confusion_twin import against_rest, matrix_2x2, matrix_kxk, soft_label, soft_row
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from metricopt.losses.confusion.anyloss_precision_at_recall import quantiles
from metricopt.metrics import get_metric
from numpy_twin import assert_equals_twin

L, LEAK, CLASSES = 12.0, 0.07, 4
SOFT = {"amplification": L, "leak": LEAK}
HARD = {"amplification": 1e7, "leak": 0.0}
COSTS = [[0.0, 1.0, 3.0, 1.0], [2.0, 0.0, 1.0, 4.0], [1.0, 1.0, -1.0, 1.0], [5.0, 1.0, 1.0, 0.0]]

#: Name, options, formula over the 2 x 2 matrix.
BINARY = [
    ("anyloss_accuracy", {}, cm.accuracy),
    ("anyloss_f_beta", {}, cm.f_beta),
    ("anyloss_f_beta", {"beta": 2.0}, lambda m: cm.f_beta(m, 2.0)),
    ("anyloss_jaccard", {}, cm.jaccard),
    ("anyloss_balanced_accuracy", {}, cm.balanced_accuracy),
    ("anyloss_g_mean", {}, cm.g_mean),
    ("anyloss_youden_j", {}, cm.youden_j),
    ("anyloss_mcc", {}, cm.mcc_2x2),
    ("anyloss_kappa", {}, cm.kappa),
    ("anyloss_cost", {"costs": [[0.0, 1.0], [5.0, -1.0]]}, lambda m: 1 - (m[0, 1] + 5 * m[1, 0] - m[1, 1]) / m.sum()),
]
#: Those that have one formula over the K x K matrix; the others are averaged over classes.
WHOLE = {
    "anyloss_accuracy": cm.accuracy,
    "anyloss_balanced_accuracy": cm.balanced_accuracy,
    "anyloss_g_mean": cm.g_mean,
    "anyloss_mcc": cm.mcc,
    "anyloss_kappa": cm.kappa,
    "anyloss_cost": lambda m: 1 - (m * np.array(COSTS)).sum() / m.sum(),
}
AVERAGED = [case for case in BINARY if case[0] not in WHOLE]


def scores_of(seed: int, *shape: int) -> torch.Tensor:
    scores = 2 * torch.randn(shape, generator=generator(seed, "metrics"), dtype=torch.float64)
    scores[1] = scores[0]  # a tie
    return scores


@pytest.mark.parametrize(("name", "options", "formula"), BINARY)
@pytest.mark.parametrize(("seed", "rows"), [(0, 4), (1, 11)])
def test_binary_equals_the_twin(name, options, formula, seed, rows):
    targets = (torch.arange(rows) % 3 == 0).long()

    def twin(z, t):
        return 1 - formula(matrix_2x2([soft_label(x, L, 0.4, LEAK) for x in z], t))

    assert_equals_twin(get_loss(name, threshold=0.4, **SOFT, **options), twin, scores_of(seed, rows), targets)


@pytest.mark.parametrize(("name", "options", "formula"), BINARY)
def test_labels_equal_the_mean_of_twins(name, options, formula):
    targets = torch.stack([torch.arange(8) % 2, torch.arange(8) % 3 // 2, torch.arange(8) % 5 // 4], dim=1)

    def twin(z, t):
        columns = [matrix_2x2([soft_label(x, L, 0.5, LEAK) for x in z[:, c]], t[:, c]) for c in range(z.shape[1])]
        return 1 - np.mean([formula(m) for m in columns])

    assert_equals_twin(get_loss(name, **SOFT, **options), twin, scores_of(2, 8, 3), targets)


@pytest.mark.parametrize("name", WHOLE)
def test_classes_equal_the_twin_of_the_whole_matrix(name):
    options = {"costs": COSTS} if name == "anyloss_cost" else {}
    targets = torch.tensor([0, 1, 2, 3, 1, 3, 0])

    def twin(z, t):
        return 1 - WHOLE[name](matrix_kxk(np.array([soft_row(row, L, 0.0, LEAK) for row in z]), t))

    assert_equals_twin(get_loss(name, **SOFT, **options), twin, scores_of(3, 7, CLASSES), targets)


@pytest.mark.parametrize("name", ["anyloss_balanced_accuracy", "anyloss_g_mean"])
def test_an_absent_class_does_not_count(name):
    targets = torch.tensor([0, 1, 3, 3, 1, 3, 0])

    def twin(z, t):
        return 1 - WHOLE[name](matrix_kxk(np.array([soft_row(row, L, 0.0, LEAK) for row in z]), t))

    assert_equals_twin(get_loss(name, **SOFT), twin, scores_of(3, 7, CLASSES), targets)


@pytest.mark.parametrize(("name", "options", "formula"), AVERAGED)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_classes_equal_the_averaged_twin(name, options, formula, average):
    targets = torch.tensor([0, 1, 3, 3, 1, 3, 0])  # class 2 does not occur

    def twin(z, t):
        whole = matrix_kxk(np.array([soft_row(row, L, 0.0, LEAK) for row in z]), t)
        each = [against_rest(whole, c) for c in range(CLASSES)]
        if average == "micro":
            return 1 - formula(sum(each))
        there = [c for c in range(CLASSES) if (t == c).any()]
        weights = [1.0 if average == "macro" else (t == c).mean() for c in there]
        return 1 - sum(w * formula(each[c]) for w, c in zip(weights, there, strict=True)) / sum(weights)

    loss = get_loss(name, average=average, **SOFT, **options)
    assert_equals_twin(loss, twin, scores_of(4, 7, CLASSES), targets)


@pytest.mark.parametrize("floor", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_precision_at_recall_equals_the_twin(floor):
    targets = (torch.arange(11) % 2).long()

    def twin(z, t):
        positives = sorted((x for x, y in zip(z, t, strict=True) if y == 1), key=lambda x: -x.real)
        bar = next(x for i, x in enumerate(positives) if i + 1 >= floor * len(positives))
        return 1 - cm.precision(matrix_2x2([soft_label(x - bar, L, 0.5, LEAK) for x in z], t))

    scores = 2 * torch.randn(11, generator=generator(5, "metrics"), dtype=torch.float64)  # a tie has no derivative
    assert_equals_twin(get_loss("anyloss_precision_at_recall", floor=floor, **SOFT), twin, scores, targets)


@pytest.mark.parametrize(
    ("name", "options", "metric", "kinds"),
    [
        ("anyloss_accuracy", {}, "accuracy", ("binary", "multiclass", "multilabel")),
        ("anyloss_f_beta", {"beta": 0.5}, "f_beta", ("binary", "multiclass", "multilabel")),
        ("anyloss_jaccard", {}, "jaccard", ("binary", "multiclass", "multilabel")),
        ("anyloss_balanced_accuracy", {}, "balanced_accuracy", ("binary", "multiclass")),
        ("anyloss_g_mean", {}, "g_mean", ("binary", "multiclass")),
        ("anyloss_mcc", {}, "mcc", ("binary", "multiclass")),
        ("anyloss_kappa", {}, "kappa", ("binary", "multiclass")),
    ],
)
def test_the_hard_limit_is_the_metric(name, options, metric, kinds):
    random = generator(6, "hard limit")
    for kind in kinds:
        shape = (60,) if kind == "binary" else (60, CLASSES)
        scores = torch.randn(shape, generator=random, dtype=torch.float64)
        if kind == "multiclass":
            targets = torch.randint(CLASSES, (60,), generator=random)
        else:
            targets = torch.randint(2, shape, generator=random)
        value = get_loss(name, **HARD, **options)(scores, targets)
        assert 1 - value.item() == pytest.approx(get_metric(metric, **options)(scores, targets), abs=1e-6), kind


def test_mean_cost_without_a_table_is_the_error_rate():
    scores, targets = scores_of(7, 9, CLASSES), torch.arange(9) % CLASSES
    torch.testing.assert_close(get_loss("anyloss_cost")(scores, targets), get_loss("anyloss_accuracy")(scores, targets))


def test_costs_of_another_size_are_refused():
    with pytest.raises(ConfigError, match=r"costs must have shape \(2, 2\), rows for targets; got \(3, 3\)"):
        get_loss("anyloss_cost", costs=torch.zeros(3, 3))(torch.zeros(3), torch.zeros(3))


@pytest.mark.parametrize(("floor", "count", "needed"), [(0.6, 25, 15), (0.3, 50, 15), (0.15, 100, 15), (0.9, 11, 10)])
def test_a_recall_that_is_a_whole_number_of_positives_needs_no_more(floor, count, needed):
    columns = torch.arange(float(count)).flip(0)[:, None]
    assert quantiles(columns, torch.ones(count, 1), floor).item() == count - needed


def test_every_percentage_of_every_count_is_exact():
    for count in range(1, 60):
        columns = torch.arange(float(count)).flip(0)[:, None]
        for percent in range(1, 101):
            needed = -(-percent * count // 100)
            assert quantiles(columns, torch.ones(count, 1), percent / 100).item() == count - needed, (count, percent)


@pytest.mark.parametrize("rows", [20_000, 100_000])
@pytest.mark.parametrize("label", [0, 1])
def test_the_correlation_of_one_class_is_nothing_in_float32_too(rows, label):
    scores = torch.randn(rows, generator=generator("mcc")).requires_grad_()
    value = get_loss("anyloss_mcc")(scores, torch.full((rows,), label))
    value.backward()
    assert value.item() == 1.0
    assert bool(scores.grad.isfinite().all())
