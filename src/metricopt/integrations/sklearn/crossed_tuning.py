"""Tune the shift and the scale of scores, where every row serves the search and the test, but never both at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..._errors import ConfigError
from ..._parts import folds
from ..._random import derive_seed
from ..._types import LossFunction
from ...adapters import OutputShift
from ...job import Outcome, optimize
from ...job.acceptance import Verdict, paired_test, planned_resamples
from ...job.terms import terms_of
from ...metrics import Metric, as_judged
from ...report import Term
from .fit_settings import FitSettings

#: Searches of the test, each on all rows but a fifth, which it is tested on.
_FOLDS = 5
#: Fewer metric calls than this are no search.
_LEAST_SEARCH = 22


def tune_scores(
    scores: Tensor,
    targets: Tensor,
    metric: Metric,
    *,
    loss: str | LossFunction,
    settings: FitSettings,
    codes: Tensor | None,
    class_names: Sequence[str] | None = None,
) -> Outcome:
    """Find the shift and the scale on all rows, and accept them if the way they were found holds on holdout rows.

    For the test, the search is repeated on four fifths of the rows and its result applied to the last fifth, five
    times. So every row has a score from a search that did not see it, and the paired bootstrap of `optimize` compares
    these with the scores as they were. A part that is set aside would leave fewer rows to both: with a few hundred
    rows of a rare class that is the difference between an answer and none.

    Args:
        scores: `(M, 1)` or `(M, K)` float32, of a model for rows that it has not seen.
        targets: `(M,)`.
        metric: of scores and targets.
        loss: what the model was trained with.
        settings: of the estimator; without `acceptance` nothing is tested.
        codes: class numbers, to spread the classes over the folds; None for a regression.
        class_names: for the report.

    Returns:
        an outcome whose model is one linear layer from scores to scores.

    Raises:
        ConfigError: `calls` does not pay for the searches and the test.
    """
    resamples = 0 if settings.acceptance is None else planned_resamples(settings.calls)
    calls = settings.calls if settings.acceptance is None else (settings.calls - 2 - 2 * resamples) // (1 + _FOLDS)
    if calls < _LEAST_SEARCH:
        least = 2 + 2 * resamples + (1 + _FOLDS) * _LEAST_SEARCH
        raise ConfigError(
            f"calls={settings.calls} is too small: the search on all rows, {_FOLDS} more for the test, and the test "
            f"take at least {least}; give more, or 0 to train only, or acceptance=None to go without the test"
        )
    search = partial(_search, metric=metric, loss=loss, settings=settings, calls=calls, class_names=class_names)
    whole = search(scores, targets, regression=codes is None, seed=settings.seed)
    if settings.acceptance is None:
        return whole
    after, seconds, spent = scores.clone(), whole.seconds, whole.calls
    # Where nothing was found there is nothing to test.
    parts = folds(len(scores), count=_FOLDS, seed=settings.seed, classes=codes) if whole.accepted else []
    for i, (seen, holdout) in enumerate(parts):
        seed = derive_seed(settings.seed, "crossed search", i)
        one = search(scores[seen], targets[seen], regression=codes is None, seed=seed)
        with torch.no_grad():
            after[holdout] = one.model(scores[holdout])
        seconds, spent = seconds + one.seconds, spent + one.calls
    verdict = paired_test(
        as_judged(metric),
        scores,
        after,
        targets,
        resamples=resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    terms = terms_of(metric, scores, after, targets, confidence=settings.confidence)
    return _tested(whole, verdict, terms, calls=spent + verdict.calls, seconds=seconds)


def _search(
    scores: Tensor,
    targets: Tensor,
    *,
    metric: Metric,
    loss: str | LossFunction,
    settings: FitSettings,
    calls: int,
    class_names: Sequence[str] | None,
    regression: bool,
    seed: int,
) -> Outcome:
    """`optimize` without its test, on one linear layer that gives the scores back."""
    method: Any = settings.method
    if isinstance(method, str) and method == "auto":
        # A shift and a factor need no value function: with so few numbers to find, plain search does as well in a
        # tenth of the time.
        method = "random_search" if regression else "threshold"
    return optimize(
        identity_layer(scores.shape[1]),
        metric=metric,
        train=(scores, targets),
        val=(scores, targets),
        loss=loss,
        method=method,
        budget=calls,
        adapters=OutputShift(),
        acceptance=None,
        confidence=settings.confidence,
        device="cpu",
        seed=seed,
        class_names=class_names,
        quiet=not settings.verbose,
    )


def _tested(whole: Outcome, verdict: Verdict, terms: tuple[Term, ...], *, calls: int, seconds: float) -> Outcome:
    """The outcome of the search on all rows, with the figures of the test."""
    report_data = whole.report_data
    facts = {"Test": f"{_FOLDS} searches, each on all rows but a fifth, which its result was tested on"}
    pictured = None
    if report_data.histogram is not None:
        title = "Scores of rows that the model was not trained on; above zero means the second class"
        pictured = replace(report_data.histogram, title=title)
    report_data = replace(
        report_data,
        title=f"{report_data.metric}: {'improved' if verdict.accepted else 'the original model stays'}",
        before=verdict.before,
        after=verdict.after,
        low=verdict.low,
        high=verdict.high,
        accepted=verdict.accepted,
        reason=verdict.reason,
        verified=True,
        calls=calls,
        seconds=seconds,
        facts={**report_data.facts, **facts},
        histogram=pictured,
        terms=terms,
    )
    width = whole.model.in_features if isinstance(whole.model, nn.Linear) else 1
    return replace(
        whole,
        architecture=whole.model if verdict.accepted else identity_layer(width),
        accepted=verdict.accepted,
        reason=verdict.reason,
        before=verdict.before,
        after=verdict.after,
        interval=(verdict.low, verdict.high),
        calls=calls,
        seconds=seconds,
        report_data=report_data,
    )


def identity_layer(width: int) -> nn.Linear:
    """A linear layer that gives its input `(N, width)` back: what a shift and a scale of scores fold into."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(width, width)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
        layer.bias.zero_()
    return layer.eval()
