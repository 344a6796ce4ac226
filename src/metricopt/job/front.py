"""Several metrics at once: a front of models to choose from, found by one search with one memory."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from .._checks import at_least
from .._errors import ConfigError
from .._types import LossFunction, Sampler
from ..adapters.site import Places
from ..metrics import Metric, as_metric
from ..profiles import Profile, Slices
from ..report import FrontModelShown, FrontShown, write_front
from ..runtime import MetricCache, RunFolder, progress, write_atomically
from ..workload import Examples, Stream, TrainingLoss
from .acceptance import FEWEST_RESAMPLES, checked_confidence
from .adaptation import Adapters
from .arguments import validate_arguments
from .code_digest import digest_of_code
from .front_search import AskAll, Rating, aims, rated, searched, spread_front
from .model_outputs import plain
from .one_call import what_is_searched
from .outcome import save_weights
from .preparation import Settings, own_modes, prepare, ready

#: More metrics than this and nearly every model is on the front.
MOST_METRICS = 4
#: Fewer models than this per direction of the search find nothing.
_LEAST_SEARCH = 20


@final
@dataclass(frozen=True, kw_only=True)
class FrontModel:
    """One model of a front.

    Args:
        phi: `(d,)`, what it differs by.
        ratings: one for each metric, in order.
    """

    phi: Tensor = field(repr=False)
    ratings: tuple[Rating, ...]
    folded: Callable[[Tensor], nn.Module] = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The architecture that was given with folded weights, made when it is asked for."""
        return self.folded(self.phi)

    @property
    def gains(self) -> list[str]:
        """Names of the metrics that it is better by, beyond chance."""
        return [one.metric for one in self.ratings if one.low > 0]


@final
@dataclass(frozen=True, kw_only=True)
class Front:
    """Models none of which is better than another by every metric.

    Args:
        metrics: what was asked for.
        before: the metrics of the model as it was, on the same rows.
        models: by the first metric, worst first; empty where nothing was better by any metric beyond chance.
        left_out: models of the front of the search rows that no metric could be shown to gain by.
        confidence: of the intervals, each of one model and one metric.
        calls: of all metrics together. seconds: in all.
        observed: `(m, k)` the metrics of all that was rated on the search rows.
    """

    metrics: tuple[Metric, ...]
    before: tuple[float, ...]
    models: tuple[FrontModel, ...]
    left_out: int
    confidence: float
    calls: int
    seconds: float
    observed: Tensor = field(repr=False)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

    def best(self, metric: str) -> FrontModel:
        """The model with the best value of one metric.

        Raises: ConfigError, the front is empty or has no such metric.
        """
        names = [one.name for one in self.metrics]
        if metric not in names:
            raise ConfigError(f"the front has no metric {metric!r}; it has {', '.join(names)}")
        if not self.models:
            raise ConfigError("the front is empty: nothing was better than the model as it was by any metric")
        at = names.index(metric)
        return max(self.models, key=lambda one: self.metrics[at].utility(one.ratings[at].value))

    def summary(self) -> str:
        """A line for the model as it was and for each model of the front."""
        names = [one.name for one in self.metrics]
        head = "   ".join(
            f"{name} ({'higher' if one.higher_is_better else 'lower'} is better)"
            for name, one in zip(names, self.metrics, strict=True)
        )
        lines = [head, "   ".join(["as it was", *(f"{value:.4f}" for value in self.before)])]
        for number, one in enumerate(self.models, start=1):
            cells = [f"{each.value:.4f} ({each.low:+.4f} to {each.high:+.4f})" for each in one.ratings]
            lines.append("   ".join([f"model {number}  ", *cells]))
        found = f"{len(self.models)} models" if self.models else "No model was better by any metric beyond chance"
        lines.append(
            f"{found}; {self.left_out} more were left out. In brackets the gain ({100 * self.confidence:g} %) on rows "
            f"that the search never saw. {self.calls} metric calls, {self.seconds:.1f} s."
        )
        return "\n".join(lines)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a page with the front as a picture and as a table."""
        return write_front(self._shown(), path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `front.json`, the weights of each model as `model-1.safetensors` ..., and the report."""
        path = Path(folder)
        for number, one in enumerate(self.models, start=1):
            save_weights(one.model, one.phi, path / f"model-{number}.safetensors", accepted=True)
        figures = {
            "metrics": [{"name": one.name, "higher_is_better": one.higher_is_better} for one in self.metrics],
            "before": list(self.before),
            "models": [[vars(rating) for rating in one.ratings] for one in self.models],
            "confidence": self.confidence,
            "calls": self.calls,
            "seconds": self.seconds,
        }
        write_atomically(path / "front.json", json.dumps(figures, allow_nan=False).encode())
        self.report(path / "report.html")
        return path

    def _shown(self) -> FrontShown:
        return FrontShown(
            metrics=tuple(one.name for one in self.metrics),
            higher_is_better=tuple(one.higher_is_better for one in self.metrics),
            before=self.before,
            models=tuple(
                FrontModelShown(
                    values=tuple(each.value for each in one.ratings),
                    lows=tuple(each.low for each in one.ratings),
                    highs=tuple(each.high for each in one.ratings),
                )
                for one in self.models
            ),
            observed=tuple(tuple(row) for row in self.observed.tolist()),
            confidence=self.confidence,
            calls=self.calls,
            seconds=self.seconds,
        )


def optimize_front(
    model: nn.Module,
    *,
    metrics: Sequence[Any],
    train: Any,
    val: Any,
    loss: str | LossFunction | TrainingLoss = "cross_entropy",
    points: int = 6,
    budget: int | None = None,
    adapters: Adapters = "auto",
    dim: int = 16,
    where: Places = None,
    acceptance: Any = 0.4,
    confidence: float = 0.95,
    sampler: Sampler = "plain",
    batch_size: int | None = None,
    outputs: str | None = None,
    groups: Any = None,
    stream: bool = False,
    memory: int = 1 << 30,
    profile: Profile | None = None,
    slices: Slices | int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Front:
    """Tune `model` toward several metrics at once: models to choose from, none better than another by all metrics.

    MetricOpt searches toward each metric by itself, then toward compromises between them (the distance to the best of
    each, Chebyshev), and all that any of these searches observed is known to the next ones. What is not beaten by all
    metrics is rated on rows that the search never saw, with an interval of the gain by each metric.

    Args:
        metrics: two to four, each as for `optimize`; a `Metric` where a direction must be said.
        points: how many models the front has at most.
        budget: calls of all metrics together; a model that is rated takes one of each. 300 for each metric by default.
        acceptance: the share of `val` that the search never sees, or examples of their own.
        run: a folder that keeps the answers of the metrics, so that a stopped search goes on, and the front.

    The other arguments are those of `optimize`.

    Raises:
        ConfigError, DataError: an argument cannot work; the message says what would.
        MetricError: a metric failed.

    >>> x = torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] + 0.5 * x[:, 1] > 0.6).float()
    >>> net = nn.Linear(3, 1)
    >>> _ = net.load_state_dict({"weight": torch.tensor([[2.0, 0, 0]]), "bias": torch.zeros(1)})
    >>> front = optimize_front(net, metrics=["precision", "recall"], train=(x[:200], y[:200]), val=(x[200:], y[200:]),
    ...     points=2, budget=330, quiet=True)
    >>> front.calls <= 330, all(one.gains for one in front.models)
    (True, True)
    """
    validate_arguments(model=model, confidence=confidence, seed=seed, run=run, quiet=quiet)
    wanted = _metrics(metrics)
    confidence = checked_confidence(confidence)
    settings = Settings.among(locals())
    points = at_least("points", points, 2)
    search_calls, total = _divided(budget, len(wanted), points)
    with ExitStack() as stack:
        stack.enter_context(own_modes())
        made = prepare(model, metric=wanted[0], train=train, val=val, acceptance=acceptance, settings=settings)
        if not isinstance(made.holdout, Examples | Stream):
            raise ConfigError("a front is measured on examples that the search never saw; give acceptance= a share")
        cache = MetricCache(None)
        if run is not None:
            identity = what_is_searched(made, settings, train) | {
                "job": "front",
                "metrics": ", ".join(f"{one.name}, {one.higher_is_better}, {one.bounds}" for one in wanted),
                "metric code": ", ".join(digest_of_code(one.fn) for one in wanted),
                "points": points,
                "calls": total,
                "confidence": confidence,
                "seed": seed,
            }
            cache = stack.enter_context(RunFolder(run, identity)).cache
        stack.enter_context(cache)
        advance = stack.enter_context(progress(total, "several metrics", quiet=quiet))
        ask = AskAll(wanted, cache, advance)
        seen = searched(made.workload, ask, search_calls, seed=seed)
        chosen = spread_front(seen, points)
        holdout = ready(made.workload.adapted.model, made.holdout, made.workload.adapted.phi.device)
        phis = torch.stack([made.workload.start, *(phi for phi, _ in chosen)])
        before, ratings = rated(made.workload, holdout, phis, ask, confidence=confidence, seed=seed)
        adapted, seconds = made.workload.adapted, cache.seconds()
        models = [
            FrontModel(phi=phi, ratings=each, folded=lambda phi: plain(adapted.merged(phi)))
            for (phi, _), each in zip(chosen, ratings, strict=True)
        ]
        kept = [one for one in models if one.gains]
        front = Front(
            metrics=wanted,
            before=before,
            models=tuple(sorted(kept, key=lambda one: wanted[0].utility(one.ratings[0].value))),
            left_out=len(models) - len(kept),
            confidence=confidence,
            calls=ask.calls,
            seconds=seconds,
            observed=torch.tensor([[m.raw(u) for m, u in zip(wanted, us, strict=True)] for _, us in seen]),
        )
        if run is not None:
            front.save(run)
    return front


# --- what is asked for ---------------------------------------------------------------------------------------------


def _metrics(metrics: Sequence[Any]) -> tuple[Metric, ...]:
    if isinstance(metrics, str) or not isinstance(metrics, list | tuple) or not 2 <= len(metrics) <= MOST_METRICS:
        raise ConfigError(f"metrics must be a list of 2 to {MOST_METRICS} metrics; optimize takes a single one")
    found = tuple(as_metric(one) for one in metrics)
    if len({one.name for one in found}) < len(found):
        raise ConfigError(f"metrics must differ in their names, got {', '.join(one.name for one in found)}")
    for one in found:
        if one.reads == "model":
            raise ConfigError(
                f"metric {one.name!r} reads the whole model; a front needs metrics of outputs and targets"
            )
    return found


def _divided(budget: int | None, metrics: int, points: int) -> tuple[int, int]:
    """Models that the search may rate, and metric calls in all."""
    if isinstance(budget, bool) or not isinstance(budget, int | None):
        raise ConfigError(f"budget of a front must be a number of metric calls, got {budget!r}")
    total = 300 * metrics if budget is None else budget
    test = (points + 1) * (1 + FEWEST_RESAMPLES) * metrics
    search = (total - test) // metrics
    directions = len(aims(metrics))
    if search < directions * _LEAST_SEARCH:
        least = test + directions * _LEAST_SEARCH * metrics
        raise ConfigError(
            f"a budget of {total} metric calls is too small: {points} models with their intervals take {test}, and the "
            f"search at least {least - test}; give at least {least}, or fewer points"
        )
    return search, total
