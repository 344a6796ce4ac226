"""Eq. 2 and its triplets against slow NumPy twins, forward and backward."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.value.mining import Triplets, fisher_ratio, mine
from metricopt.value.objective import ordinal_loss, regression_loss, value_loss

Array = npt.NDArray[np.float64]


def _data(
    points: int, seed: int, *, lead: tuple[int, ...] = (), width: int = 3
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=stream, dtype=torch.float64)

    return draw(*lead, points), draw(*lead, points, width), draw(*lead, points), 0.02 + 0.2 * draw(*lead, points)


def _twin_triplets(embedding: Array, mean: Array, std: Array) -> list[tuple[int, int, int]]:
    found = []
    count = len(mean)
    for t in range(count):
        ratio = [(mean[t] - mean[s]) ** 2 / (std[t] ** 2 + std[s] ** 2) for s in range(count)]
        distance = [float(np.sqrt(((embedding[t] - embedding[s]) ** 2).sum())) for s in range(count)]
        positives = [s for s in range(count) if s != t and ratio[s] < 2]
        negatives = [s for s in range(count) if ratio[s] >= 2]
        if positives and negatives:
            found.append((t, max(positives, key=distance.__getitem__), min(negatives, key=distance.__getitem__)))
    return found


def _twin_loss(f: Array, g: Array, mean: Array, std: Array, gamma: float) -> tuple[float, Array, Array]:
    """Value of Eq. 2 and its derivatives by f and by g, written out."""
    weight = (1 / std) / (1 / std).sum()
    value = gamma * float((weight * np.abs(f - mean)).sum())
    by_f = gamma * weight * np.sign(f - mean)
    by_g = np.zeros_like(g)
    triplets = _twin_triplets(g, mean, std)
    for t, p, n in triplets:
        to_p, to_n = g[t] - g[p], g[t] - g[n]
        d_p, d_n = np.sqrt((to_p**2).sum()), np.sqrt((to_n**2).sum())
        value += float(np.log1p(np.exp(-(d_n - d_p)))) / len(triplets)
        slope = 1 / (1 + np.exp(d_n - d_p)) / len(triplets)
        by_g[t] += slope * (to_p / d_p - to_n / d_n)
        by_g[p] -= slope * to_p / d_p
        by_g[n] += slope * to_n / d_n
    return value, by_f, by_g


@given(points=st.integers(2, 12), seed=st.integers(0, 10_000))
def test_equals_the_twin_forward_and_backward(points: int, seed: int) -> None:
    f, g, mean, std = _data(points, seed)
    f.requires_grad_()
    g.requires_grad_()
    loss = value_loss(f, g, mean, std)
    by_f, by_g = torch.autograd.grad(loss.total, (f, g))
    twin = _twin_loss(f.detach().numpy(), g.detach().numpy(), mean.numpy(), std.numpy(), 10.0)
    for got, expected in zip((loss.total.detach(), by_f, by_g), twin, strict=True):
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-8, rtol=0)
    assert loss.triplets == len(_twin_triplets(g.detach().numpy(), mean.numpy(), std.numpy()))


def test_gradients_equal_finite_differences() -> None:
    f, g, mean, std = _data(8, 5)
    triplets = mine(g, mean, std)
    assert bool(triplets.valid.any())
    assert torch.autograd.gradcheck(lambda x: ordinal_loss(x, triplets), (g.requires_grad_(),))
    assert torch.autograd.gradcheck(lambda x: regression_loss(x, mean, std), (f.requires_grad_(),))


@given(points=st.integers(2, 10), seed=st.integers(0, 10_000))
def test_mining_equals_the_twin(points: int, seed: int) -> None:
    _, g, mean, std = _data(points, seed)
    found = mine(g, mean, std)
    got = [(t, int(found.positive[t]), int(found.negative[t])) for t in range(points) if bool(found.valid[t])]
    assert got == _twin_triplets(g.numpy(), mean.numpy(), std.numpy())


def test_batches_of_runs_equal_one_run_at_a_time() -> None:
    f, g, mean, std = _data(7, 1, lead=(4,))
    together = value_loss(f, g, mean, std)
    assert together.total.shape == (4,)
    count = 0
    for run in range(4):
        alone = value_loss(f[run], g[run], mean[run], std[run])
        torch.testing.assert_close(together.total[run], alone.total)
        count += alone.triplets
    assert together.triplets == count


def test_members_share_one_target() -> None:
    _, g, mean, std = _data(7, 1, lead=(4,))
    f = torch.rand(4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = value_loss(f, g, mean[0], std[0])
    alone = value_loss(f[2], g[2], mean[0], std[0])
    torch.testing.assert_close(together.total[2], alone.total)


def test_fisher_ratio_and_its_threshold() -> None:
    mean = torch.tensor([0.0, 2.0, 1.9], dtype=torch.float64)
    std = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(
        fisher_ratio(mean, std), torch.tensor([[0.0, 2.0, 1.805], [2.0, 0.0, 0.005], [1.805, 0.005, 0.0]]).double()
    )
    # A ratio of exactly two is a negative.
    found = mine(torch.zeros(3, 1, dtype=torch.float64), mean, std)
    assert found.valid.tolist() == [True, True, False]
    assert (int(found.positive[0]), int(found.negative[0])) == (2, 1)


@pytest.mark.parametrize("std", [1e-3, 100.0])
def test_no_triplet_gives_zero_loss_and_zero_gradient(std: float) -> None:
    # Tiny std: every other point is a negative. Huge std: every other point is a positive.
    f, g, mean, _ = _data(6, 2)
    g.requires_grad_()
    loss = value_loss(f, g, mean, torch.full_like(mean, std))
    assert loss.triplets == 0
    assert loss.ordinal.item() == 0.0
    (slope,) = torch.autograd.grad(loss.total, g)
    assert float(slope.abs().max()) == 0.0


def test_equal_embeddings_have_a_finite_gradient() -> None:
    g = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    mean = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    loss = value_loss(mean, g, mean, torch.full_like(mean, 0.1))
    (slope,) = torch.autograd.grad(loss.total, g)
    assert loss.triplets == 4
    assert loss.ordinal.item() == pytest.approx(np.log(2))
    assert bool(torch.isfinite(slope).all())


@given(seed=st.integers(0, 10_000))
def test_sampled_triplets_are_hard_and_of_the_right_sets(seed: int) -> None:
    _, g, mean, std = _data(12, seed)
    hardest = mine(g, mean, std)
    drawn = mine(g, mean, std, hardness="sampled", generator=torch.Generator().manual_seed(seed))
    assert torch.equal(hardest.valid, drawn.valid)
    ratio, distance = fisher_ratio(mean, std), torch.cdist(g, g)
    for t in drawn.valid.nonzero().flatten().tolist():
        p, n = int(drawn.positive[t]), int(drawn.negative[t])
        assert p != t
        assert float(ratio[t, p]) < 2 <= float(ratio[t, n])
        nearest, farthest = distance[t, hardest.negative[t]], distance[t, hardest.positive[t]]
        assert p == int(hardest.positive[t]) or float(distance[t, p]) > float(nearest)
        assert n == int(hardest.negative[t]) or float(distance[t, n]) < float(farthest)


def test_sampling_depends_on_its_generator_only() -> None:
    _, g, mean, std = _data(40, 0)

    def draw(seed: int) -> Triplets:
        return mine(g, mean, std, hardness="sampled", generator=torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    first = draw(1)
    torch.manual_seed(5)
    assert torch.equal(first.positive, draw(1).positive)
    assert not torch.equal(first.positive, draw(2).positive)
    with pytest.raises(ConfigError, match="needs a generator"):
        mine(g, mean, std, hardness="sampled")
    with pytest.raises(ConfigError, match="hardness must be one of"):
        mine(g, mean, std, hardness="soft")  # type: ignore[arg-type]


def test_switches_change_what_they_should() -> None:
    f, g, mean, std = _data(10, 3)
    full = value_loss(f, g, mean, std)
    plain = value_loss(f, g, mean, std, ordinal=False)
    torch.testing.assert_close(plain.total, 10 * full.regression)
    assert plain.triplets == 0
    assert full.triplets > 0
    even = value_loss(f, g, mean, std, uncertainty=False)
    torch.testing.assert_close(even.regression, (f - mean).abs().mean())
    assert not torch.allclose(even.regression, full.regression)
    same = mine(g, mean, std.mean().expand(10))
    torch.testing.assert_close(even.ordinal, ordinal_loss(g, same))
    torch.testing.assert_close(value_loss(f, g, mean, std, unit=0.5).regression, 2 * full.regression)
    torch.testing.assert_close(value_loss(f, g, mean, std, gamma=1.0).total, full.regression + full.ordinal)


def test_the_floor_keeps_one_certain_point_from_being_all() -> None:
    mean = torch.zeros(3, dtype=torch.float64)
    f = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    std = torch.tensor([1e-9, 0.1, 0.1], dtype=torch.float64)
    loss = value_loss(f, torch.zeros(3, 1, dtype=torch.float64), mean, std, std_floor=0.1)
    assert float(loss.regression) == pytest.approx(1 / 3)
