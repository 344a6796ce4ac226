"""Threshold tuning against scikit-learn, and against trying every cut."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import TunedThresholdClassifierCV
from torch import Tensor, nn

from metricopt._errors import ConfigError
from metricopt._scores import to_labels
from metricopt.adapters import InputBias, OutputShift, attach
from metricopt.losses import get_loss
from metricopt.methods import ThresholdTuning
from metricopt.methods.threshold import _coarse_to_fine, _cuts, _quantiles
from metricopt.metrics import Budget, Metric, from_function, from_model_function, from_sklearn, get_metric
from metricopt.workload import Examples
from tiny_problem import BIAS, problem_of, tiny_problem


class Wrapped(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A torch model as a fitted scikit-learn classifier."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.classes_ = np.array([0, 1])

    def fit(self, x: np.ndarray, y: np.ndarray) -> Wrapped:
        raise AssertionError("the model is trained already")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            positive = torch.sigmoid(self.model(torch.from_numpy(x)).double()).numpy()
        return np.hstack([1 - positive, positive])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["f1", "balanced_accuracy", "accuracy"])
@pytest.mark.parametrize("thresholds", [5, 50])
def test_equals_scikit_learn(seed: int, name: str, thresholds: int) -> None:
    problem = tiny_problem(calls=None, metric=from_sklearn(name), seed=seed)
    x, y = problem.workload.val.inputs.numpy(), problem.workload.val.targets.long().numpy()
    reference = TunedThresholdClassifierCV(
        Wrapped(problem.workload.adapted.merged(problem.start)),
        scoring=name,
        thresholds=thresholds,
        cv="prefit",
        refit=False,
        store_cv_results=True,
    ).fit(x, y)

    method = ThresholdTuning(grid="linear_probability", candidates=thresholds)
    result = method.run(problem, seed=0)
    np.testing.assert_array_equal(result.utilities[1:].numpy(), reference.cv_results_["scores"])
    best = int(result.utilities[1:].argmax())
    labels = to_labels(problem.outputs(result.phis[1 + best][None])[0], "binary").reshape(-1)
    np.testing.assert_array_equal(labels.numpy(), reference.predict(x))
    assert result.utility == max(reference.best_score_, float(result.utilities[0]))


@pytest.mark.parametrize("seed", range(4))
def test_a_full_grid_finds_the_best_of_all_cuts(seed: int) -> None:
    problem = tiny_problem(calls=None, metric=from_sklearn("f1"), seed=seed)
    scores = problem.outputs(problem.start[None]).reshape(-1).double().numpy()
    y = problem.workload.val.targets.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cut above all scores has no positives
        brute = max(f1_score(y, scores > cut) for cut in [*scores, scores.min() - 1])
    assert ThresholdTuning().run(problem, seed=0).utility == brute


def test_the_tuned_phi_is_worth_the_same_through_the_model_and_folded_into_it() -> None:
    problem = tiny_problem(calls=None)
    result = ThresholdTuning().run(problem, seed=0)
    assert float(problem.observe(result.phi[None])[0]) == result.utility
    with torch.no_grad():
        folded = problem.workload.adapted.merged(result.phi)(problem.workload.val.inputs)
    assert problem.metric(folded, problem.workload.val.targets) == result.utility


def test_only_the_shift_moves() -> None:
    problem = tiny_problem(calls=20)
    result = ThresholdTuning().run(problem, seed=0)
    others = torch.ones(problem.dim, dtype=torch.bool)
    others[problem.spec.slice_of("output_shift.shift")] = False
    assert not result.phis[:, others].any()
    # Taking the bias off is not enough: F1 is best at a threshold below a probability of one half.
    assert float(result.phi[~others]) > -BIAS["binary"][0]


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("seed", range(3))
def test_shifts_per_class_undo_the_bias(kind: str, seed: int) -> None:
    problem = tiny_problem(calls=300, kind=kind, seed=seed, examples=400)  # type: ignore[arg-type]
    result = ThresholdTuning(candidates=40).run(problem, seed=0)
    right = problem.start.clone()
    right[problem.spec.slice_of("output_shift.shift")] = -torch.tensor(BIAS[kind])
    # As good on the search split as taking the bias off, which is right for the distribution.
    assert result.utility is not None
    assert result.utility >= float(problem.observe(right[None])[0]) - 0.01
    assert result.utility > float(result.utilities[0]) + 0.03


def test_multilabel_equals_tuning_each_label_alone() -> None:
    """Macro F1 falls apart into labels, so a full pass finds each label's best cut."""
    macro = from_sklearn("f1_macro")
    problem = tiny_problem(calls=None, kind="multilabel", metric=macro, examples=60)
    scores = problem.outputs(problem.start[None])[0].double().numpy()
    y = problem.workload.val.targets.numpy()
    best = [
        max(f1_score(y[:, c], scores[:, c] > cut) for cut in [*np.sort(scores[:, c])[:-1], scores[:, c].min() - 1])
        for c in range(scores.shape[1])
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cut above all scores has no positives
        result = ThresholdTuning().run(problem, seed=0)
    assert result.utility == pytest.approx(np.mean(best), abs=1e-12)


def test_multiclass_search_does_not_depend_on_the_order_of_examples_and_ends_by_itself() -> None:
    metric = from_function(
        lambda labels, y: balanced_accuracy_score(y, labels), name="b", higher_is_better=True, reads="labels"
    )
    problem = tiny_problem(calls=5000, kind="multiclass", metric=metric)
    result = ThresholdTuning().run(problem, seed=0)
    assert 50 < result.calls < 1000
    order = torch.arange(len(problem.workload.val)).flip(0)
    mirrored = tiny_problem(calls=5000, kind="multiclass", metric=metric)
    mirrored.val = Examples(inputs=problem.workload.val.inputs[order], targets=problem.workload.val.targets[order])
    again = ThresholdTuning().run(mirrored, seed=1)
    assert torch.equal(result.phis, again.phis)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("calls", [1, 2, 3, 10])
def test_spends_no_more_than_it_has(kind: str, calls: int) -> None:
    problem = tiny_problem(calls=calls, kind=kind)  # type: ignore[arg-type]
    result = ThresholdTuning().run(problem, seed=0)
    assert result.calls == len(result.utilities) <= calls
    assert result.diagnostics["candidates"] == result.calls
    assert not result.phis[0].any()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_equal_scores_are_no_special_case(kind: str) -> None:
    problem = tiny_problem(calls=30, kind=kind)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in problem.workload.adapted.model.parameters():
            parameter.zero_()
    result = ThresholdTuning().run(problem, seed=0)
    assert bool(result.phis.isfinite().all())
    assert result.utility == float(result.utilities.max())


def test_metrics_of_the_model_are_asked_for_a_model() -> None:
    problem = tiny_problem(calls=30)
    inputs, targets, f1 = problem.workload.val.inputs, problem.workload.val.targets, get_metric("f1")
    of_model = from_model_function(lambda model: f1(model(inputs), targets), name="f1", higher_is_better=True)
    scores = ThresholdTuning().run(problem, seed=0)
    models = ThresholdTuning().run(tiny_problem(calls=30, metric=of_model), seed=0)
    assert torch.equal(scores.phis, models.phis)
    assert torch.equal(scores.utilities, models.utilities)


def test_without_a_shift_it_says_what_to_attach() -> None:
    problem = tiny_problem(calls=5, adapters=[InputBias(dim=2)])
    with pytest.raises(ConfigError, match=r"slots \['0\.input_bias.*attach OutputShift\(\)"):
        ThresholdTuning().run(problem, seed=0)
    assert problem.meter.calls == 0


def test_the_grid_of_probabilities_is_for_binary_scores() -> None:
    with pytest.raises(ConfigError, match='these are multiclass; use grid="quantiles"'):
        ThresholdTuning(grid="linear_probability").run(tiny_problem(kind="multiclass"), seed=0)


def test_a_shift_in_the_middle_of_the_model_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    adapted = attach(model, OutputShift(), where="0", probe=torch.zeros(2, 2))
    examples = Examples(inputs=torch.randn(8, 2), targets=torch.tensor([0.0, 1.0] * 4))
    problem = problem_of(
        adapted, loss=get_loss("cross_entropy"), metric=_f1(), train=examples, val=examples, budget=Budget(calls=5)
    )
    with pytest.raises(ConfigError, match="not the last thing that the model does"):
        ThresholdTuning().run(problem, seed=0)
    assert problem.meter.calls == 0


def _f1() -> Metric:
    return get_metric("f1")


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=20))
def test_cuts_separate_every_value_from_the_next(numbers: list[float]) -> None:
    values = torch.tensor(numbers)
    cuts = _cuts(values)
    distinct = sorted(set(values.tolist()))
    # The label of a score is score - cut > 0, in float32: cut i has exactly i distinct values at or below it.
    counts = [sum(not float(torch.tensor(v) - cut) > 0 for v in distinct) for cut in cuts]
    assert counts == list(range(len(distinct) + 1))


@pytest.mark.parametrize("bits", [1.0, -1.0, 1e-38, 3e38])
def test_cuts_between_neighbours_of_floating_point(bits: float) -> None:
    low = torch.tensor(bits)
    high = torch.nextafter(low, torch.tensor(torch.inf))
    cut = _cuts(torch.stack([high, low]))[1]
    assert not low - cut > 0
    assert high - cut > 0


def test_infinite_scores_are_left_out_of_the_grid() -> None:
    values = torch.tensor([-torch.inf, 0.0, 2.0, torch.inf])
    assert _cuts(values)[1] == 1.0
    assert bool(_cuts(values).isfinite().all())
    assert _cuts(torch.tensor([torch.inf])).tolist() == [0.0]


@pytest.mark.parametrize("count", [0, 1, 3, 10, 500])
def test_grid_is_as_long_as_the_budget_and_even_in_rank(count: int) -> None:
    values = torch.randn(99, generator=torch.Generator().manual_seed(0)).exp()
    grid = np.array(sorted(_quantiles(values, count)))
    assert len(grid) == min(count, 100) == len(set(grid))
    if 1 < count < 100:
        ranks = np.searchsorted(np.sort(values.numpy()), grid)
        assert np.ptp(np.diff(ranks)) <= 1


@given(st.integers(0, 300))
def test_coarse_to_fine_is_an_order_without_large_gaps(count: int) -> None:
    order = _coarse_to_fine(count)
    assert sorted(order) == list(range(count))
    half = sorted([-1, *order[: count // 2], count])
    assert count < 8 or max(np.diff(half)) <= 4


def test_scores_without_a_second_axis() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x)[:, 0]

    torch.manual_seed(0)
    model = Flat()
    with torch.no_grad():
        model.linear.weight.copy_(torch.tensor([[1.0, 0.0]]))
        model.linear.bias.fill_(-1.0)
    inputs = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    examples = Examples(inputs=inputs, targets=(inputs[:, 0] > 0).float())
    problem = problem_of(
        attach(model, OutputShift(), probe=inputs[:3]),
        loss=get_loss("cross_entropy"),
        metric=_f1(),
        train=examples,
        val=examples,
        budget=Budget(calls=100),
    )
    assert ThresholdTuning().run(problem, seed=0).utility == 1.0


def test_half_precision_models_are_tuned_too() -> None:
    whole = tiny_problem(calls=30)
    half = problem_of(
        attach(
            whole.workload.adapted.detach().bfloat16(), OutputShift(), probe=whole.workload.val.inputs[:3].bfloat16()
        ),
        loss=whole.workload.loss,
        metric=whole.metric,
        train=Examples(inputs=whole.workload.train.inputs.bfloat16(), targets=whole.workload.train.targets),
        val=Examples(inputs=whole.workload.val.inputs.bfloat16(), targets=whole.workload.val.targets),
        budget=Budget(calls=200),
    )
    result = ThresholdTuning(candidates=30).run(half, seed=0)
    assert result.utility is not None
    assert result.utility > float(result.utilities[0]) + 0.3
    # bfloat16 has three digits: the decision of a score next to the threshold may change on the way through the model.
    assert float(half.observe(result.phi[None])[0]) == pytest.approx(result.utility, abs=0.02)
