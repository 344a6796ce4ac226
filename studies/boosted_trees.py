"""Rows from outside for Table 3: scikit-learn's boosted trees on the same rows, with and without a tuned threshold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metricopt._checks import at_least
from metricopt._random import derive_seed
from metricopt.bench.references import REFERENCES, ReferenceEntry
from metricopt.methods import MethodCard
from metricopt.metrics import Budget, Metric
from metricopt.runtime import write_tensors
from metricopt.tasks import Materials
from metricopt.tasks.disk_cache import Settings, cache_path, read_entry

#: Part of every key: raise it when the fit changes what comes out.
REFERENCE_VERSION = 1

_KIND = "reference scores"


@dataclass(frozen=True, kw_only=True)
class ReferenceScores:
    """Log-odds of class 1 for the validation rows (n_val,) and the test rows (n_test,), and the seconds of the fit."""

    val: Tensor
    test: Tensor
    seconds: float


def boosted_trees(materials: Materials, *, iterations: int = 200, cache: bool = True) -> ReferenceScores:
    """Scores of `HistGradientBoostingClassifier`, fitted to the training rows with scikit-learn's other defaults.

    One thread is used, so that several jobs beside each other do not get in each other's way.

    Args:
        materials: of a tabular task; its model is not used.
        iterations: how many trees at most. Above 10,000 rows scikit-learn stops early by a tenth of the training rows.
        cache: take the scores from disk if they are there, and keep them there if not.

    Raises:
        CheckpointError: the cached scores are damaged or are not those of these rows.
    """
    at_least("iterations", iterations, 1)
    import sklearn

    settings: Settings = {
        "checksum": materials.settings["checksum"],
        "seed": materials.seed,
        "iterations": iterations,
        "sklearn": sklearn.__version__,
        "version": REFERENCE_VERSION,
    }
    path = cache_path("reference", settings)
    if cache and path.is_file():
        template = {"val": materials.val.y.cpu(), "test": materials.test.y.cpu()}
        found, kept = read_entry(path, kind=_KIND, version=REFERENCE_VERSION, template=template)
        return ReferenceScores(val=found["val"], test=found["test"], seconds=float(kept["seconds"]))
    scores = _fit(materials, iterations)
    if cache:
        tensors = {"val": scores.val, "test": scores.test}
        kept = {**settings, "seconds": scores.seconds}
        write_tensors(path, tensors, kind=_KIND, version=REFERENCE_VERSION, settings=kept)
    return scores


def _fit(materials: Materials, iterations: int) -> ReferenceScores:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    start = time.perf_counter()
    # scikit-learn wants a seed below 2**32
    model = HistGradientBoostingClassifier(
        max_iter=iterations, random_state=derive_seed(materials.seed, "reference") % 2**32
    )
    with threadpool_limits(limits=1):
        model.fit(_array(materials.train.x), _array(materials.train.y))
        seconds = time.perf_counter() - start
        val, test = (
            torch.from_numpy(model.decision_function(_array(rows.x))).float()
            for rows in (materials.val, materials.test)
        )
    return ReferenceScores(val=val, test=test, seconds=seconds)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array


def tuned_shift(scores: Tensor, targets: Tensor, metric: Metric, *, candidates: int = 200) -> float:
    """What to add to all scores so that `metric` is best, by trying quantiles of the scores as thresholds.

    Args:
        scores: log-odds (N,) of the validation rows.
        targets: (N,) in {0, 1}.
        metric: asked once for every candidate and once for the scores as they are.
        candidates: how many thresholds are tried.

    Returns:
        the shift with the best utility; the smallest of them where several tie, so 0 where none is better.

    >>> from metricopt.metrics import get_metric
    >>> tuned_shift(torch.tensor([-3.0, -2.0, -1.0, 2.0]), torch.tensor([0, 0, 1, 1]), get_metric("mcr"))
    1.5
    """
    at_least("candidates", candidates, 1)
    levels = torch.linspace(0, 1, candidates, dtype=torch.float64, device=scores.device)
    ordered = torch.unique(scores.double())
    middles = (ordered[1:] + ordered[:-1]) / 2
    thresholds = middles[(levels * (len(middles) - 1)).round().long()] if len(middles) else middles
    shifts = sorted({0.0, *(-thresholds).tolist()}, key=abs)
    utilities = [metric.utility(metric(scores.double() + shift, targets)) for shift in shifts]
    return float(shifts[int(np.argmax(utilities))])


def row(tuned: bool, materials: Materials, metric: Metric, calls: int) -> dict[str, Any]:
    """The figures of one reference row: raw values on the validation and test rows, calls and seconds.

    The threshold is tuned on the validation rows with at most `calls` metric calls.
    """
    scores = boosted_trees(materials)
    meter = Budget(calls=calls).start()
    counted = replace(metric, fn=_counting(metric.fn, meter.spend))
    began = time.perf_counter()
    # One call measures the scores as they are.
    searched = tuned and calls > 1
    shift = tuned_shift(scores.val, materials.val.y, counted, candidates=calls - 1) if searched else 0.0
    seconds = scores.seconds + time.perf_counter() - began
    return {**_values(scores, materials, metric, shift), "calls": meter.calls, "seconds": seconds, "diagnostics": {}}


def _counting(fn: Callable[..., Any], spend: Callable[[int], None]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        spend(1)
        return fn(*arguments)

    return counted


def _values(scores: ReferenceScores, materials: Materials, metric: Metric, shift: float) -> dict[str, float]:
    def value(part: Tensor, targets: Tensor, by: float) -> float:
        return metric(part.double() + by, targets)

    return {
        "val": value(scores.val, materials.val.y, shift),
        "test": value(scores.test, materials.test.y, shift),
        "val_start": value(scores.val, materials.val.y, 0.0),
        "test_start": value(scores.test, materials.test.y, 0.0),
    }


def register() -> None:
    """Make the two rows known to tables of this process."""
    for name, title, tuned in (
        ("boosted_trees", "boosted trees (HistGradientBoosting)", False),
        ("boosted_trees_threshold", "boosted trees, tuned threshold", True),
    ):
        if name not in REFERENCES:
            card = MethodCard(title=title, family="outside reference")
            REFERENCES.add(name, ReferenceEntry(card=card, run=partial(row, tuned)))
