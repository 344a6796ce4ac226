"""g(psi, phi) -> utility: a Gaussian process on profiles of scores, with one relevance a family of columns."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from .._adam import Adam

#: A column that hardly moves is not blown up: spreads below this count as this.
_LEAST_SPREAD = 2e-3
#: The same for utilities.
_LEAST_SCALE = 1e-4
#: Steps of the fit, and its rate. The prior holds the logarithms of the hyper-parameters near where they start.
_STEPS, _RATE, _PRIOR = 40, 0.15, 0.08
#: Hyper-parameters are fitted anew when there are this many times as many observations.
_GROWN = 1.25
#: Hyper-parameters are learned from at most so many observations, evenly spaced; the function, from all.
_LEARNED_FROM = 256
#: The level of a metric is not known exactly.
_LEVEL = 0.1
#: Variance of the least noise, as a part of what utilities vary.
_LEAST_NOISE = 1e-6
#: Spreads are corrected by what the last so many forecasts were off, within these bounds.
_FORECASTS, _LOWEST, _HIGHEST = 60, 0.05, 4.0


@final
class ScoreValue:
    """What a metric is expected to be, and how unsure that is, for any model whose profile is known.

    k = sum_f a_f <x, x'>_f / D_f + b exp(-sum_f w_f |x - x'|_f^2 / D_f) + c exp(-|z - z'|^2 / (2 l^2 d)) + noise

    x are the columns of the profile, standardised by the observations; f runs over their families, D_f is the size of
    one. z = phi / phi_scale stands for what the profile does not say of one model; without it (`reads_phi=False`) the
    function is about the metric alone, and travels to other models. a, b, w, c, l and the noise maximise the
    likelihood of the observations under a weak prior.

    Args:
        families: `(K,)`, the number of each column's family, see `Profile.family_index`.
        reads_phi: whether z counts.
        prior: what is expected before anything is observed: a function that was learned on another model.
    """

    def __init__(self, families: Tensor, *, reads_phi: bool, prior: ScoreValue | None = None) -> None:
        self._families = families
        self._sizes = torch.bincount(families).double()
        self._reads_phi = reads_phi
        self._prior = prior
        count = len(self._sizes)
        # log a_f, log w_f, log b, log c, log l, log noise
        start = [*[-1.0] * count, *[-2.0 - math.log(count)] * count, -1.0, -3.0, 0.0, -4.0]
        self._start = torch.tensor(start, dtype=torch.float64)
        self.hyperparameters = self._start.clone()
        self._fitted_to = 0
        #: Multiplies every spread: learned from how far forecasts were off.
        self.inflation = 1.0

    # --- learning ---------------------------------------------------------------------------------

    def fit(self, psi: Tensor, z: Tensor, utilities: Tensor, *, keep: bool = False) -> ScoreValue:
        """Learn from profiles `(m, K)`, points `(m, d)` and utilities `(m,)`.

        Args:
            psi: of the examples that the metric was asked about.
            z: phi / phi_scale; not read where `reads_phi` is False.
            utilities: what came back.
            keep: leave the hyper-parameters as they are.
        """
        self._centre = psi.double().mean(dim=0)
        several = len(psi) > 1  # of a single observation nothing is known but itself
        width = psi.double().std(dim=0) if several else torch.ones(psi.shape[1], dtype=torch.float64)
        self._width = width.clamp_min(_LEAST_SPREAD)
        expected = self._expected(psi)
        residual = utilities.double() - expected
        self._level = residual.mean()
        self._scale = (residual.std() if several else torch.zeros((), dtype=torch.float64)).clamp_min(_LEAST_SCALE)
        if self._prior is not None:  # few observations must not make it sure of itself
            self._scale = torch.maximum(self._scale, 0.2 * self._prior._scale)
        self._x, self._z = self._standard(psi), z.double()
        targets = (residual - self._level) / self._scale
        if not keep and len(targets) >= _GROWN * self._fitted_to and len(targets) > 2:
            self._learn(targets)
            self._fitted_to = len(targets)
        kernel = self._kernel(self._x, self._z, self._x, self._z)
        self._factor = _cholesky(kernel + self._noise * _eye(targets))
        self._weights = torch.cholesky_solve(targets[:, None], self._factor)[:, 0]
        return self

    def calibrate(self, forecasts: Tensor) -> None:
        """Correct the spreads by forecasts `(k, 3)`: mean and raw spread that were expected, utility that came.

        So that about 95 % of later observations fall within two spreads.
        """
        last = forecasts[-_FORECASTS:].double()
        if not len(last):
            return
        squared = (last[:, 2] - last[:, 0]).square() / (last[:, 1].square() + self.noise**2).clamp_min(1e-18)
        # A single miss must not blow everything up, nor a few hits make it sure.
        typical = (squared.clamp_max(25.0).sum() + 2.0) / (len(last) + 2)
        self.inflation = float(typical.sqrt().clamp(_LOWEST, _HIGHEST))

    # --- asking -----------------------------------------------------------------------------------

    def __call__(self, psi: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and spread `(n,)` of the utility; differentiable in both arguments."""
        x, point = self._standard(psi), z.double()
        cross = self._kernel(x, point, self._x, self._z)
        mean = self._expected(psi) + self._level + self._scale * (cross @ self._weights)
        solved = torch.cholesky_solve(cross.T, self._factor)
        variance = (self._own(x) - (cross * solved.T).sum(dim=1)).clamp_min(1e-9)
        return mean, self.inflation * self._scale * variance.sqrt()

    def mean(self, psi: Tensor, z: Tensor | None = None) -> Tensor:
        """The mean alone `(n,)`."""
        point = torch.zeros(len(psi), self._z.shape[1], dtype=torch.float64) if z is None else z.double()
        cross = self._kernel(self._standard(psi), point, self._x, self._z)
        return self._expected(psi) + self._level + self._scale * (cross @ self._weights)

    def samples(self, psi: Tensor, z: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
        """`(count, n)` joint samples of the utilities at n points; the first one is the mean itself."""
        x, point = self._standard(psi), z.double()
        cross = self._kernel(x, point, self._x, self._z)
        within = self._kernel(x, point, x, point)
        covariance = within - cross @ torch.cholesky_solve(cross.T, self._factor)
        mean = self._expected(psi) + self._level + self._scale * (cross @ self._weights)
        normal = torch.randn(count, len(psi), generator=generator, dtype=torch.float64)
        normal[:1] = 0.0
        spread = self.inflation * self._scale * _cholesky(covariance)
        return mean + normal @ spread.T

    @property
    def noise(self) -> float:
        """Standard deviation of what no profile explains, before `inflation`."""
        return float(self._scale * self._noise.sqrt())

    def distance(self, psi: Tensor) -> Tensor:
        """How far profiles `(n, K)` lie from the nearest observed one, in spreads of what was observed: `(n,)`.

        Up to about 1 is where observations lie among each other.
        """
        x = self._standard(psi)
        return torch.cdist(x, self._x).amin(dim=1) / math.sqrt(x.shape[1])

    # --- inside -----------------------------------------------------------------------------------

    def _expected(self, psi: Tensor) -> Tensor:
        return torch.zeros(len(psi), dtype=torch.float64) if self._prior is None else self._prior.mean(psi)

    def _standard(self, psi: Tensor) -> Tensor:
        return (psi.double() - self._centre) / self._width

    def _kernel(self, x: Tensor, z: Tensor, y: Tensor, other: Tensor) -> Tensor:
        """Covariances `(n, m)` of what is expected at two sets of points."""
        count, log = len(self._sizes), self.hyperparameters
        linear, root = self._each(log[:count]), self._each(log[count : 2 * count]).sqrt()
        bend, left, length = log[2 * count].exp(), log[2 * count + 1].exp(), log[2 * count + 2].exp()
        kernel = (x * linear) @ y.T + bend * (-_squared(x * root, y * root)).exp() + _LEVEL
        if self._reads_phi:
            kernel = kernel + left * (-_squared(z, other) / z.shape[1] / (2 * length.square())).exp()
        return kernel

    def _own(self, x: Tensor) -> Tensor:
        """The prior variance at each point `(n,)`."""
        count, log = len(self._sizes), self.hyperparameters
        total = torch.zeros(len(x), dtype=torch.float64) + _LEVEL + log[2 * count].exp()
        if self._reads_phi:
            total = total + log[2 * count + 1].exp()
        return total + x.square() @ self._each(log[:count])

    def _each(self, log: Tensor) -> Tensor:
        """Weights of families as weights of their columns `(K,)`."""
        return (log.exp() / self._sizes)[self._families]

    @property
    def _noise(self) -> Tensor:
        """Its variance, as a part of what utilities vary."""
        return self.hyperparameters[-1].exp() + _LEAST_NOISE

    def _learn(self, targets: Tensor) -> None:
        """Adam on the likelihood, with its slope written out: each step is one factor and one inverse."""
        some = torch.linspace(0, len(targets) - 1, min(len(targets), _LEARNED_FROM)).round().long()
        x, z, targets = self._x[some], self._z[some], targets[some]
        count, eye = len(self._sizes), _eye(targets)
        inside = [x[:, self._families == family] for family in range(count)]
        products = torch.stack([one @ one.T / size for one, size in zip(inside, self._sizes, strict=True)])
        squares = torch.stack([_squared(one, one) / size for one, size in zip(inside, self._sizes, strict=True)])
        apart = _squared(z, z) / z.shape[1] if self._reads_phi else None
        point, adam = self.hyperparameters.clone(), Adam(_RATE)
        for _ in range(_STEPS):
            linear, relevance = point[:count].exp(), point[count : 2 * count].exp()
            bend, left, length, noise = point[2 * count :].exp()
            bent = bend * (-torch.tensordot(relevance, squares, 1)).exp()
            kernel = torch.tensordot(linear, products, 1) + bent + _LEVEL + (noise + _LEAST_NOISE) * eye
            if apart is not None:
                near = left * (-apart / (2 * length.square())).exp()
                kernel = kernel + near
            factor, failed = torch.linalg.cholesky_ex(kernel)
            if int(failed):
                break
            weights = torch.cholesky_solve(targets[:, None], factor)
            # The slope of the surprise, 1/2 (t' K^-1 t + log det K), by the kernel.
            outer = 0.5 * (torch.cholesky_inverse(factor) - weights @ weights.T)
            slope = 2 * _PRIOR * (point - self._start)
            slope[:count] += linear * torch.tensordot(products, outer, 2)
            slope[count : 2 * count] -= relevance * torch.tensordot(squares, bent * outer, 2)
            slope[2 * count] += (bent * outer).sum()
            if apart is not None:
                slope[2 * count + 1] += (near * outer).sum()
                slope[2 * count + 2] += (near * apart * outer).sum() / length.square()
            slope[-1] += noise * outer.trace()
            if not bool(slope.isfinite().all()):
                break
            adam.step(point, slope)
        self.hyperparameters = point


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances `(n, m)`."""
    found = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None, :] - 2 * a @ b.T
    return found.clamp_min(0)


def _eye(like: Tensor) -> Tensor:
    return torch.eye(len(like), dtype=torch.float64)


def _cholesky(matrix: Tensor) -> Tensor:
    """The factor of a matrix that is positive up to rounding: with as little on its diagonal as makes it so."""
    typical = float(matrix.diagonal().mean().clamp_min(1e-12))
    for jitter in (0.0, 1e-8, 1e-6, 1e-4, 1e-2):
        factor, failed = torch.linalg.cholesky_ex(matrix + jitter * typical * _eye(matrix))
        if not int(failed):
            break
    else:
        factor = torch.diag_embed(matrix.diagonal().clamp_min(1e-12).sqrt())
    found: Tensor = factor
    return found
