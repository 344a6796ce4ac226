"""The plug-in between `backward` and `step`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import ConfigError
from metricopt.search import Guide, GuidedES, LossOnly, ValueGradient

Factory = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Factory] = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=0.05),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.05, weight_decay=0.01),
}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hill(phis: Tensor) -> Tensor:
    """Best at 1, where the loss below is worst off: its minimum is at -1."""
    return 1 - 0.1 * (phis - 1).square().sum(dim=1)


def loss(phi: Tensor) -> Tensor:
    return (phi + 1).square().sum()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("shape", [(6,), (3, 6)])
def test_steers_any_optimiser_to_the_metric_and_away_from_the_loss(name: str, shape: tuple[int, ...]) -> None:
    phi = nn.Parameter(torch.zeros(shape))
    optimizer, guide = OPTIMIZERS[name]([phi]), Guide(GuidedES(value=hill, pairs=20), generator=stream())
    for _ in range(400):
        optimizer.zero_grad()
        loss(phi).backward()
        guide.steer(phi)
        optimizer.step()
    assert float(hill(phi.detach().reshape(-1, 6)).min()) > 0.9  # phi = 0 is worth 0.4, the loss's minimum -1.4


@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_puts_the_direction_of_the_source_into_the_gradient_that_is_there(shape: tuple[int, ...]) -> None:
    phi = nn.Parameter(torch.randn(shape, generator=stream(1)))
    loss(phi).backward()
    gradient, before = phi.grad, phi.detach().clone()
    Guide(ValueGradient(value=hill), generator=stream()).steer(phi)
    assert phi.grad is gradient
    assert gradient is not None
    assert torch.allclose(gradient, 0.2 * (before - 1))
    assert torch.equal(phi, before)


def test_the_loss_alone_leaves_the_gradient_as_it_was() -> None:
    phi = nn.Parameter(torch.zeros(3))
    loss(phi).backward()
    Guide(LossOnly(), generator=stream()).steer(phi)
    assert phi.grad is not None
    assert phi.grad.tolist() == [2.0, 2.0, 2.0]


def test_remembers_the_last_k_loss_gradients_and_not_what_it_put_in_their_place() -> None:
    phi, guide = nn.Parameter(torch.zeros(4)), Guide(GuidedES(value=hill, k=2), generator=stream())
    for scale in (1.0, 2.0, 3.0):
        phi.grad = torch.full((4,), scale)
        guide.steer(phi)
    assert guide.state is not None
    assert guide.state.past.tolist() == [[[3.0] * 4, [2.0] * 4]]


def test_same_generator_same_steps() -> None:
    def last(seed: int) -> Tensor:
        phi, guide = nn.Parameter(torch.zeros(4)), Guide(GuidedES(value=hill), generator=stream(seed))
        optimizer = torch.optim.SGD([phi], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            loss(phi).backward()
            guide.steer(phi)
            optimizer.step()
        return phi.detach()

    assert torch.equal(last(0), last(0))
    assert not torch.equal(last(0), last(1))


def test_without_a_backward_call_it_says_what_to_do() -> None:
    phi = nn.Parameter(torch.zeros(3))
    with pytest.raises(ConfigError, match=r"phi has no gradient to steer by; call loss\.backward\(\) before"):
        Guide(LossOnly(), generator=stream()).steer(phi)
