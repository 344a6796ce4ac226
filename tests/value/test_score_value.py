"""The value function of scores: a Gaussian process that is what a slow twin says, calibrated, and can be read."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metricopt._errors import CheckpointError, ConfigError
from metricopt.profiles import BinaryProfile, MulticlassProfile, Profile
from metricopt.value import LearnedLoss, LearnedValue, ScoreValue, read_metric

FAMILIES = torch.tensor([0, 0, 1, 1, 1])


def observed(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    psi = torch.rand(count, 5, generator=source, dtype=torch.float64)
    return psi, torch.randn(count, 3, generator=source), 0.5 * psi[:, 0] + 0.3 * psi[:, 3].square() + 0.1


def twin(
    value: ScoreValue, psi: Tensor, z: Tensor, utilities: Tensor, at: Tensor, at_z: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance point by point, in NumPy."""
    log = value.hyperparameters.numpy()
    linear, relevance = np.exp(log[:2]), np.exp(log[2:4])
    bend, left, length, noise = np.exp(log[4]), np.exp(log[5]), np.exp(log[6]), np.exp(log[7]) + 1e-6
    width = np.maximum(psi.numpy().std(axis=0, ddof=1), 2e-3)
    x, other = ((one.numpy() - psi.numpy().mean(axis=0)) / width for one in (psi, at))

    def kernel(a: np.ndarray, b: np.ndarray, za: np.ndarray, zb: np.ndarray) -> float:
        total, bent = 0.1, 0.0
        for family in (0, 1):
            inside = FAMILIES.numpy() == family
            total += linear[family] * np.mean(a[inside] * b[inside])
            bent += relevance[family] * np.mean((a[inside] - b[inside]) ** 2)
        apart = np.mean((za - zb) ** 2)
        return float(total + bend * np.exp(-bent) + left * np.exp(-apart / (2 * length**2)))

    zs, zo = z.double().numpy(), at_z.double().numpy()
    gram = np.array([[kernel(a, b, za, zb) for b, zb in zip(x, zs, strict=True)] for a, za in zip(x, zs, strict=True)])
    cross = np.array(
        [[kernel(a, b, za, zb) for b, zb in zip(x, zs, strict=True)] for a, za in zip(other, zo, strict=True)]
    )
    own = np.array([kernel(a, a, za, za) for a, za in zip(other, zo, strict=True)])
    level, scale = float(utilities.mean()), float(utilities.std())
    inverse = np.linalg.inv(gram + noise * np.eye(len(x)))
    mean = level + scale * cross @ inverse @ ((utilities.numpy() - level) / scale)
    return torch.tensor(mean), scale**2 * torch.tensor(own - np.einsum("ij,jk,ik->i", cross, inverse, cross))


def test_it_is_the_process_of_a_slow_twin() -> None:
    psi, z, utilities = observed(14)
    at, at_z, _ = observed(6, seed=1)
    value = ScoreValue(FAMILIES, reads_phi=True).fit(psi, z, utilities)
    mean, spread = value(at, at_z)
    expected, variance = twin(value, psi, z, utilities, at, at_z)
    assert torch.allclose(mean, expected, atol=1e-8)
    assert torch.allclose(spread.square(), variance, rtol=1e-5, atol=1e-9)
    assert torch.allclose(value.mean(at, at_z), expected, atol=1e-8)


def test_its_slope_is_the_difference_quotient() -> None:
    psi, z, utilities = observed(20)
    value = ScoreValue(FAMILIES, reads_phi=False).fit(psi, z, utilities)
    at = psi[:3].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(value.mean(at).sum(), at)
    step = 1e-5
    for column in range(5):
        moved = torch.zeros(5, dtype=torch.float64)
        moved[column] = step
        quotient = (value.mean(psi[:3] + moved) - value.mean(psi[:3] - moved)) / (2 * step)
        assert torch.allclose(slope[:, column], quotient, atol=1e-5)


@pytest.mark.parametrize(("count", "some"), [(14, 14), (300, 256)])
def test_what_it_learns_is_that_of_a_gradient_taken_by_autograd(count: int, some: int) -> None:
    psi, z, utilities = observed(count)
    value = ScoreValue(FAMILIES, reads_phi=True)
    start = value.hyperparameters.clone()
    value.fit(psi, z, utilities)
    kept = torch.linspace(0, count - 1, some).round().long()  # evenly spaced where there are many
    x = ((psi - psi.mean(dim=0)) / psi.std(dim=0))[kept]
    targets, apart = (
        ((utilities - utilities.mean()) / utilities.std())[kept],
        torch.cdist(z.double(), z.double())[kept][:, kept] ** 2,
    )
    inside = [x[:, FAMILIES == family] for family in (0, 1)]
    log = start.clone().requires_grad_(True)
    adam = torch.optim.Adam([log], lr=0.15)
    for _ in range(40):
        linear, relevance, (bend, left, length, noise) = log[:2].exp(), log[2:4].exp(), log[4:].exp()
        gram = sum(a * (one @ one.T) / one.shape[1] for a, one in zip(linear, inside, strict=True)) + 0.1
        bent = sum(w * torch.cdist(one, one) ** 2 / one.shape[1] for w, one in zip(relevance, inside, strict=True))
        gram = gram + bend * (-bent).exp() + left * (-apart / 3 / (2 * length**2)).exp()
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(some, dtype=torch.float64), gram + (noise + 1e-6) * torch.eye(some, dtype=torch.float64)
        )
        adam.zero_grad()
        (0.08 * (log - start).square().sum() - normal.log_prob(targets)).backward()
        adam.step()
    # 40 steps of Adam carry rounding on: distances are taken in another order.
    assert torch.allclose(value.hyperparameters, log.detach(), atol=1e-7)


def test_it_learns_what_is_a_plain_function_of_the_columns() -> None:
    psi, z, utilities = observed(40)
    value = ScoreValue(FAMILIES, reads_phi=False).fit(psi, z, utilities)
    at, at_z, truth = observed(100, seed=2)
    mean, spread = value(at, at_z)
    assert float((mean - truth).abs().mean()) < 0.1 * float(truth.std())
    assert float(((mean - truth).abs() <= 2 * (spread.square() + value.noise**2).sqrt()).double().mean()) > 0.9


def test_samples_have_the_mean_and_the_covariance_of_the_process() -> None:
    psi, z, utilities = observed(10)
    at, at_z, _ = observed(4, seed=3)
    value = ScoreValue(FAMILIES, reads_phi=True).fit(psi, z, utilities)
    samples = value.samples(at, at_z, 20_000, generator=torch.Generator().manual_seed(0))
    mean, spread = value(at, at_z)
    assert torch.equal(samples[0], mean) or torch.allclose(samples[0], mean)
    assert torch.allclose(samples.mean(dim=0), mean, atol=float(4 * spread.max() / math.sqrt(20_000)))
    assert torch.allclose(samples.std(dim=0), spread, rtol=0.05)


def test_spreads_are_corrected_by_how_far_forecasts_were_off() -> None:
    psi, z, utilities = observed(30)
    value = ScoreValue(FAMILIES, reads_phi=False).fit(psi, z, utilities)
    source = torch.Generator().manual_seed(0)
    unit = 0.05
    for factor in (0.3, 3.0):
        came = factor * math.hypot(unit, value.noise) * torch.randn(500, generator=source, dtype=torch.float64)
        value.calibrate(torch.stack([torch.zeros(500), torch.full((500,), unit), came], dim=1))
        assert value.inflation == pytest.approx(factor, rel=0.3)


def test_a_prior_is_what_is_expected_before_anything_was_observed() -> None:
    psi, z, utilities = observed(30)
    old = ScoreValue(FAMILIES, reads_phi=False).fit(psi, z, utilities)
    new = ScoreValue(FAMILIES, reads_phi=False, prior=old).fit(psi[:1], z[:1], utilities[:1] + 0.2)
    at, at_z, truth = observed(50, seed=4)
    assert torch.allclose(new(at, at_z)[0], truth + 0.2, atol=0.05)


def test_how_far_away_a_profile_is() -> None:
    psi, z, utilities = observed(30)
    value = ScoreValue(FAMILIES, reads_phi=False).fit(psi, z, utilities)
    assert float(value.distance(psi).max()) < 1e-5
    assert float(value.distance(psi + 10).min()) > 10


def made(profile: Profile, psi: Tensor, utilities: Tensor, **changes: object) -> LearnedValue:
    value = ScoreValue(profile.family_index(), reads_phi=False).fit(psi, torch.zeros(len(psi), 1), utilities)
    settings: dict[str, object] = {
        "profile": profile.identity,
        "columns": [column.name for column in profile.columns],
        "families": profile.family_index(),
        "psi": psi,
        "utilities": utilities,
        "hyperparameters": value.hyperparameters,
        "metric": "mine",
        "higher_is_better": True,
    }
    return LearnedValue(**(settings | changes))  # type: ignore[arg-type]


def scores_of_classes(count: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(5)
    y = torch.randint(4, (300,), generator=source)
    base = torch.randn(300, 4, generator=source) + 2 * torch.eye(4)[y]
    shifts = torch.randn(count, 1, 4, generator=source)
    return base + shifts + 0.5 * torch.randn(count, 300, 4, generator=source), y


@pytest.mark.parametrize(
    "weights",
    [{"recall of class 3": 0.6, "recall of class 0": 0.4}, {"class 1 taken for class 2": 0.7, "accuracy": 0.3}],
)
def test_a_metric_with_known_weights_is_read_back(weights: dict[str, float]) -> None:
    profile = MulticlassProfile(classes=4)
    psi = profile(*scores_of_classes(60)).double()
    names = [column.name for column in profile.columns]
    utilities = 0.2 + torch.stack([weight * psi[:, names.index(name)] for name, weight in weights.items()]).sum(dim=0)
    reading = read_metric(made(profile, psi, utilities))
    assert {part.name: pytest.approx(part.weight, abs=1e-4) for part in reading.parts} == weights
    assert reading.fits == pytest.approx(1.0)
    assert sum(part.share for part in reading.parts) == pytest.approx(1.0)


def test_a_metric_that_never_moves_is_not_read() -> None:
    profile = MulticlassProfile(classes=4)
    psi = profile(*scores_of_classes(20)).double()
    reading = read_metric(made(profile, psi, torch.full((20,), 0.5, dtype=torch.float64)))
    assert reading.parts == ()
    assert "could not be told" in str(reading)


def test_the_learned_loss_trains_a_model_toward_the_metric() -> None:
    source = torch.Generator().manual_seed(6)
    x = torch.randn(400, 3, generator=source)
    y = (x[:, 0] + 0.5 * torch.randn(400, generator=source) > 1.0).long()
    profile = BinaryProfile()
    scores = 3 * x[:, 0] + 2 * torch.randn(80, 1, generator=source) + 0.3 * torch.randn(80, 400, generator=source)
    psi = profile(scores, y).double()
    recall = [column.name for column in profile.columns].index("F2")
    learned = made(profile, psi, psi[:, recall], kind="binary")
    loss = LearnedLoss(learned)
    net = torch.nn.Linear(3, 1)
    torch.nn.init.zeros_(net.bias)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
        net.bias.fill_(-2.0)
    stepper = torch.optim.Adam(net.parameters(), 0.05)
    before = float(loss(net(x), y).detach())
    for _ in range(60):
        stepper.zero_grad()
        loss(net(x), y).backward()
        stepper.step()
    after = float(loss(net(x), y).detach())
    f2 = float(profile(net(x).detach().T, y)[0, recall])
    assert after < before - 0.05
    assert f2 == pytest.approx(1 - after, abs=0.05)
    with pytest.raises(ConfigError, match="columns of its own"):
        LearnedLoss(made(profile, psi, psi[:, recall]))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    profile = BinaryProfile()
    psi = torch.rand(5, len(profile.columns), dtype=torch.float64)
    with pytest.raises(ConfigError, match="must be profiles"):
        made(profile, psi, psi[:, 0], columns=["a"])
    with pytest.raises(ConfigError, match="at least two observations"):
        replace(made(profile, psi, psi[:, 0]), psi=psi[:1], utilities=psi[:1, 0])
    with pytest.raises(ConfigError, match="hyper-parameters"):
        made(profile, psi, psi[:, 0], hyperparameters=torch.zeros(3))
    (tmp_path / "learned_value.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        LearnedValue.load(tmp_path)
