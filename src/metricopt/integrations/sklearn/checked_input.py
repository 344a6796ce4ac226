"""What scikit-learn promises about X, y and sample_weight, for arrays and for tables of mixed columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..._errors import ConfigError
from ...apps.table.model import is_frame
from ...apps.table.model.raw_column import is_missing
from .division import Splitting


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """A DataFrame as it is, anything else as a two-dimensional array; sets or checks the names and number of columns.

    Raises:
        ValueError: scikit-learn's own messages about shapes, sparse matrices, infinity and feature names.
    """
    from sklearn.utils.validation import validate_data

    if is_frame(X):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        for size, thing in zip(X.shape, ("sample", "feature"), strict=True):
            if size == 0:
                raise ConfigError(f"Found array with 0 {thing}(s) (shape={X.shape}) while a minimum of 1 is required.")
        return X
    if isinstance(X, list | tuple):
        # NumPy makes text of every number in a list that holds text.
        array = np.asarray(X)
        X = np.asarray(X, dtype=object) if array.dtype.kind in "US" else array
    return validate_data(estimator, X, dtype=None, ensure_all_finite="allow-nan", reset=reset)


def checked_targets(X: Any, y: Any, *, numeric: bool) -> NDArray[Any]:
    """`y` as one column as long as X; raises scikit-learn's ValueError where it is none."""
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

    if y is None:
        raise ConfigError("fit requires y to be passed, but the target y is None")
    column = column_or_1d(y, dtype=np.float64 if numeric else None, warn=True)
    if len(column) == 0:
        raise ConfigError("Found array with 0 sample(s) while a minimum of 1 is required.")
    missing = sum(map(is_missing, column)) if column.dtype == object else 0
    if missing:
        raise ConfigError(f"Input y contains NaN: {missing} of {len(column)} targets are missing; leave those rows out")
    assert_all_finite(column, input_name="y")
    check_consistent_length(X, column)
    if not numeric:
        check_classification_targets(column)
    return np.asarray(column)


def checked_weights(X: Any, sample_weight: Any) -> Tensor | None:
    """`(N,)` float64, at least 0; None where all rows count the same."""
    from sklearn.utils.validation import _check_sample_weight

    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return torch.from_numpy(np.array(weights))


@final
@dataclass(frozen=True, kw_only=True)
class Counting:
    """The rows that count.

    Args:
        X, y: without the rows of weight 0.
        weights: of these rows, None where all count the same.
        splitting: all rows, for a splitter that a user gives.
    """

    X: Any = field(repr=False)
    y: NDArray[Any] = field(repr=False)
    weights: Tensor | None = field(repr=False)
    splitting: Splitting = field(repr=False)


def counting_rows(X: Any, y: NDArray[Any], sample_weight: Any) -> Counting:
    """Leave out the rows of weight 0.

    Raises:
        ValueError: weights of another length, negative, or all zero.
    """
    weights = checked_weights(X, sample_weight)
    counts = None if weights is None else weights > 0
    splitting = Splitting(X=X, y=y, counts=counts)
    if weights is None or counts is None or bool(counts.all()):
        return Counting(X=X, y=y, weights=weights, splitting=splitting)
    rows = counts.nonzero()[:, 0]
    return Counting(X=take_rows(X, rows), y=y[rows.numpy()], weights=weights[rows], splitting=splitting)


def take_rows(table: Any, rows: Tensor) -> Any:
    """Rows of a DataFrame, an array or a sparse matrix."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(table, rows.numpy())
