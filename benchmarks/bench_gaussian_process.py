"""1,000 trajectories of 10 observations interpolated to 200 steps, hyper-parameter search included, on one core."""

from __future__ import annotations

import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from figure import Figure, alternate, main, seconds
from metricopt.value import Hyperparameters, Trajectories, interpolate

RUNS, STEPS, OBSERVED = 1000, 200, 10
ONE_BY_ONE = 100


def trajectories() -> Trajectories:
    """Curves that rise and waver, observed at other steps in every run."""
    stream = torch.Generator().manual_seed(0)
    time = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    rise, phase = torch.rand(2, RUNS, 1, generator=stream, dtype=torch.float64)
    curves = 0.7 + 0.1 * rise * torch.tanh(3 * time) + 0.03 * torch.sin(6 * (time + phase))
    values = curves + 0.01 * torch.randn(RUNS, STEPS, generator=stream, dtype=torch.float64)
    seen = torch.rand(RUNS, STEPS, generator=stream).argsort(dim=1) < OBSERVED
    made = Trajectories(runs=RUNS, fingerprint="bench", dim=1)
    for step in range(STEPS):
        made.append(step, torch.zeros(RUNS, 1), values[:, step].masked_fill(~seen[:, step], torch.nan))
    return made


def scikit_learn(runs: Trajectories, h: Hyperparameters) -> None:
    """The same processes one by one, hyper-parameters given."""
    time = (runs.steps.double() / (STEPS - 1)).numpy()[:, None]
    for index in range(runs.runs):
        seen = runs.observed[index].numpy()
        y = runs.utilities[index].numpy()[seen]
        kernel = ConstantKernel(float(h.amplitude[0]) ** 2, "fixed") * RBF(float(h.length[0]), "fixed")
        process = GaussianProcessRegressor(kernel, alpha=float(h.noise[0]) ** 2, optimizer=None)
        process.fit(time[seen], y - y.mean()).predict(time, return_std=True)


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    runs = trajectories()
    found = interpolate(runs).hyperparameters
    assert found is not None
    shared = min(seconds(lambda: interpolate(runs)) for _ in range(3))
    single = min(seconds(lambda: interpolate(runs, share="none")) for _ in range(3))
    some = runs.select(range(ONE_BY_ONE))
    fixed = Hyperparameters(**{name: value[:ONE_BY_ONE] for name, value in vars(found).items()})
    ratio = alternate(lambda: scikit_learn(some, fixed), lambda: interpolate(some, hyperparameters=fixed), repeats=5)
    name = f"{RUNS} trajectories of {OBSERVED} observations to {STEPS} steps"
    return [
        Figure(f"{name}, shared hyper-parameters", shared, "s", bound=2.0),
        Figure(f"{name}, hyper-parameters per run", single, "s", bound=2.0),
        Figure(
            f"scikit-learn one by one / batched, {ONE_BY_ONE} runs, given", ratio, "x", bound=5.0, direction="at least"
        ),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
