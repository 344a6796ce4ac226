"""What every registered metric promises, whichever it is: the cards say all that differs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError, MetricError
from metricopt._random import generator
from metricopt.metrics import METRICS, Metric, as_metric, get_metric

CASES = [(name, kind) for name, entry in METRICS.items() for kind in entry.card.kinds]
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
every_metric = pytest.mark.parametrize("name", METRICS)

CLASSES = 4


def made(name: str) -> Metric:
    return get_metric(name, **METRICS[name].card.options)


def targets_of(kind: str, rows: int, random: torch.Generator) -> torch.Tensor:
    """Targets in which every class and label occurs, and every example of many labels has one."""
    if kind == "multiclass":
        return torch.arange(rows)[torch.randperm(rows, generator=random)] % CLASSES
    if kind == "multilabel":
        return torch.nn.functional.one_hot(targets_of("multiclass", rows, random), CLASSES)
    return torch.arange(rows)[torch.randperm(rows, generator=random)] % 2


def scores_like(kind: str, targets: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    shape = targets.shape if kind != "multiclass" else (len(targets), CLASSES)
    return torch.randn(shape, generator=random)


def perfect(kind: str, targets: torch.Tensor) -> torch.Tensor:
    truth = torch.nn.functional.one_hot(targets, CLASSES) if kind == "multiclass" else targets
    return truth * 8.0 - 4.0


def example(kind: str, seed: int, rows: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    random = generator(seed, "metric contract", kind)
    targets = targets_of(kind, rows, random)
    return scores_like(kind, targets, random), targets


@every_metric
def test_the_card_agrees_with_the_metric(name):
    card, metric = METRICS[name].card, made(name)
    assert card.name == name and card.title and card.reference and card.kinds
    assert (metric.higher_is_better, metric.bounds, metric.reads) == (card.higher_is_better, card.bounds, card.reads)
    assert metric.name.startswith(name)
    if not card.options:
        assert as_metric(name).name == metric.name


@every_case
@given(seed=st.integers(0, 10**6))
def test_values_lie_in_the_bounds_and_do_not_depend_on_the_order_of_examples(name, kind, seed):
    metric, (scores, targets) = made(name), example(kind, seed)
    scores = (scores * 2).round() / 2  # ties
    value = metric(scores, targets)
    assert metric.bounds[0] <= value <= metric.bounds[1]
    order = torch.randperm(len(targets), generator=generator(seed, "order"))
    # Sums of another order: rounding of float32 where torchmetrics divides.
    assert metric(scores[order], targets[order]) == pytest.approx(value, abs=1e-6)


@every_case
def test_a_perfect_prediction_is_not_beaten_and_the_opposite_is_worse(name, kind):
    metric, (scores, targets) = made(name), example(kind, 1)
    best = metric.utility(metric(perfect(kind, targets), targets))
    if METRICS[name].card.perfect_is_best:
        assert best >= metric.utility(metric(scores, targets))
        assert best > metric.utility(metric(-perfect(kind, targets), targets))
    if METRICS[name].card.perfect_is_one:
        assert best == pytest.approx(1.0, abs=1e-6)


@every_case
def test_the_same_call_gives_the_same_bits_and_changes_nothing(name, kind):
    metric, (scores, targets) = made(name), example(kind, 2)
    kept = scores.clone(), targets.clone()
    random_state = torch.random.get_rng_state()
    assert metric(scores, targets) == metric(scores, targets) == made(name)(scores, targets)
    assert torch.equal(scores, kept[0]) and torch.equal(targets, kept[1])
    assert torch.equal(torch.random.get_rng_state(), random_state)


@every_case
def test_other_clothes_give_the_same_value(name, kind):
    metric, (scores, targets) = made(name), example(kind, 3)
    scores = scores.bfloat16().float()  # so that the half-precision copy below holds the same numbers
    value = metric(scores, targets)
    assert metric(scores.numpy(), targets.numpy()) == value
    assert metric(scores.requires_grad_(), targets) == value
    assert metric(scores.detach().bfloat16(), targets) == pytest.approx(value, abs=1e-6)
    assert metric(scores.detach().double(), targets) == pytest.approx(value, abs=1e-6)
    assert metric(scores.detach(), targets.to(torch.uint8)) == value
    if kind == "binary":
        assert metric(scores[:, None], targets[:, None]) == value
        assert metric(scores, targets.bool()) == metric(scores, targets.float()) == value


@every_case
def test_what_a_metric_depends_on(name, kind):
    """Hard labels only, or the order only: scaling keeps both, a shift of binary scores keeps the order alone."""
    metric, (scores, targets) = made(name), example(kind, 4)
    if METRICS[name].card.depends_on == "labels":
        squashed = torch.sign(scores) * scores.abs().sqrt() if kind != "multiclass" else scores * 3
        assert metric(squashed, targets) == metric(scores, targets)
    elif kind == "binary":
        assert metric(torch.exp(scores) + 5, targets) == metric(scores, targets)


@every_case
def test_degenerate_targets_give_a_number_in_the_bounds_or_say_why_not(name, kind):
    """One class only, predicted rightly and wrongly: no warning (they are errors here), no NaN."""
    rows = 6
    shape = (rows, CLASSES) if kind != "binary" else (rows,)
    for truth in (0, 1):
        targets = torch.full(shape if kind == "multilabel" else (rows,), truth)
        for scores in (torch.ones(shape), -torch.ones(shape)):
            if kind == "multiclass":
                scores = scores * torch.arange(CLASSES)
            try:
                value = made(name)(scores, targets)
            except MetricError as error:
                assert "undefined" in str(error)
            else:
                assert METRICS[name].card.bounds[0] <= value <= METRICS[name].card.bounds[1]


@every_metric
def test_kinds_that_are_not_on_the_card_are_refused(name):
    for kind in {"binary", "multiclass", "multilabel"} - set(METRICS[name].card.kinds):
        with pytest.raises(ConfigError, match=f"is defined for .*got {kind} scores"):
            made(name)(*example(kind, 5))


@every_metric
def test_shapes_that_fit_no_kind_are_refused(name):
    with pytest.raises(ConfigError, match="do not go with targets of shape"):
        made(name)(torch.zeros(4, 3), torch.zeros(5))
