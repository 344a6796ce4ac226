"""What is wrong with scores and rows is said before the metric is asked: a call may cost money."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from job_case import QUICK, Case
from metricopt import learn_value
from metricopt._errors import ConfigError, DataError
from metricopt.job.events import closed_on_failure
from metricopt.metrics import from_function
from metricopt.workload import Examples


def _spoilt(pair: tuple[Tensor, Tensor], rows: list[int], value: float = torch.nan) -> tuple[Tensor, Tensor]:
    inputs = pair[0].clone()
    inputs[rows, 1] = value
    return inputs, pair[1]


def _never() -> Any:
    def asked(scores: Tensor, targets: Tensor) -> float:
        raise AssertionError("the metric was asked")

    return from_function(asked, name="f1", higher_is_better=True)


class _Functional(nn.Module):
    """A sigmoid that is no module."""

    def __init__(self, net: nn.Module, *, squash: bool) -> None:
        super().__init__()
        self.net, self.squash = net, squash

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x)
        return scores.sigmoid() if self.squash else scores


@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=["nan", "inf"])
def test_inputs_of_val_that_are_no_numbers_are_named_by_their_row(case: Case, value: float) -> None:
    # Row 7 is in one of the two parts of val, whichever it is: the message counts in val as it was given.
    with pytest.raises(
        DataError, match=r"in val are NaN or infinite, the first one at row 7 .*the inputs of 1 of them"
    ):
        Case(model=case.model, train=case.train, val=_spoilt(case.val, [7], value)).optimized(_never())


def test_the_row_is_that_of_val_where_its_numbers_are_of_another_precision(case: Case) -> None:
    rows = [30, 31, 32, 33, 34, 35, 36, 37]
    inputs, targets = _spoilt(case.val, rows)
    with pytest.raises(DataError) as caught:
        Case(model=case.model, train=case.train, val=(inputs.double(), targets)).optimized(_never())
    first = str(caught.value).split("at row ")[1].split()[0]
    assert int(first) in rows


def test_inputs_of_train_and_acceptance_are_looked_at_too(case: Case) -> None:
    with pytest.raises(DataError, match=r"2 of the 300 examples looked at in train .* row 3 .*the inputs of 2 of them"):
        Case(model=case.model, train=_spoilt(case.train, [3, 200]), val=case.val).optimized(_never())
    own = _spoilt((case.val[0][400:], case.val[1][400:]), [12])
    seen = Case(model=case.model, train=case.train, val=(case.val[0][:400], case.val[1][:400]))
    with pytest.raises(DataError, match="1 of the 200 examples looked at in acceptance .* row 12 "):
        seen.optimized(_never(), acceptance=own)


def test_a_model_that_makes_them_from_sound_inputs_is_named(case: Case) -> None:
    with torch.no_grad():
        case.model[0].weight[0, 0] = torch.nan
    with pytest.raises(DataError, match="their inputs are finite, so the model makes them; look at its weights"):
        case.optimized(_never())


def test_missing_inputs_that_the_model_fills_in_are_no_fault(case: Case) -> None:
    class Filled(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.nan_to_num(0.0))  # type: ignore[no-any-return]

    filled = Case(model=Filled(case.model), train=case.train, val=_spoilt(case.val, [0, 9]))
    assert filled.optimized(budget=64, method="random_search").calls == 64


def test_scores_like_probabilities_are_doubted(case: Case) -> None:
    squashed = Case(model=_Functional(case.model, squash=True), train=case.train, val=case.val)
    with pytest.warns(UserWarning, match=r"all 600 scores of val lie between 0 and 1, as if .* a sigmoid\. Scores are"):
        squashed.optimized(budget=64, method="random_search")
    few = Case(model=squashed.model, train=case.train, val=(case.val[0][:90], case.val[1][:90]))
    few.optimized(budget=64, method="random_search")  # too few to say so
    plain = Case(model=_Functional(case.model, squash=False), train=case.train, val=case.val)
    plain.optimized(budget=64, method="random_search")


def test_a_last_layer_that_is_linear_makes_no_probabilities(case: Case) -> None:
    net = nn.Linear(4, 1)
    net.load_state_dict({"weight": torch.zeros(1, 4), "bias": torch.tensor([0.5])})
    Case(model=net, train=case.train, val=case.val).optimized(budget=64, method="threshold")


def test_rows_that_the_model_was_trained_on_are_doubted(case: Case) -> None:
    same = Case(model=case.model, train=case.val, val=case.val)
    with pytest.warns(UserWarning, match="100 % of the rows of val are also in train") as caught:
        same.optimized(budget=64, method="threshold")
    assert caught[0].filename.endswith("job_case.py"), "it does not point to the call of optimize"
    x, y = case.val
    mostly = Case(
        model=case.model, train=(torch.cat([x[:500], case.train[0]]), torch.cat([y[:500], case.train[1]])), val=case.val
    )
    mostly.optimized(budget=64, method="threshold")  # 83 %
    same.optimized(budget=64, method="threshold", acceptance=None)  # nothing is tested, as the result says
    with pytest.warns(UserWarning, match="100 % of the rows of acceptance are also in train"):
        case.optimized(budget=64, method="threshold", acceptance=Examples(inputs=case.train[0], targets=case.train[1]))


def test_a_table_of_few_different_rows_holds_equal_ones_by_nature(case: Case) -> None:
    train, val = ((inputs.sign(), targets) for inputs, targets in (case.train, case.val))
    known = {tuple(row.tolist()) for row in train[0]}
    assert all(tuple(row.tolist()) in known for row in val[0])
    Case(model=case.model, train=train, val=val).optimized(budget=64, method="threshold")


@pytest.mark.parametrize("calls", [1, 2, 9])
def test_too_few_calls_to_learn_from_are_refused(case: Case, calls: int) -> None:
    with pytest.raises(ConfigError, match=f"calls={calls} metric calls are too few .* give at least 10"):
        learn_value(case.model, metric=_never(), train=case.train, val=case.val, calls=calls)


def test_as_many_calls_as_are_asked_for_do_learn(case: Case) -> None:
    learned = learn_value(case.model, metric="f1", train=case.train, val=case.val, calls=10, config=QUICK)
    assert len(learned) == 10


class _Watcher:
    def __init__(self, *, fails: bool = False) -> None:
        self.events: list[Any] = []
        self.closed, self.fails = 0, fails

    def __call__(self, event: Any) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError("the disk is full")


def test_watchers_are_closed_where_the_run_fails_and_the_failure_goes_on(case: Case) -> None:
    asked = []

    def breaks(scores: Tensor, targets: Tensor) -> float:
        asked.append(1)
        if len(asked) > 5:
            raise KeyboardInterrupt
        return 0.5

    first, broken, last = _Watcher(), _Watcher(fails=True), _Watcher()
    with pytest.raises(KeyboardInterrupt) as caught:
        case.optimized(breaks, higher_is_better=True, watch=[first, lambda event: None, broken, last])
    assert [one.closed for one in (first, broken, last)] == [1, 1, 1]
    assert caught.value.__notes__ == ["closing _Watcher failed, too: OSError: the disk is full"]


def test_watchers_of_a_run_that_ends_are_left_open(case: Case) -> None:
    watcher = _Watcher()
    case.optimized(budget=64, method="threshold", watch=watcher)
    assert (watcher.closed, len(watcher.events) > 3) == (0, True)
    with closed_on_failure([watcher]):
        pass
    assert watcher.closed == 0


def test_a_val_of_one_class_is_doubted(case: Case) -> None:
    x, y = case.val
    with pytest.warns(UserWarning, match=r"all \d+ targets of val are 1, so .* give val examples of all classes"):
        Case(model=case.model, train=case.train, val=(x, torch.ones_like(y))).optimized(budget=64, method="threshold")
