"""Lovász hinge and Lovász-softmax against the definition of the Lovász extension."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._random import generator
from metricopt.losses import get_loss
from metricopt.losses.confusion.lovasz import lovasz_extension
from numpy_twin import assert_equals_twin, magnitude, sigmoid, softmax


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "lovasz"), dtype=torch.float64)


def jaccard_loss(wrong, truth):
    """One minus the Jaccard index where exactly the examples in `wrong` are mistaken."""
    called = {i for i, t in enumerate(truth) if (t == 1) != (i in wrong)}
    true = {i for i, t in enumerate(truth) if t == 1}
    return 1 - len(called & true) / len(called | true) if called | true else 0.0


def extension(errors, truth):
    """Definition 4 of the paper: sum of m_pi(i) (J({pi_1..pi_i}) - J({pi_1..pi_i-1}))."""
    order = sorted(range(len(errors)), key=lambda i: -complex(errors[i]).real)
    return sum(
        errors[i] * (jaccard_loss(set(order[: k + 1]), truth) - jaccard_loss(set(order[:k]), truth))
        for k, i in enumerate(order)
    )


def hinge(x, t):
    margin = 1 - (2 * t - 1) * x
    return margin if complex(margin).real > 0 else 0.0


@pytest.mark.parametrize("targets", [[0, 1, 1, 0, 0, 1, 0], [0] * 7, [1] * 7])
def test_binary_hinge_equals_the_twin(targets):
    def twin(z, t):
        return extension([hinge(x, y) for x, y in zip(z, t, strict=True)], t)

    assert_equals_twin(get_loss("lovasz_hinge"), twin, scores_of(7), torch.tensor(targets))


def test_hinge_of_labels_and_classes_equals_the_mean_of_twins():
    def twin(z, t):
        return np.mean(
            [extension([hinge(x, y) for x, y in zip(z[:, c], t[:, c], strict=True)], t[:, c]) for c in (0, 1, 2)]
        )

    def of_classes(z, t):
        probabilities = np.array([softmax(row) for row in z])
        return twin(np.log(probabilities / (1 - probabilities)), np.eye(3, dtype=int)[t])

    labels = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1]])
    assert_equals_twin(get_loss("lovasz_hinge"), twin, scores_of(4, 3), labels)
    assert_equals_twin(get_loss("lovasz_hinge"), of_classes, scores_of(5, 3), torch.tensor([0, 1, 1, 0, 0]))


@pytest.mark.parametrize("classes", ["present", "all"])
def test_softmax_equals_the_twin(classes):
    def twin(z, t):
        probabilities = np.array([softmax(row) for row in z])
        chosen = [c for c in range(3) if classes == "all" or (t == c).any()]
        values = []
        for c in chosen:
            truth = (t == c).astype(int)
            errors = [magnitude(y - p) for y, p in zip(truth, probabilities[:, c], strict=True)]
            values.append(extension(errors, truth))
        return np.mean(values)

    assert_equals_twin(
        get_loss("lovasz_softmax", classes=classes), twin, scores_of(6, 3), torch.tensor([0, 1, 1, 0, 0, 1])
    )


def test_softmax_of_binary_scores_and_labels_reads_sigmoids():
    def twin(z, t):
        z, t = z.reshape(len(z), -1), t.reshape(len(t), -1)
        columns = range(z.shape[1])
        errors = [[magnitude(y - sigmoid(x)) for x, y in zip(z[:, c], t[:, c], strict=True)] for c in columns]
        return np.mean([extension(errors[c], t[:, c]) for c in columns])

    assert_equals_twin(get_loss("lovasz_softmax"), twin, scores_of(6), torch.tensor([0, 1, 1, 0, 0, 1]))
    assert_equals_twin(get_loss("lovasz_softmax"), twin, scores_of(4, 3), torch.eye(4, 3).long())


@given(seed=st.integers(0, 10**6))
def test_on_hard_errors_the_extension_is_the_jaccard_loss(seed):
    random = generator(seed, "hard errors")
    truth, wrong = torch.randint(2, (2, 6), generator=random)
    value = lovasz_extension(wrong.double(), truth.double())
    assert value.item() == pytest.approx(jaccard_loss(set(wrong.nonzero().flatten().tolist()), truth.tolist()))


@given(seed=st.integers(0, 10**6))
def test_ties_do_not_depend_on_the_order(seed):
    random = generator(seed, "ties")
    scores = torch.randint(-1, 2, (9,), generator=random).double()
    targets = torch.randint(2, (9,), generator=random)
    order = torch.randperm(9, generator=random)
    for name in ("lovasz_hinge", "lovasz_softmax"):
        loss = get_loss(name)
        torch.testing.assert_close(loss(scores[order], targets[order]), loss(scores, targets))
