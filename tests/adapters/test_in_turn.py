"""Models that `vmap` cannot map run phi by phi, with the same outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metricopt._vmap_or_loop import VmapOrLoop
from metricopt.adapters import InputBias, LoRA, OutputShift, attach
from metricopt.adapters.kernels import differentiable_recurrence, recurs


class Recurrent(nn.Module):
    """An embedding, a recurrent layer and a head; or numbers in the place of the embedding."""

    def __init__(self, layer: type[nn.RNNBase]) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.layer = layer(4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.first(x))[0][:, -1])


class Looks(nn.Module):
    """Its forward looks at values and writes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(x[:, -1])
        if hidden.mean().item() > 0:
            hidden = hidden * 2
        return self.head(hidden)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "rnn": lambda: Recurrent(nn.RNN),
    "looks": Looks,
    "in a Sequential": lambda: nn.Sequential(Recurrent(nn.LSTM), nn.ReLU(), nn.Linear(2, 2)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("own", [False, True])
def test_outputs_and_gradients_equal_those_of_each_phi_alone(name: str, own: bool) -> None:
    torch.manual_seed(0)
    model, x = MODELS[name]().eval(), torch.randn(3, 6, 4, 3)
    adapted = attach(model, [InputBias(), LoRA(rank=1), OutputShift()], probe=x[0])
    phis = (0.5 * torch.randn(3, adapted.spec.dim)).requires_grad_()
    for _ in range(2):  # the second time it is known that they run in turn
        if own:
            outputs = adapted.outputs_each(phis, adapted.head(x.flatten(0, 1)).unflatten(0, (3, 6)))
        else:
            outputs = adapted.outputs(phis, adapted.head(x[0]))
        alone = torch.stack([adapted.tail(phi, adapted.head(x[i if own else 0])) for i, phi in enumerate(phis)])
        torch.testing.assert_close(outputs, alone)
        weights = torch.randn_like(outputs)
        found, wanted = (torch.autograd.grad((weights * one).sum(), phis)[0] for one in (outputs, alone))
        torch.testing.assert_close(found, wanted)


def test_what_is_wrong_with_the_code_itself_is_told_in_its_own_words() -> None:
    def wrong(x: Tensor) -> Tensor:
        return x @ torch.zeros(7)

    with pytest.raises(RuntimeError, match="size"):
        VmapOrLoop()("wrong", wrong, torch.zeros(2, 3))


def test_a_function_that_can_be_mapped_is_called_once() -> None:
    calls = []

    def twice(x: Tensor) -> Tensor:
        calls.append(x)
        return 2 * x

    each = VmapOrLoop()
    assert each("twice", twice, torch.arange(3.0)).tolist() == [0, 2, 4]
    assert len(calls) == 1


def test_what_cannot_be_mapped_is_tried_once() -> None:
    calls = []

    def looks(x: Tensor) -> Tensor:
        calls.append(x)
        return x if x.item() > 0 else -x

    each = VmapOrLoop()
    for _ in range(2):
        assert each("looks", looks, torch.tensor([-1.0, 2.0])).tolist() == [1, 2]
    assert len(calls) == 1 + 2 + 2


def test_nests_and_shared_arguments() -> None:
    def looks(pair: tuple[Tensor, Tensor], shared: Tensor) -> dict[str, Tensor]:
        return {"sum": pair[0] + pair[1].item() + shared.sum()}

    found = VmapOrLoop()(
        "looks", looks, (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])), torch.ones(5), in_dims=(0, None)
    )
    assert found["sum"].tolist() == [9, 11]


def test_cudnn_is_off_where_a_recurrent_layer_needs_a_gradient_on_a_gpu() -> None:
    assert recurs(Recurrent(nn.GRU))
    assert not recurs(Looks())
    before = torch.backends.cudnn.enabled
    with differentiable_recurrence(torch.device("cuda")):
        assert not torch.backends.cudnn.enabled
    assert torch.backends.cudnn.enabled == before
    with differentiable_recurrence(torch.device("cpu")):
        assert torch.backends.cudnn.enabled == before
