"""Sparse observations of many runs made dense over time, by one batched Gaussian process (paper section 3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._checks import one_of, positive
from .._errors import ConfigError
from .trajectory import Trajectories

Kind = Literal["gp", "linear"]
Share = Literal["all", "none"]

#: Shortest and longest length scale that is tried, as a fraction of the whole run.
_LENGTHS = (0.03, 3.0)
#: Weak log-normal priors (median, spread of the logarithm): they decide only where the data cannot.
_LENGTH_PRIOR = (0.3, 1.0)
_NOISE_PRIOR = (0.05, 2.0)
#: Eigenvalue problems cost M^3; a shared search looks at evenly spaced runs up to this many multiplications.
_SEARCH_COST = 4e6
_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Of the kernel `amplitude^2 exp(-(t-t')^2 / (2 length^2)) + noise^2 [t = t']`, one of each per run.

    `amplitude` and `noise` are standard deviations in utility; `length` is in time scaled to [0, 1]. All `(n,)`.
    """

    amplitude: Tensor
    length: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """Utility at every step of every run: `mean` and `std`, `(n, T)` float64. `std` is that of the mean's curve."""

    mean: Tensor
    std: Tensor
    hyperparameters: Hyperparameters | None = None


@dataclass(frozen=True, kw_only=True)
class _Series:
    """Observations packed to the left: padded entries have mask False, time 0 and value 0."""

    times: Tensor  # (n, M)
    values: Tensor  # (n, M), centred per run
    mask: Tensor  # (n, M)
    centre: Tensor  # (n,)
    queries: Tensor  # (T,)


def interpolate(
    trajectories: Trajectories,
    *,
    kind: Kind = "gp",
    share: Share = "all",
    hyperparameters: Hyperparameters | None = None,
    noise_floor: float = 1e-3,
    prior: bool = True,
) -> Interpolation:
    """Mean and standard deviation of the utility at every step, for all runs at once.

    Gaussian process with RBF kernel and noise, time scaled to [0, 1], observations centred per run. Its
    hyper-parameters maximise the marginal likelihood of the centred observations: exactly, with the centring taken
    into account, so that runs of two or three observations do not bias the amplitude downwards.

    Args:
        trajectories: n runs of T steps, at least one observation each.
        kind: "linear" joins the observations by straight lines instead, with one constant `std` for all.
        share: "all" estimates one set of hyper-parameters for all runs, which suits few observations per run;
            "none" estimates one per run.
        hyperparameters: fixed ones instead of a search.
        noise_floor: least standard deviation of the observation noise, in utility; it keeps `std` above zero.
        prior: weak log-normal priors on length and noise, as much as one observation is worth.

    Returns:
        `mean` and `std`, `(n, T)` float64. Differs from the paper: it calls the second one variance and does not
        say where its hyper-parameters come from.

    Raises:
        ConfigError: a run without any observation.

    >>> runs = Trajectories(runs=1, fingerprint="none", dim=1)
    >>> for step, seen in enumerate([0.2, torch.nan, 0.6]):
    ...     runs.append(step, torch.zeros(1, 1), torch.tensor([seen]))
    >>> curve = interpolate(runs, kind="linear")
    >>> round(curve.mean[0, 1].item(), 6)
    0.4
    """
    one_of("kind", kind, ("gp", "linear"))
    one_of("share", share, ("all", "none"))
    positive("noise_floor", noise_floor)
    series = _packed(trajectories)
    if kind == "linear":
        return _linear(series, noise_floor)
    if hyperparameters is None:
        hyperparameters = _search(series, share, noise_floor, prior)
    return _posterior(series, hyperparameters)


def _packed(trajectories: Trajectories) -> _Series:
    observed, utilities = trajectories.observed, trajectories.utilities
    counts = observed.sum(dim=1)
    if len(trajectories) == 0 or bool((counts == 0).any()):
        empty = (counts == 0).nonzero().flatten().tolist()
        raise ConfigError(f"runs {empty} have no observation; observe every run at least once before interpolating")
    steps = trajectories.steps.double()
    span = (steps[-1] - steps[0]).clamp(min=1.0)
    queries = (steps - steps[0]) / span
    order = torch.argsort(observed.logical_not().byte(), dim=1, stable=True)[:, : int(counts.max())]
    mask = observed.gather(1, order)
    times = torch.where(mask, queries[order], 0.0)
    raw = torch.where(mask, utilities.gather(1, order), 0.0)
    centre = raw.sum(dim=1) / counts
    return _Series(
        times=times,
        values=torch.where(mask, raw - centre[:, None], 0.0),
        mask=mask,
        centre=centre,
        queries=queries,
    )


def _linear(series: _Series, noise_floor: float) -> Interpolation:
    times = series.times.masked_fill(~series.mask, math.inf).contiguous()
    queries = series.queries.expand(len(times), -1).contiguous()
    last = series.mask.sum(dim=1, keepdim=True) - 1
    right = torch.searchsorted(times, queries).clamp(min=1)
    right = torch.minimum(right, last)
    left = (right - 1).clamp(min=0)
    t0, t1 = series.times.gather(1, left), series.times.gather(1, right)
    share = ((queries - t0) / (t1 - t0).clamp(min=1e-12)).clamp(0.0, 1.0)
    share = torch.where(right > left, share, 0.0)
    v0, v1 = series.values.gather(1, left), series.values.gather(1, right)
    mean = series.centre[:, None] + v0 + share * (v1 - v0)
    # Half the mean square of successive differences: the noise a curve without trend would have.
    pairs = series.mask[:, 1:]
    squares = torch.where(pairs, (series.values[:, 1:] - series.values[:, :-1]) ** 2, 0.0)
    std = max(math.sqrt(squares.sum().item() / max(2 * int(pairs.sum()), 1)), noise_floor)
    return Interpolation(mean=mean, std=torch.full_like(mean, std))


def _kernel(a: Tensor, b: Tensor, length: Tensor) -> Tensor:
    """`(n, A)` and `(n, B)` times to `(n, A, B)` correlations."""
    gap = (a[:, :, None] - b[:, None, :]) / length[:, None, None]
    return torch.exp(-0.5 * gap * gap)


def _posterior(series: _Series, hyperparameters: Hyperparameters) -> Interpolation:
    """Mean and std of the process given the observations; runs in chunks, each one batched Cholesky."""
    size = len(series.times)
    amplitude, length, noise = (
        torch.as_tensor(value, dtype=torch.float64).expand(size)
        for value in (hyperparameters.amplitude, hyperparameters.length, hyperparameters.noise)
    )
    chunk = max(1, _CHUNK_NUMBERS // (series.times.shape[1] * max(len(series.queries), series.times.shape[1])))
    means, stds = [], []
    for start in range(0, size, chunk):
        part = slice(start, start + chunk)
        times, mask, variance = series.times[part], series.mask[part], (amplitude[part] ** 2)[:, None, None]
        both = mask[:, :, None] & mask[:, None, :]
        diagonal = torch.where(mask, noise[part, None] ** 2, 1.0)  # a padded row is a row of the identity
        covariance = torch.where(both, variance * _kernel(times, times, length[part]), 0.0) + torch.diag_embed(diagonal)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if bool(failed.any()):
            raise ConfigError("the covariance of the observations is singular; give a larger noise")
        cross = _kernel(times, series.queries.expand(len(times), -1), length[part])
        cross = torch.where(mask[:, :, None], variance * cross, 0.0)
        white = torch.linalg.solve_triangular(factor, cross, upper=False)
        target = torch.linalg.solve_triangular(factor, series.values[part, :, None], upper=False)
        means.append(series.centre[part, None] + (white * target).sum(dim=1))
        stds.append((variance[:, :, 0] - (white * white).sum(dim=1)).clamp(min=1e-12).sqrt())
    found = Hyperparameters(amplitude=amplitude, length=length, noise=noise)
    return Interpolation(mean=torch.cat(means), std=torch.cat(stds), hyperparameters=found)


def _restricted_likelihood(series: _Series, length: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts of the likelihood of centred observations under correlation plus `ratio` times identity.

    One eigenvalue problem per run serves all ratios. Centring removes one direction per run and padding M - m more;
    they have eigenvalue zero, and their share of the determinant is taken out again.

    Returns:
        Quadratic form and log determinant, both `(n, R)`, at unit amplitude.
    """
    mask = series.mask.double()
    counts = mask.sum(dim=1)
    centring = torch.diag_embed(mask) - mask[:, :, None] * mask[:, None, :] / counts[:, None, None]
    matrix = centring @ _kernel(series.times, series.times, length) @ centring
    values, vectors = torch.linalg.eigh(matrix)
    projected = (vectors.transpose(1, 2) @ series.values[:, :, None])[:, :, 0]
    spectrum = values.clamp(min=0.0)[:, :, None] + ratios
    quadratic = (projected[:, :, None] ** 2 / spectrum).sum(dim=1)
    surplus = mask.shape[1] - counts + 1
    return quadratic, spectrum.log().sum(dim=1) - surplus[:, None] * ratios.log()


def _search(series: _Series, share: Share, noise_floor: float, prior: bool) -> Hyperparameters:
    """Grid over length, then halving steps around the best; amplitude in closed form, noise over a fine grid."""
    size = len(series.times)
    if share == "all":
        series = _spaced(series)
    ratios = torch.logspace(-6, 1, 57, dtype=torch.float64)
    groups = 1 if share == "all" else len(series.times)
    best = torch.full((4, groups), math.inf, dtype=torch.float64)  # cost, length, ratio, amplitude^2
    grid = torch.logspace(math.log10(_LENGTHS[0]), math.log10(_LENGTHS[1]), 13, dtype=torch.float64)
    for length in grid:
        best = _better(best, series, length.expand(groups), ratios, noise_floor, prior)
    width = math.log(_LENGTHS[1] / _LENGTHS[0]) / 12
    for _ in range(4):
        width /= 2
        middle = best[1].clone()
        for sign in (-1.0, 1.0):
            candidate = (middle * math.exp(sign * width)).clamp(*_LENGTHS)
            best = _better(best, series, candidate, ratios, noise_floor, prior)
    _, length, ratio, variance = (row.expand(size) if groups == 1 else row for row in best)
    return Hyperparameters(amplitude=variance.sqrt(), length=length, noise=(variance * ratio).sqrt())


def _better(best: Tensor, series: _Series, length: Tensor, ratios: Tensor, noise_floor: float, prior: bool) -> Tensor:
    groups = best.shape[1]
    quadratic, determinant = _restricted_likelihood(series, length.expand(len(series.times)), ratios)
    freedom = (series.mask.sum(dim=1) - 1).double()[:, None]
    if groups == 1:
        quadratic, determinant, freedom = (x.sum(dim=0, keepdim=True) for x in (quadratic, determinant, freedom))
    # noise = ratio * amplitude^2 must stay above its floor, so the amplitude has one as well.
    variance = torch.maximum(quadratic / freedom.clamp(min=1.0), noise_floor**2 / ratios)
    cost = 0.5 * (quadratic / variance + freedom * variance.log() + determinant)
    if prior:
        cost = cost + 0.5 * ((length.log()[:, None] - math.log(_LENGTH_PRIOR[0])) / _LENGTH_PRIOR[1]) ** 2
        cost = cost + 0.5 * ((ratios.log() - math.log(_NOISE_PRIOR[0])) / _NOISE_PRIOR[1]) ** 2
    lowest, index = cost.min(dim=1)
    candidate = torch.stack([lowest, length, ratios[index], variance.gather(1, index[:, None])[:, 0]])
    return torch.where(lowest < best[0], candidate, best)


def _spaced(series: _Series) -> _Series:
    """Evenly spaced runs, as many as the search can afford."""
    size, width = series.times.shape
    keep = min(size, max(8, int(_SEARCH_COST / width**3)))
    index = torch.linspace(0, size - 1, keep, dtype=torch.float64).round().long()
    return _Series(
        times=series.times[index],
        values=series.values[index],
        mask=series.mask[index],
        centre=series.centre[index],
        queries=series.queries,
    )
