"""From a metric to its losses, and the documentation's table of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._metric_names import options_in
from metricopt.losses import LOSSES, Card, for_metric, page
from metricopt.metrics import as_metric, get_metric

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_page_of_the_documentation_is_that_of_the_cards():
    assert (REPOSITORY / "docs" / "losses.md").read_text() == page.markdown(), (
        "run: metricopt losses --markdown > docs/losses.md"
    )


def test_every_loss_is_found_by_each_of_its_aims():
    for name, entry in LOSSES.items():
        for aim in entry.card.aims_at:
            assert name in [found.card.name for found in for_metric(aim)]


def test_the_most_direct_aim_comes_first():
    names = [entry.card.name for entry in for_metric("jaccard")]
    places = [LOSSES[name].card.aims_at.index("jaccard") for name in names]
    assert places == sorted(places) and len(places) > 1


def test_both_directions_of_a_metric_have_the_same_losses():
    names = [[entry.card.name for entry in for_metric(name)] for name in ("accuracy", "mcr")]
    assert names[0] == names[1] and names[0][0] == "cross_entropy"


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        (get_metric("f_beta", beta=2.0), {"beta": 2.0}),
        (get_metric("f1"), {}),
        ("fbeta_score", {}),
        ("BinaryF1Score", {}),
    ],
)
def test_a_metric_leads_to_soft_f_beta_with_its_options(metric, bound):
    found = {entry.card.name: entry for entry in for_metric(metric)}
    assert found["soft_f_beta"].bound == bound
    assert callable(found["soft_f_beta"].factory(beta=3.0))


def test_a_metric_that_no_loss_aims_at_has_none_and_a_misspelt_name_is_refused():
    profit = as_metric(lambda labels, targets: 0.5, name="profit", higher_is_better=True, reads="labels")
    assert for_metric(profit) == []
    with pytest.raises(ConfigError, match="no metric named 'balanced_acuracy'; did you mean 'balanced_accuracy'"):
        for_metric("balanced_acuracy")
    with pytest.raises(ConfigError, match="no metric named 'nope'; losses aim at mcr, accuracy"):
        for_metric("nope")


def test_what_is_no_metric_is_refused():
    with pytest.raises(ConfigError, match="needs a Metric or the name of one, got int"):
        for_metric(3)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"targets": ()}, "names no kind of targets"),
        ({"targets": ("tenary",)}, "targets must be one of"),
        ({"cost": "fast"}, "must look like"),
        ({"tier": "beta"}, "tier must be one of"),
        ({"reads": "labels"}, "reads must be one of"),
    ],
)
def test_a_card_with_a_field_that_cannot_be_is_refused(field, message):
    fields = {"name": "x", "title": "x", "targets": ("binary",), "aims_at": ("f1",), "cost": "O(n)", "paper": "x"}
    with pytest.raises(ConfigError, match=message):
        Card(**{**fields, **field})


@pytest.mark.parametrize("aim", ["accuracy", "mcr", "jaccard", "balanced_accuracy", "youden_j"])
def test_a_loss_of_several_scores_is_that_of_the_metric(aim):
    found = {entry.card.name: entry for entry in for_metric(aim)}["score_oriented"]
    assert found.bound == {"score": {"mcr": "accuracy"}.get(aim, aim)}
    scores, targets = torch.tensor([0.1, -0.05, 0.2, -0.1]), torch.tensor([1, 1, 0, 0])
    assert found.factory()(scores, targets) != LOSSES["score_oriented"].factory()(scores, targets)


@pytest.mark.parametrize(
    ("metric", "average"),
    [("f1_micro", "micro"), ("micro_f1", "micro"), ("f1_weighted", "weighted")],
)
def test_an_average_in_the_name_is_set(metric, average):
    assert for_metric(metric)[0].bound == {"average": average}


@pytest.mark.parametrize("metric", ["f1_micro", "f_beta(beta=2.0)"])
def test_losses_that_cannot_do_what_the_name_says_come_last(metric):
    (option,) = options_in(metric)
    able = [option in entry.options for entry in for_metric(metric)]
    assert able == sorted(able, reverse=True)
    assert len(set(able)) == 2


def test_options_for_what_is_no_aim_are_refused():
    fields = {"name": "x", "title": "x", "targets": ("binary",), "aims_at": ("f1",), "cost": "O(n)", "paper": "x"}
    with pytest.raises(ConfigError, match="by_aim of loss 'x' names mcc"):
        Card(**fields, by_aim={"mcc": {"score": "mcc"}})
