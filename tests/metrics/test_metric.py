"""Metric: what its function is handed, what may come back, direction, and the message of every error."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from metricopt._errors import BudgetExhausted, ConfigError, MetricError
from metricopt.metrics import Metric

SCORES = torch.tensor([2.0, -1.0, 0.5])
TARGETS = torch.tensor([1, 0, 0])


def returning(value, **fields):
    return Metric(lambda outputs, targets: value, name="mine", higher_is_better=True, **fields)


@pytest.mark.parametrize(
    "value",
    [0.25, np.float32(0.25), np.float64(0.25), np.array([[0.25]]), torch.tensor(0.25), torch.tensor([0.25])],
    ids=lambda v: f"{type(v).__name__}{getattr(v, 'shape', '')}",
)
def test_one_number_in_any_clothes_is_a_float(value):
    got = returning(value)(SCORES, TARGETS)
    assert got == 0.25 and type(got) is float


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), 1, np.int64(1)])
def test_truth_and_whole_numbers_count_as_one(value):
    assert returning(value)(SCORES, TARGETS) == 1.0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "returned nan, which cannot be compared"),
        (math.inf, "returned inf, which cannot be compared"),
        (torch.tensor(-math.inf), "returned -inf"),
        (1 + 2j, "returned a complex"),
        (torch.tensor(1 + 2j), "returned a complex"),
        (torch.tensor([0.1, 0.2]), r"returned a Tensor of shape \(2,\); it must return one number"),
        (np.zeros((2, 3)), r"returned a ndarray of shape \(2, 3\)"),
        (torch.zeros(0), r"returned a Tensor of shape \(0,\)"),
        (None, "returned None; does the function end without a return"),
        ("0.5", "returned a str: '0.5'; it must return one real number"),
        ([0.5], "returned a list"),
        ({"f1": 0.5}, "returned a dict"),
        (1.5, r"returned 1.5, outside its bounds \(0.0, 1.0\); values are never clipped"),
        (-1e-6, "outside its bounds"),
    ],
)
def test_anything_else_is_an_error_that_says_what_came_back(value, message):
    with pytest.raises(MetricError, match=f"metric 'mine' {message}" if message.startswith("returned") else message):
        returning(value)(SCORES, TARGETS)


@pytest.mark.parametrize("value", [1 + 5e-10, torch.tensor(1.0000002), np.float32(1.0000002)])
def test_rounding_dust_is_the_bound_itself(value):
    assert returning(value)(SCORES, TARGETS) == 1.0


def test_float64_gets_no_float32_tolerance():
    with pytest.raises(MetricError, match="outside its bounds"):
        returning(1.0000002)(SCORES, TARGETS)


def test_a_function_that_raises_is_named_and_its_error_chained():
    def broken(outputs, targets):
        raise KeyError("no such label")

    with pytest.raises(MetricError, match=r"metric 'mine' raised KeyError: 'no such label'.*float32 \(3,\)") as caught:
        Metric(broken, name="mine", higher_is_better=True)(SCORES, TARGETS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_errors_of_the_package_pass_through_unwrapped():
    def broke(outputs, targets):
        raise BudgetExhausted("inner")

    with pytest.raises(BudgetExhausted, match="inner"):
        Metric(broke, name="mine", higher_is_better=True)(SCORES, TARGETS)


def test_interrupts_are_not_swallowed():
    def interrupted(outputs, targets):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Metric(interrupted, name="mine", higher_is_better=True)(SCORES, TARGETS)


def seen(reads, scores, targets):
    """What the function of a metric that reads `reads` is handed."""
    caught = []

    def look(outputs, truth):
        caught.append((outputs, truth))
        return 0.0

    Metric(look, name="look", higher_is_better=True, reads=reads)(scores, targets)
    return caught[0]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_binary_arguments_arrive_flat(shape):
    for reads, want in {
        "scores": SCORES,
        "probabilities": torch.sigmoid(SCORES),
        "labels": torch.tensor([1, 0, 1]),
    }.items():
        outputs, truth = seen(reads, SCORES.reshape(shape), TARGETS.reshape(shape))
        assert torch.equal(outputs, want) and torch.equal(truth, TARGETS)


def test_multiclass_and_multilabel_follow_the_shape_of_the_targets():
    scores = torch.tensor([[1.0, 2.0, -3.0], [0.5, -1.0, 0.0]])
    single, several = torch.tensor([1, 0]), torch.tensor([[1, 1, 0], [0, 0, 1]])
    assert torch.equal(seen("labels", scores, single)[0], torch.tensor([1, 0]))
    assert torch.equal(seen("labels", scores, several)[0], torch.tensor([[1, 1, 0], [1, 0, 0]]))
    torch.testing.assert_close(seen("probabilities", scores, single)[0], scores.softmax(1))
    torch.testing.assert_close(seen("probabilities", scores, several)[0], scores.sigmoid())


def test_numpy_arrays_are_read_as_tensors_also_read_only_and_reversed_ones():
    frozen = SCORES.numpy().copy()
    frozen.flags.writeable = False
    assert torch.equal(seen("scores", frozen, TARGETS.numpy())[0], SCORES)
    assert torch.equal(seen("scores", SCORES.numpy()[::-1], TARGETS.numpy())[0], SCORES.flip(0))


def test_outputs_that_are_no_scores_pass_through_as_they_are():
    boxes, truth = [{"boxes": 1}], [{"boxes": 2}]
    assert seen("scores", boxes, truth) == (boxes, truth)
    embeddings = torch.zeros(3, 8), torch.zeros(3, 2)
    assert seen("scores", *embeddings)[0].shape == (3, 8)
    with pytest.raises(ConfigError, match=r'reads labels.*got list and list; use reads="scores"'):
        seen("labels", boxes, truth)
    with pytest.raises(ConfigError, match="do not go with targets"):
        seen("labels", *embeddings)


def test_no_graph_reaches_the_function():
    scores = SCORES.clone().requires_grad_()
    assert not seen("scores", scores, TARGETS)[0].requires_grad
    assert not seen("probabilities", scores, TARGETS)[0].requires_grad


def test_changing_an_argument_in_place_is_an_error():
    def careless(outputs, targets):
        targets[targets == 0] = -1
        return 0.5

    with pytest.raises(MetricError, match="changed its arguments in place.*clone"):
        Metric(careless, name="mine", higher_is_better=True)(SCORES, TARGETS.clone())


def test_inference_tensors_are_fine():
    with torch.inference_mode():
        scores = SCORES * 1
    assert returning(0.5)(scores, TARGETS) == 0.5


def test_nan_among_the_outputs_is_reported_as_such():
    scores = torch.tensor([1.0, math.nan, math.nan])
    with pytest.raises(MetricError, match="hold 2 NaN among 3 values; the model has diverged"):
        returning(0.5)(scores, TARGETS)
    masked = torch.tensor([math.inf, -math.inf, 0.0])
    assert returning(0.5)(masked, TARGETS) == 0.5


def test_a_metric_of_the_model():
    count = Metric(
        lambda model: sum(p.numel() for p in model.parameters()),
        name="size",
        higher_is_better=False,
        bounds=(0, 100),
        reads="model",
    )
    assert count.measure_model(nn.Linear(2, 3)) == 9.0
    with pytest.raises(ConfigError, match=r"use metric.measure_model\(model\)"):
        count(SCORES, TARGETS)
    with pytest.raises(ConfigError, match=r"reads scores, not the model; call metric\(outputs, targets\)"):
        returning(0.5).measure_model(nn.Linear(2, 3))
    with pytest.raises(MetricError, match="metric 'size' returned 110"):
        count.measure_model(nn.Linear(10, 10))
    broken = dataclasses.replace(count, fn=lambda model: model.missing)
    with pytest.raises(MetricError, match="'size' raised AttributeError.*called with Linear"):
        broken.measure_model(nn.Linear(2, 3))


finite = st.floats(-1e3, 1e3, allow_nan=False)


@given(low=finite, width=st.floats(1e-2, 1e3), share=st.floats(0, 1), higher=st.booleans())
def test_utility_lies_in_the_unit_interval_and_raw_is_its_inverse(low, width, share, higher):
    metric = Metric(max, name="any", higher_is_better=higher, bounds=(low, low + width))
    raw = metric.raw(share)
    assert 0.0 <= metric.utility(raw) <= 1.0
    # Bounds of size 1e3 leave about 1e-13 of absolute rounding, divided by a width of at least 1e-2.
    assert metric.utility(raw) == pytest.approx(share, abs=1e-10)


@pytest.mark.parametrize(("higher", "best"), [(True, 3.0), (False, -1.0)])
def test_the_best_value_has_utility_one(higher, best):
    metric = Metric(max, name="any", higher_is_better=higher, bounds=(-1, 3))
    assert metric.utility(best) == 1.0 and metric.utility(2.0 - best) == 0.0
    assert metric.raw(1.0) == best
    with pytest.raises(MetricError, match="outside its bounds"):
        metric.utility(3.5)
    with pytest.raises(MetricError, match="nan"):
        metric.utility(math.nan)
    with pytest.raises(ConfigError, match="utility must be a finite number"):
        metric.raw(math.nan)


def test_direction_has_no_default():
    with pytest.raises(TypeError, match="higher_is_better"):
        Metric(max, name="any")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"higher_is_better": None}, "must be True or False, got None"),
        ({"higher_is_better": 1}, "must be True or False, got 1"),
        ({"name": ""}, "name must be a non-empty string"),
        ({"reads": "logits"}, "reads must be one of scores, probabilities, labels, model; got 'logits'"),
        ({"bounds": (0, math.inf)}, r"two finite numbers \(low, high\)"),
        ({"bounds": (1, 0)}, "low < high"),
        ({"bounds": (0, 0)}, "low < high"),
        ({"bounds": None}, "two finite numbers"),
        ({"bounds": (0, 1, 2)}, "two finite numbers"),
        ({"fn": "f1"}, "needs a callable, got a str: 'f1'"),
    ],
)
def test_fields_that_cannot_work(fields, message):
    with pytest.raises(ConfigError, match=message):
        Metric(**{"fn": max, "name": "any", "higher_is_better": True, **fields})


def test_a_metric_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        returning(0.5).name = "other"
