"""Trust-region Bayesian optimisation over phi (TuRBO-1), by botorch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from .._checks import at_least, positive
from .._extras import require
from .._random import derive_seed
from .._random import generator as named_generator
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget

#: Side of the trust region, in units of the box: first, largest, and the one below which it has collapsed.
_FIRST_LENGTH, _LARGEST_LENGTH, _SMALLEST_LENGTH = 0.8, 1.6, 0.5**7
#: Rounds of progress in a row that double the side.
_SUCCESSES = 3


@final
@dataclass(frozen=True, kw_only=True)
class TrustRegionBO(Method):
    """TuRBO-1 over `z = phi / phi_scale` in the box [-box, box]^d: phi = 0, a Sobol design, then rounds of Thompson
    samples.

    A round fits a Gaussian process to what was observed since the last restart, spreads candidates over a box around
    the best point, its sides scaled by the lengthscales, and observes the best candidates of `batch` posterior
    samples. The box doubles after 3 rounds of progress in a row and halves after max(4, d) / batch rounds of none;
    once it has collapsed, everything starts anew with another Sobol design.

    Differs from the paper: candidates are 1,000 by default instead of up to 5,000, and the fit of the
    hyper-parameters stops after `fit_steps` L-BFGS steps, which makes 200 metric calls a matter of seconds.

    Args:
        box: half the side of the box, in units of `Problem.phi_scale`.
        batch: metric calls in a round, q.
        initial: points in a Sobol design; None takes 2 d, at most 64.
        candidates: points on which a posterior sample is drawn.
        fit_steps: the most steps of one fit.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="trust-region Bayesian optimisation", family="rival", paper="Eriksson et al., NeurIPS 2019", extra="bo"
    )

    box: float = 3.0
    batch: int = 8
    initial: int | None = None
    candidates: int = 1000
    fit_steps: int = 50

    def __post_init__(self) -> None:
        positive("box", self.box)
        at_least("batch", self.batch, 1)
        if self.initial is not None:
            at_least("initial", self.initial, 1)
        at_least("candidates", self.candidates, self.batch)
        at_least("fit_steps", self.fit_steps, 1)

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, "trust-region Bayesian optimisation")
        _package("botorch")  # a missing extra is told before anything is spent
        generator = named_generator(seed, "trust region")
        points = torch.full((1, problem.dim), 0.5, dtype=torch.float64)  # phi = 0, in the unit cube
        utilities = self._observe(problem, points)
        restarts, rounds, region = -1, 0, Region(dim=problem.dim, batch=self.batch)
        while problem.affordable(1):
            restarts += 1
            region = Region(dim=problem.dim, batch=self.batch)
            if restarts:
                points, utilities = points[:0], utilities[:0]
            design = sobol(
                self.initial or min(2 * problem.dim, 64), problem.dim, seed=derive_seed(seed, "design", restarts)
            )
            points, utilities = self._extend(problem, points, utilities, design)
            while problem.affordable(1) and not region.collapsed:
                best = float(utilities.max())
                proposed = self._propose(points, utilities, region, generator)
                points, utilities = self._extend(problem, points, utilities, proposed)
                region = region.after(best=best, now=float(utilities.max()))
                rounds += 1
        diagnostics = {"rounds": float(rounds), "restarts": float(max(restarts, 0)), "region": region.length}
        return best_observed(problem, diagnostics)

    def _observe(self, problem: Problem, points: Tensor) -> Tensor:
        z = (2 * points - 1) * self.box
        return observe_within_budget(problem, problem.phi_scale * z.to(problem.phi_scale))

    def _extend(self, problem: Problem, points: Tensor, utilities: Tensor, more: Tensor) -> tuple[Tensor, Tensor]:
        observed = self._observe(problem, more)
        return torch.cat([points, more[: len(observed)]]), torch.cat([utilities, observed])

    def _propose(self, points: Tensor, utilities: Tensor, region: Region, generator: torch.Generator) -> Tensor:
        """The next `(batch, d)` points in the unit cube."""
        center = points[int(utilities.argmax())]
        spread = utilities.std(correction=0)
        if not spread > 0:  # nothing to learn from: look around
            return candidates_around(center, region, torch.ones_like(center), self.batch, generator)
        with _known_warnings():
            model = fit_process(points, (utilities - utilities.mean()) / spread, steps=self.fit_steps)
            lengthscales = model.covar_module.base_kernel.lengthscale.detach().reshape(-1)
            candidates = candidates_around(center, region, lengthscales, self.candidates, generator)
            samples = posterior_samples(model, candidates, self.batch, generator)
        return candidates[_best_of_each(samples)]


@final
@dataclass(frozen=True, kw_only=True)
class Region:
    """How large the trust region is, and what its size depends on.

    >>> region = Region(dim=4, batch=4).after(best=0.5, now=0.5)
    >>> region.length
    0.4
    """

    dim: int
    batch: int
    length: float = _FIRST_LENGTH
    successes: int = 0
    failures: int = 0

    @property
    def collapsed(self) -> bool:
        return self.length < _SMALLEST_LENGTH

    def after(self, *, best: float, now: float) -> Region:
        """The region after a round that took the best utility from `best` to `now`."""
        progress = now > best + 1e-3 * abs(best)
        successes, failures = (self.successes + 1, 0) if progress else (0, self.failures + 1)
        if successes == _SUCCESSES:
            return replace(self, length=min(2 * self.length, _LARGEST_LENGTH), successes=0, failures=0)
        if failures == math.ceil(max(4, self.dim) / self.batch):
            return replace(self, length=self.length / 2, successes=0, failures=0)
        return replace(self, successes=successes, failures=failures)


def sobol(count: int, dim: int, *, seed: int) -> Tensor:
    """A scrambled Sobol design in the unit cube, `(count, dim)`; uniform where the sequence has too few dimensions."""
    if dim > SobolEngine.MAXDIM:
        return torch.rand(count, dim, dtype=torch.float64, generator=named_generator(seed))
    return SobolEngine(dim, scramble=True, seed=seed).draw(count, dtype=torch.float64)


def candidates_around(
    center: Tensor, region: Region, lengthscales: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Points `(count, d)` in the trust region around `center`; in many dimensions each moves about 20 coordinates."""
    dim = len(center)
    weights = lengthscales / lengthscales.log().mean().exp()
    low = (center - weights * region.length / 2).clamp(0, 1)
    high = (center + weights * region.length / 2).clamp(0, 1)
    spread = torch.rand(count, dim, dtype=torch.float64, generator=generator)
    moves = torch.rand(count, dim, generator=generator) < min(20 / dim, 1.0)
    one = torch.randint(dim, (count,), generator=generator)
    moves[torch.arange(count), one] |= ~moves.any(dim=1)
    return torch.where(moves, low + (high - low) * spread, center)


def fit_process(points: Tensor, values: Tensor, *, steps: int) -> Any:
    """An exact Gaussian process on standardised values, Matern 5/2 with one lengthscale a coordinate, fitted.

    The constraints are those of the paper's authors.
    """
    gpytorch = _package("gpytorch")
    kernels, interval = gpytorch.kernels, gpytorch.constraints.Interval
    matern = kernels.MaternKernel(
        nu=2.5, ard_num_dims=points.shape[1], lengthscale_constraint=interval(0.005, 2.0, initial_value=0.5)
    )
    model = (
        _package("botorch.models")
        .SingleTaskGP(
            points,
            values[:, None],
            covar_module=kernels.ScaleKernel(matern, outputscale_constraint=interval(0.05, 20.0, initial_value=1.0)),
            likelihood=gpytorch.likelihoods.GaussianLikelihood(
                noise_constraint=interval(5e-4, 0.2, initial_value=5e-3)
            ),
            outcome_transform=None,
        )
        .double()
    )
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    # Not fit_gpytorch_mll: after a failure that starts again from points drawn from the global random state.
    with gpytorch.settings.max_cholesky_size(math.inf):
        _package("botorch").optim.fit.fit_gpytorch_mll_scipy(likelihood, options={"maxiter": steps})
    return model.eval()


def posterior_samples(model: Any, candidates: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`(count, n)` joint samples of the posterior at candidates `(n, d)`."""
    gpytorch = _package("gpytorch")
    normal = torch.randn(count, len(candidates), dtype=torch.float64, generator=generator)
    with torch.no_grad(), gpytorch.settings.max_cholesky_size(math.inf):
        posterior = model.posterior(candidates)
        samples: Tensor = posterior.rsample_from_base_samples(torch.Size([count]), normal)
    return samples.reshape(count, len(candidates))


def _best_of_each(samples: Tensor) -> Tensor:
    """For each sample `(q, n)` the candidate where it is largest, none twice."""
    samples = samples.clone()
    chosen = []
    for row in range(len(samples)):
        best = samples[row].argmax()
        samples[:, best] = -math.inf
        chosen.append(best)
    return torch.stack(chosen)


def _package(module: str) -> Any:
    with warnings.catch_warnings():
        # Said on import by the linear algebra package below: torch's new releases deprecate what it is written with.
        warnings.filterwarnings("ignore", message="`torch.jit.script", category=DeprecationWarning)
        return require(module, extra="bo", purpose="trust-region Bayesian optimisation")


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Silence what is no news here; everything else still shows."""
    with warnings.catch_warnings():
        # A fit that stops early leaves the best hyper-parameters that it saw, which serve.
        warnings.filterwarnings("ignore", message="`scipy_minimize` terminated with status")
        # Candidates lie close together, so their covariance is singular up to rounding.
        warnings.filterwarnings("ignore", message="A not p.d., added jitter")
        yield
