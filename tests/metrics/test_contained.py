"""Global states that a metric changes are its own."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
import torch

from metricopt._errors import MetricError
from metricopt.metrics import Metric

SCORES, TARGETS = torch.zeros(3), torch.tensor([0, 1, 0])


def make(fn):
    return Metric(fn, name="own", higher_is_better=True)


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_what_is_drawn_outside_does_not_depend_on_the_metric():
    def seeds(scores, targets):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        return 0.5

    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    undisturbed = draws()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    make(seeds)(SCORES, TARGETS)
    assert draws() == undisturbed


def test_a_metric_that_draws_examples_does_not_draw_the_same_ones_each_time():
    metric = make(lambda scores, targets: random.random())
    assert len({metric(SCORES, TARGETS) for _ in range(5)}) == 5


def test_a_metric_may_move_and_the_program_stays():
    here = os.getcwd()

    def moves(scores, targets):
        os.chdir("/")
        return 0.5

    make(moves)(SCORES, TARGETS)
    assert os.getcwd() == here

    def moves_and_fails(scores, targets):
        os.chdir("/")
        raise ValueError("lost")

    with pytest.raises(MetricError, match="lost"):
        make(moves_and_fails)(SCORES, TARGETS)
    assert os.getcwd() == here


def test_a_metric_that_exits_raises():
    with pytest.raises(MetricError, match=r"ended the program \(sys.exit\(3\)\)"):
        make(lambda scores, targets: sys.exit(3))(SCORES, TARGETS)
