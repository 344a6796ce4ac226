"""The log-odds of each class against the rest, which every binary loss takes its classes apart with."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from metricopt._random import generator
from metricopt.losses import LOSSES, get_loss
from metricopt.losses.shapes import one_against_rest


def twin(scores: Tensor) -> Tensor:
    """`z_c - log sum over the others of exp z_j`, one number after the other."""
    rows = []
    for row in scores.tolist():
        top = max(row)
        rest = [sum(math.exp(z - top) for j, z in enumerate(row) if j != c) for c in range(len(row))]
        rows.append([z - top - math.log(r) for z, r in zip(row, rest, strict=True)])
    return torch.tensor(rows, dtype=torch.float64)


def test_it_equals_its_twin_forward_and_backward() -> None:
    scores = torch.randn(40, 5, generator=generator("rest"), dtype=torch.float64).requires_grad_()
    found = one_against_rest(scores)
    torch.testing.assert_close(found, twin(scores.detach()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.sigmoid(), scores.softmax(dim=-1), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(one_against_rest, scores[:4].detach().requires_grad_())
    assert torch.autograd.gradgradcheck(one_against_rest, scores[:4].detach().requires_grad_())


@pytest.mark.parametrize("size", [1e4, 1e6, 1e8, 1e15])
def test_a_number_added_to_all_classes_changes_nothing(size: float) -> None:
    tied = one_against_rest(torch.full((2, 3), size).requires_grad_())
    torch.testing.assert_close(tied, torch.full((2, 3), -math.log(2.0)))
    assert bool(torch.autograd.functional.jacobian(one_against_rest, torch.full((2, 3), size)).isfinite().all())


#: One takes each class by its own sigmoid, the other adds a margin to scores that then are ranked as they are.
NOT_INVARIANT = {"sigmoid_f1", "blackbox_recall"}
OF_CLASSES = [name for name, entry in LOSSES.items() if "multiclass" in entry.card.targets and not entry.card.needs]


@pytest.mark.parametrize("name", [name for name in OF_CLASSES if name not in NOT_INVARIANT])
def test_tied_classes_of_any_size_are_tied(name: str) -> None:
    loss, targets = get_loss(name), torch.tensor([0, 1, 2, 0])
    values = []
    for size in (0.0, 1e8, 1e30):
        scores = torch.full((4, 3), size).requires_grad_()
        value = loss(scores, targets)
        value.backward()
        assert bool(scores.grad.isfinite().all()), scores.grad
        values.append(value.detach())
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(values[2], values[0])
