"""Folding refuses where weights cannot hold the adapter exactly, and says why."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from metricopt._errors import NotFoldable
from metricopt.adapters import Film, OutputShift, attach

X = torch.linspace(-1, 1, 20).reshape(5, 4)


class Then(nn.Module):
    """A Linear, and a function of its output."""

    def __init__(self, then: object) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.fc(x))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 2), nn.Sigmoid()),
        # In place: the same tensor object as the Linear gave, with other numbers in it.
        nn.Sequential(nn.Linear(4, 2), nn.ReLU(inplace=True)),
        Then(lambda y: y.sigmoid_()),
        Then(lambda y: 2 * y),
        Then(lambda y: y.flip(1)),
        nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)),
    ],
)
def test_a_shift_behind_something_else(model: nn.Module) -> None:
    adapted = attach(model.eval(), OutputShift(), probe=X)
    with pytest.raises(NotFoldable, match="not the untouched output"):
        adapted.merged()
    # It still works unfolded.
    phi = torch.tensor([0.5, -0.5, 0.1])
    expected = adapted.tail(0 * phi, adapted.head(X)) * torch.tensor(0.1).exp() + torch.tensor([0.5, -0.5])
    torch.testing.assert_close(adapted.tail(phi, adapted.head(X)), expected)


def test_a_shift_where_the_last_layer_runs_twice() -> None:
    fc = nn.Linear(4, 4)
    adapted = attach(nn.Sequential(fc, nn.ReLU(), fc), OutputShift(), probe=X)
    with pytest.raises(NotFoldable, match="runs once"):
        adapted.merged()


def test_a_shift_along_another_axis() -> None:
    adapted = attach(nn.Conv1d(1, 2, 1), OutputShift(axis=-1), probe=torch.zeros(3, 1, 5))
    assert adapted.spec.dim == 6
    with pytest.raises(NotFoldable, match="class axis -1 is not the channel axis"):
        adapted.merged()


def test_a_weight_that_is_computed() -> None:
    adapted = attach(weight_norm(nn.Linear(4, 2)), Film(), probe=X)
    with pytest.raises(NotFoldable, match="Remove the parametrization"):
        adapted.merged()


def test_a_forward_of_ones_own() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    with pytest.raises(NotFoldable, match="Doubled has a forward of its own"):
        attach(Doubled(4, 2), Film(), probe=X).merged()


def test_a_foreign_hook() -> None:
    model = nn.Linear(4, 2)
    handle = model.register_forward_hook(lambda module, args, output: 2 * output)
    adapted = attach(model, Film(), probe=X)
    with pytest.raises(NotFoldable, match="1 forward hook"):
        adapted.merged()
    handle.remove()
    phi = torch.full((4,), 0.1)
    torch.testing.assert_close(adapted.merged(phi)(X), adapted.tail(phi, adapted.head(X)))


def test_a_refusal_leaves_everything_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Sigmoid())
    adapted = attach(model, [Film(), OutputShift()], probe=X)
    before = adapted(X)
    with pytest.raises(NotFoldable):
        adapted.merged(torch.ones(adapted.spec.dim))
    assert torch.equal(adapted(X), before)
