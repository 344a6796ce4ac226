"""Losses of plain tensor operations run where their scores are."""

from __future__ import annotations

import pytest
import torch

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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in LOSSES for kind in LOSSES[name].card.targets])
def test_a_gpu_gives_the_values_and_gradients_of_the_cpu(name, kind):
    loss, (scores, targets) = loss_case.make(name), loss_case.example(name, kind, 0)
    found = []
    for device in ("cpu", "cuda"):
        mine = scores.to(device).requires_grad_()
        value = (loss.to(device) if isinstance(loss, torch.nn.Module) else loss)(mine, targets.to(device))
        value.backward()
        found.append((value.detach().cpu(), mine.grad.cpu()))
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-8)
