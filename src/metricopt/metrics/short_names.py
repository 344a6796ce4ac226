"""Short names of metrics of numbers, and the scorers of scikit-learn that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class ShortName:
    """A scorer of scikit-learn under another name. A scorer `neg_...` is asked for the error itself, without its
    sign."""

    title: str
    scorer: str
    higher_is_better: bool = False


#: What people call the usual metrics of a regression.
SHORT_NAMES: dict[str, ShortName] = {
    "mae": ShortName(title="mean absolute error", scorer="neg_mean_absolute_error"),
    "medae": ShortName(title="median absolute error", scorer="neg_median_absolute_error"),
    "mse": ShortName(title="mean squared error", scorer="neg_mean_squared_error"),
    "rmse": ShortName(title="root of the mean squared error", scorer="neg_root_mean_squared_error"),
    "mape": ShortName(title="mean absolute error relative to the target", scorer="neg_mean_absolute_percentage_error"),
    "r2": ShortName(title="R^2: explained share of the variance", scorer="r2", higher_is_better=True),
}


def scorer_name(name: str) -> str:
    """The scorer of scikit-learn that `name` stands for; any other name as it is.

    >>> scorer_name("mae"), scorer_name("neg_log_loss")
    ('neg_mean_absolute_error', 'neg_log_loss')
    """
    return SHORT_NAMES[name].scorer if name in SHORT_NAMES else name
