"""Losses of plain tensor operations run where their scores are."""

from __future__ import annotations

import pytest

import loss_case
from metricopt.losses import LOSSES

#: The others sort out their batch by its values, which the meta device has none of.
PLAIN = ("classification", "confusion")
CASES = [(name, kind) for name in LOSSES if LOSSES.group(name) in PLAIN for kind in LOSSES[name].card.targets]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_nothing_is_left_on_the_cpu(name, kind):
    loss, (scores, targets) = loss_case.make(name), loss_case.example(name, kind, 0)
    scores = scores.to("meta").requires_grad_()  # every machine has this device, and it refuses to be mixed
    value = loss(scores, targets.to("meta"))
    value.backward()
    assert value.device.type == "meta" and scores.grad.shape == scores.shape
