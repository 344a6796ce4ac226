"""Any classifier with probabilities, or with a decision function, as a giver of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..._errors import ConfigError
from .checked_input import take_rows
from .division import Division

#: Probabilities below this are taken for this: their logarithm would be minus infinity.
_LEAST = 1e-9


def is_fitted(base: Any) -> bool:
    """Whether it is fitted; CatBoost says so itself, in a way of its own."""
    if callable(own := getattr(base, "is_fitted", None)):
        return bool(own())
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(base)
    except NotFittedError:
        return False
    return True


def fit_clone(base: Any, X: Any, y: NDArray[Any], weights: Tensor | None) -> Any:
    """A fitted clone of `base`.

    Raises:
        ConfigError: there are weights, but its `fit` takes none; or it gives no scores.
    """
    from sklearn.base import clone
    from sklearn.utils.validation import has_fit_parameter

    if weights is None:
        fitted = clone(base).fit(X, y)
    elif has_fit_parameter(base, "sample_weight"):
        fitted = clone(base).fit(X, y, sample_weight=weights.numpy())
    else:
        raise ConfigError(
            f"sample_weight or class_weight is given, but fit of {type(base).__name__} takes no sample_weight; leave "
            "them out, or set the class weights of base itself"
        )
    refuse_without_scores(fitted)
    return fitted


def refuse_without_scores(base: Any) -> None:
    """Raise ConfigError unless a fitted `base` has `classes_` and `predict_proba` or `decision_function`."""
    if not ((hasattr(base, "predict_proba") or hasattr(base, "decision_function")) and hasattr(base, "classes_")):
        raise ConfigError(
            f"base must be a classifier with predict_proba or decision_function, got {base!r}; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, which adds probabilities"
        )


def base_scores(base: Any, X: Any, classes: NDArray[Any]) -> Tensor:
    """Log-odds `(N, 1)` of two classes or log-probabilities `(N, K)` of more, float64; of a base without probabilities
    what its decision function says.

    Args:
        base: fitted.
        X: rows.
        classes: all classes, ascending; one that `base` does not know gets the least probability.

    Raises:
        ConfigError: the probabilities are not `(N, K)` for the K classes of `base`, or not finite.
    """
    known = np.asarray(base.classes_)
    if not hasattr(base, "predict_proba"):
        return _decisions(base, X, known, classes)
    found = np.asarray(base.predict_proba(X), dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != len(known) or not np.isfinite(found).all():
        raise ConfigError(
            f"predict_proba of base must give finite numbers of shape (N, {len(known)}), got shape {found.shape}"
        )
    probabilities = np.zeros((len(found), len(classes)))
    probabilities[:, np.searchsorted(classes, known)] = found
    logs = torch.from_numpy(np.log(np.clip(probabilities, _LEAST, None)))
    return logs[:, 1:] - logs[:, :1] if len(classes) == 2 else logs


def _decisions(base: Any, X: Any, known: NDArray[Any], classes: NDArray[Any]) -> Tensor:
    """The decision function as scores, `(N, 1)` or `(N, K)`; a class that `base` does not know is never decided for."""
    found = np.asarray(base.decision_function(X), dtype=np.float64)
    width = 1 if len(known) == 2 else len(known)
    if found.ndim == 1:
        found = found[:, None]
    if found.shape[1] != width or not np.isfinite(found).all():
        hint = '; SVC and the like need decision_function_shape="ovr"' if found.shape[1] != width else ""
        raise ConfigError(
            f"decision_function of base must give finite numbers, {width} for each row, got shape {found.shape}{hint}"
        )
    if len(classes) == len(known):
        return torch.from_numpy(found)
    if len(known) == 2:  # of several classes this fold has only two
        found = np.concatenate([-found / 2, found / 2], axis=1)
    scores = np.full((len(found), len(classes)), found.min() - (np.ptp(found) + 1.0))
    scores[:, np.searchsorted(classes, known)] = found
    return torch.from_numpy(scores)


def fit_base(
    base: Any, X: Any, y: NDArray[Any], classes: NDArray[Any], weights: Tensor | None, division: Division
) -> tuple[Any, Tensor]:
    """A fitted clone of `base`, and scores for the rows that it, or the clones of the folds, had not seen.

    The clone is fitted on all rows; only where one part is held out, on the others.

    Returns:
        the clone, and `(M, 1)` or `(M, K)` float64 in the order of `division.holdout`.
    """
    scores = torch.zeros(len(y), 1 if len(classes) == 2 else len(classes), dtype=torch.float64)
    fitted = None
    for kept, held in division.parts if division.reason is None else ():
        fitted = fit_clone(base, take_rows(X, kept), y[kept.numpy()], None if weights is None else weights[kept])
        scores[held] = base_scores(fitted, take_rows(X, held), classes)
    if fitted is None or division.crossed:
        fitted = fit_clone(base, X, y, weights)
    return fitted, scores[division.holdout]


def shifted(layer: nn.Module, scores: Tensor) -> Tensor:
    """Scores `(N,)` or `(N, K)` behind a linear layer, float64, from `(N, 1)` or `(N, K)`."""
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        out = nn.functional.linear(scores, layer.weight.double(), layer.bias.double())
    return out[:, 0] if out.shape[1] == 1 else out
