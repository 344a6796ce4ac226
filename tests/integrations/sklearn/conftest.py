"""Small tables on which something is to be gained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

#: Settings with which a fit takes a fraction of a second.
QUICK: dict[str, Any] = {
    "calls": 180,
    "epochs": 15,
    "batch_size": 64,
    "hidden": (16,),
    "learning_rate": 2e-2,
    "random_state": 0,
}


def rare_class(rows: int = 800, seed: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """A class of about one row in eight that no row is sure to belong to: at one half hardly any is called positive."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 4))
    chance = 1 / (1 + np.exp(-(1.6 * X[:, 0] + 0.8 * X[:, 1] - 2.8)))
    return X, (random.random(rows) < chance).astype(int)


def mixed_table(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Numbers, text, categories, dates and booleans, with gaps, and a target of text that they decide."""
    random = np.random.default_rng(seed)
    size, colour = random.normal(size=rows), random.choice(["red", "green", "blue"], rows)
    table = pd.DataFrame(
        {
            "size": np.where(random.random(rows) < 0.1, np.nan, size),
            "colour": pd.Series(colour, dtype="string").where(random.random(rows) > 0.1),
            "grade": pd.Categorical(random.choice([1, 2, 3], rows)),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 99, rows), unit="D"),
            "member": pd.array(random.random(rows) < 0.5, dtype="boolean"),
        }
    )
    return table, pd.Series(np.where(size + 1.5 * (colour == "red") > 0.5, "yes", "no"), name="bought")


@pytest.fixture
def quick() -> dict[str, Any]:
    return dict(QUICK)


@pytest.fixture
def rare() -> tuple[NDArray[Any], NDArray[Any]]:
    return rare_class()


@pytest.fixture
def more() -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of the same kind, so many that the gain is beyond doubt."""
    return rare_class(1800)


@pytest.fixture
def mixed() -> tuple[pd.DataFrame, pd.Series]:
    return mixed_table()
