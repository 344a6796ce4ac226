"""Multilayer perceptrons, the paper's tabular network among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from metricopt._errors import ConfigError
from metricopt._perceptron import perceptron
from metricopt.tasks import mlp


def make(features: int = 7, seed: int = 0, **options: object) -> nn.Sequential:
    return mlp(features, generator=torch.Generator().manual_seed(seed), **options)  # type: ignore[arg-type]


def test_it_is_one_flat_sequence() -> None:
    kinds = [type(layer) for layer in make()]
    block = [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU, nn.Dropout]
    assert kinds == block * 3 + [nn.Linear]
    assert [layer.out_features for layer in make() if isinstance(layer, nn.Linear)] == [100, 30, 10, 1]


def test_it_computes_what_the_paper_says() -> None:
    net = perceptron((7, 5, 1), activation=lambda: nn.LeakyReLU(0.2), norm=True, dropout=0.1).eval()
    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    x = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    hidden = (x @ state["0.weight"].T + state["0.bias"]) / np.sqrt(1 + 1e-5)
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    expected = hidden @ state["4.weight"].T + state["4.bias"]
    # float32 sums of seven products
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_weights_come_from_the_generator_and_the_global_state_stays() -> None:
    before = torch.random.get_rng_state()
    first, again, other = make(), make(), make(seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.state_dict()["0.weight"], other.state_dict()["0.weight"])


def test_weights_have_the_usual_spread() -> None:
    weight = make(features=100).state_dict()["0.weight"]
    assert float(weight.abs().max()) <= 0.1
    assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)  # 10,000 uniform draws


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"features": 0}, "widths must be an integer of at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_a_network_that_cannot_be_is_an_error(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make(**options)  # type: ignore[arg-type]
