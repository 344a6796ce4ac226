"""The AnyLoss builder: its amplifier, its closed-form derivatives, and what the papers' codes get wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from confusion_twin import accuracy, matrix_2x2, matrix_kxk, soft_label, soft_row
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import LOSSES, anyloss, get_loss
from metricopt.losses.confusion.amplify import PAPER_AMPLIFICATION, amplified, amplified_classes
from numpy_twin import assert_equals_twin

FAMILY = [name for name in LOSSES if name.startswith("anyloss_")]
PAPERS = {"amplification": PAPER_AMPLIFICATION, "leak": 0.0}


def batch(seed: int, rows: int = 12, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    random = generator(seed, "anyloss")
    targets = (torch.arange(rows) % 3 == 0).long()[torch.randperm(rows, generator=random)]
    return spread * torch.randn(rows, generator=random, dtype=torch.float64), targets


@pytest.mark.parametrize("amplification", [2.0, 10.0, 73.0])
@pytest.mark.parametrize("threshold", [0.5, 0.2])
@pytest.mark.parametrize("leak", [0.0, 0.05])
def test_predictions_are_those_of_the_twin(amplification, threshold, leak):
    scores, targets = batch(0, spread=3.0)
    loss = anyloss(lambda c: (c.tp + c.tn) / c.n, amplification=amplification, threshold=threshold, leak=leak)

    def twin(z, t):
        return 1 - accuracy(matrix_2x2([soft_label(x, amplification, threshold, leak) for x in z], t))

    assert_equals_twin(loss, twin, scores, targets)


@pytest.mark.parametrize("threshold", [None, [0.1, 0.2, 0.6, 0.1]])
@pytest.mark.parametrize("leak", [0.0, 0.05])
def test_predictions_of_classes_are_those_of_the_twin(threshold, leak):
    scores = 2 * torch.randn(9, 4, generator=generator(0, "classes"), dtype=torch.float64)
    targets = torch.arange(9) % 4
    loss = anyloss(lambda c: c.matrix.diagonal().sum() / c.n, threshold=threshold, leak=leak, amplification=20.0)

    def twin(z, t):
        rows = np.array([soft_row(row, 20.0, np.zeros(4) if threshold is None else threshold, leak) for row in z])
        return 1 - accuracy(matrix_kxk(rows, t))

    assert_equals_twin(loss, twin, scores, targets)


@pytest.mark.parametrize("amplification", [10.0, 73.0])
@pytest.mark.parametrize("leak", [0.0, 0.1])
def test_two_classes_are_the_binary_case(amplification, leak):
    scores = torch.linspace(-8, 8, 33, dtype=torch.float64)
    pair = torch.stack([torch.zeros_like(scores), scores], dim=1)
    two = amplified_classes(pair, amplification, None, leak)
    torch.testing.assert_close(two[:, 1], amplified(scores, amplification, 0.5, leak))
    torch.testing.assert_close(two.sum(dim=1), torch.ones_like(scores))
    moved = amplified_classes(pair, amplification, [0.7, 0.3], leak=0.0)
    torch.testing.assert_close(moved[:, 1], amplified(scores, amplification, 0.3, leak=0.0))


def closed_forms(x, theta, y, amplification):
    """The derivatives of the paper for a single-layer perceptron, Eq. by Eq., N being the batch."""
    p = 1 / (1 + np.exp(-x @ theta))
    q = 1 / (1 + np.exp(-amplification * (p - 0.5)))
    inner = amplification * q * (1 - q) * p * (1 - p)
    n, sy, sq, sqy = len(y), y.sum(), q.sum(), (q * y).sum()
    all_, pos = x.T @ inner, x.T @ (inner * y)
    rest = n - sq - sy + sqy
    return {
        "anyloss_accuracy": (all_ - 2 * pos) / n,
        "anyloss_f_beta": -2 * ((sy + sq) * pos - sqy * all_) / (sy + sq) ** 2,
        "anyloss_balanced_accuracy": -(n * pos - sy * all_) / (2 * sy * (n - sy)),
        # The authors' notebook has -2 where -1/2 belongs.
        "anyloss_g_mean": -0.5 * (rest * pos + sqy * (pos - all_)) / np.sqrt(sy * (n - sy) * sqy * rest),
    }


@pytest.mark.parametrize("amplification", [5.0, 73.0])
@pytest.mark.parametrize("name", ["anyloss_accuracy", "anyloss_f_beta", "anyloss_balanced_accuracy", "anyloss_g_mean"])
def test_gradients_are_the_closed_forms_of_the_paper(name, amplification):
    random = generator(1, "perceptron")
    x = torch.randn(40, 5, generator=random, dtype=torch.float64)
    theta = (0.3 * torch.randn(5, generator=random, dtype=torch.float64)).requires_grad_()
    y = (torch.rand(40, generator=random) < 0.3).long()
    loss = get_loss(name, amplification=amplification, leak=0.0)
    (slope,) = torch.autograd.grad(loss(x @ theta, y), theta)
    expected = closed_forms(x.numpy(), theta.detach().numpy(), y.double().numpy(), amplification)[name]
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "anyloss_precision_at_recall"])
@pytest.mark.parametrize("size", [5.0, 20.0, 100.0, 1000.0])
@pytest.mark.parametrize("amplification", [10.0, 73.0])
def test_confident_mistakes_keep_a_gradient(name, size, amplification):
    loss = get_loss(name, amplification=amplification)
    # Two mistakes of the given size among examples that are right; the false positive is first.
    scores = torch.tensor([size, -size, 2.0, -2.0, -1.0, 1.5], requires_grad=True)
    loss(scores, torch.tensor([0, 1, 1, 0, 0, 1])).backward()
    assert scores.grad[0] > 1e-3 / size**2 and scores.grad[1] < -1e-3 / size**2


@pytest.mark.parametrize("size", [5.0, 20.0, 100.0, 1000.0])
@pytest.mark.parametrize("amplification", [10.0, 73.0])
def test_confident_false_alarms_keep_a_gradient_at_a_recall_floor(size, amplification):
    loss = get_loss("anyloss_precision_at_recall", amplification=amplification)
    scores = torch.tensor([size, 2.0, 1.0, -1.0], requires_grad=True)
    loss(scores, torch.tensor([0, 1, 1, 0])).backward()
    assert scores.grad[0] > 1e-3 / size**2


def test_without_the_leak_they_have_none():
    scores = torch.tensor([20.0, -2.0], requires_grad=True)
    get_loss("anyloss_accuracy", **PAPERS)(scores, torch.tensor([0, 1])).backward()
    assert scores.grad[0] == 0


@pytest.mark.parametrize("name", FAMILY)
def test_n_is_that_of_the_batch(name):
    scores, targets = batch(2)
    loss = get_loss(name)
    torch.testing.assert_close(loss(scores.repeat(3), targets.repeat(3)), loss(scores, targets))


def test_gradients_of_gradients_are_right():
    scores, targets = batch(3)
    assert torch.autograd.gradgradcheck(lambda z: get_loss("anyloss_f_beta")(z, targets), scores.requires_grad_())


def test_a_formula_of_ones_own():
    profit = anyloss(lambda c: (5 * c.tp - c.fp) / c.n, higher_is_better=True, amplification=1e6, leak=0.0)
    cost = anyloss(lambda c: (c.fp - 5 * c.tp) / c.n, higher_is_better=False, amplification=1e6, leak=0.0)
    scores, targets = torch.tensor([3.0, 2.0, -1.0, -4.0]), torch.tensor([1, 0, 1, 0])
    assert float(profit(scores, targets)) == pytest.approx(1 - (5 - 1) / 4)
    assert float(cost(scores, targets)) == pytest.approx((1 - 5) / 4)


def test_a_formula_is_averaged_over_labels_and_classes():
    recall = lambda c: c.tp / c.positives
    hard = {"amplification": 1e6, "leak": 0.0}
    labels = torch.tensor([[1, 0], [1, 1], [0, 1], [1, 0]])
    scores = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0]])  # recalls 2/3 and 1/2
    for average, expected in (("macro", (2 / 3 + 1 / 2) / 2), ("micro", 3 / 5), ("weighted", 2 / 3 * 3 / 5 + 1 / 5)):
        value = 1 - anyloss(recall, average=average, **hard)(scores, labels)
        assert float(value) == pytest.approx(expected), average
    classes = torch.eye(3)[[0, 1, 1, 0]]  # class 2 is never predicted, and occurs in no target
    assert float(1 - anyloss(recall, **hard)(classes, torch.tensor([0, 1, 0, 0]))) == pytest.approx((2 / 3 + 1) / 2)


def test_the_matrix_has_targets_as_rows():
    seen = []
    hard = {"amplification": 1e6, "leak": 0.0}
    look = anyloss(lambda c: seen.append(c.matrix) or c.n * c.matrix.sum(), **hard)
    look(torch.eye(3)[[0, 0, 2]], torch.tensor([0, 1, 1]))
    look(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 1]))
    assert seen[0].tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert seen[1].tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amplification": 0.0}, "amplification must be a positive finite number, got 0.0"),
        ({"threshold": 1.0}, "threshold must lie between 0 and 1, got 1.0"),
        ({"threshold": [0.2, 0.3]}, "threshold must have one number for each"),
        ({"leak": 1.0}, "leak must be at least 0 and below 1"),
        ({"average": "mean"}, "average must be one of macro, micro, weighted; got 'mean'"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        anyloss(lambda c: c.tp / c.n, **options)(torch.zeros(3), torch.tensor([0, 1, 0]))


def test_a_threshold_for_each_label():
    scores, targets = torch.zeros(1, 2), torch.ones(1, 2)
    value = anyloss(lambda c: c.tp, threshold=[0.4, 0.6], amplification=1e6, leak=0.0, average="macro")(scores, targets)
    assert math.isclose(float(value), 0.5)


@pytest.mark.parametrize("name", ["anyloss_f_beta", "anyloss_g_mean", "of a formula"])
def test_it_can_be_compiled_as_one_graph(name):
    loss = anyloss(lambda c: c.tp / (c.tp + c.fn + c.fp)) if name == "of a formula" else get_loss(name)
    compiled = torch.compile(loss, backend="eager", fullgraph=True)  # the tracing alone: no compiler is needed
    targets, found = torch.tensor([1, 0, 1, 0]), []
    for one in (loss, compiled):
        scores = torch.tensor([0.3, -0.2, -1.0, 2.0], requires_grad=True)
        value = one(scores, targets)
        value.backward()
        found.append((value.detach(), scores.grad))
    torch.testing.assert_close(found[1], found[0])
