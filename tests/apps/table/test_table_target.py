"""What a column to predict is: classes, numbers, or neither."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

from metricopt._errors import ConfigError, DataError
from metricopt.apps.table.target import Target, settle_target


def settled(values: list[object], **choices: object) -> Target:
    options: dict[str, object] = {"task": "auto", "positive": None}
    return settle_target(pd.Series(values), "y", **(options | choices))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["no", "yes"] * 20, ("no", "yes")),
        ([0, 1] * 20, ("0", "1")),
        ([1.0, None, 2.0, 7.0] * 20, ("1", "2", "7")),
        ([True, False] * 20, ("False", "True")),
        ([0.5, 1.5] * 20, ("0.5", "1.5")),
        ([True, None, False, True] * 20, ("False", "True")),
        (["b", None, "a", "c"] * 20, ("a", "b", "c")),
    ],
)
def test_classes(values: list[object], names: tuple[str, ...]) -> None:
    target = settled(values)
    assert (target.task, target.class_names) == ("classification", names)
    there = [value for value in values if value is not None]
    assert target.kept.tolist() == [value is not None for value in values]
    assert target.labels is not None
    assert target.labels.decode(target.values).tolist() == there


@pytest.mark.parametrize("values", [[0.1 * n for n in range(40)], list(range(40)), [1.5, 2.5, 3.5, 1.5] * 10])
def test_numbers(values: list[float]) -> None:
    target = settled(list(values))
    assert (target.task, target.class_names, target.positive) == ("regression", None, None)
    assert torch.equal(target.values, torch.tensor(values, dtype=torch.float64))


def test_the_user_may_say_otherwise() -> None:
    assert settled([1, 2, 3, 4] * 10, task="regression").task == "regression"
    assert settled([1.5, 2.5, 3.5] * 10, task="classification").class_names == ("1.5", "2.5", "3.5")


def test_a_category_is_what_its_values_are() -> None:
    series = pd.Series(["no", "yes"] * 20, dtype="category")
    assert settle_target(series, "y", task="auto", positive=None).class_names == ("no", "yes")


def test_either_class_can_be_the_positive_one() -> None:
    values: list[object] = ["no", "yes", "no", "no"] * 10
    last, first = settled(values), settled(values, positive="no")
    assert (last.positive, first.positive) == ("yes", "no")
    assert first.class_names == ("yes", "no")
    assert torch.equal(first.values, 1 - last.values)
    assert settled([1.0, 2.0] * 20, positive="1.0").positive == "1"


@pytest.mark.parametrize(
    ("values", "choices", "complaint"),
    [
        ([None] * 30, {}, "holds no value: all 30 rows are empty"),
        (["yes"] * 30, {}, "every row of the target 'y' is 'yes': there is nothing to tell apart"),
        ([f"comment {n}, and a rather long one at that" for n in range(50)], {}, "free text, not classes"),
        ([n + 0.5 for n in range(50)], {"task": "classification"}, "numbers, which are no classes: use --task"),
        (["a", "b"] * 20 + ["rare"] * 3, {}, "fewer than 10 rows: 'rare' (3)"),
        (["a", "b"] * 20, {"task": "regression"}, "holds text such as 'a', not numbers"),
        (["a", "b"] * 20, {"positive": "A"}, "--positive 'A' is no class of 'y'"),
        (["a", "b", "c"] * 20, {"positive": "a"}, "--positive is for two classes, but the target 'y' has 3"),
        ([0.1 * n for n in range(40)], {"positive": "1"}, "--positive names a class, but the target 'y' holds numbers"),
        ([float("inf"), *(0.1 * n for n in range(40))], {}, "holds 1 infinite values"),
    ],
)
def test_what_cannot_be_predicted_is_told(values: list[object], choices: dict[str, object], complaint: str) -> None:
    with pytest.raises((DataError, ConfigError)) as raised:
        settled(values, **choices)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_dates_are_no_target() -> None:
    with pytest.raises(DataError, match="holds dates"):
        settle_target(pd.Series(pd.date_range("2020-01-01", periods=30)), "y", task="auto", positive=None)


@pytest.mark.parametrize(
    ("values", "task", "told"),
    [
        ([3, 4, 5, 6, 7, 8] * 20, "auto", "classification. --task regression takes them for numbers."),
        ([3, 4, 5, 6, 7, 8] * 20, "regression", "It holds 6 different ones; --task classification takes them"),
        ([0, 1] * 60, "auto", "counts as positive (--positive changes it)."),
        ([1.1 * i for i in range(120)], "auto", "from 0 to 130.9: regression."),
    ],
)
def test_numbers_that_may_be_classes_are_told_how_they_are_taken(values: list[float], task: Any, told: str) -> None:
    said = settle_target(pd.Series(values), "q", task=task, positive=None).told()
    assert told in said
    assert ("--task" in said) == ("--task" in told)
