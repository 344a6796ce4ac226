"""The metrics of the AnyLoss study are those of the library, and thresholds are tuned as by trying them all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metricopt.metrics import get_metric
from studies.anyloss.measures import MEASURES, measure, tuned_thresholds


def rows(seed: int, n: int = 60) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, generator=source) < 0.3).float()
    scores = torch.randn(n, generator=source) + labels - 1
    return (scores * 4).round() / 4, labels  # with ties


@pytest.mark.parametrize("metric", MEASURES)
def test_each_measure_is_the_metric_of_that_name(metric: str) -> None:
    for seed in range(5):
        scores, labels = rows(seed)
        for threshold in (0.0, -1.0, 0.5, 50.0):
            expected = get_metric(metric)(scores - threshold, labels)
            assert measure(scores, labels, threshold)[metric] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", MEASURES)
def test_the_tuned_threshold_is_the_best_there_is(metric: str) -> None:
    for seed in range(5):
        scores, labels = rows(seed)
        tried = [measure(scores, labels, float(cut))[metric] for cut in torch.arange(-8, 8, 0.125)]
        found = tuned_thresholds(scores, labels)[metric]
        assert measure(scores, labels, found)[metric] == pytest.approx(max(tried), abs=1e-12)
        assert measure(scores, labels, found)[metric] >= measure(scores, labels)[metric]


def test_a_threshold_that_cannot_be_bettered_stays() -> None:
    found = tuned_thresholds(torch.tensor([-9.0, -5.0, 1.0, 3.0]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert set(found.values()) == {0.0}
