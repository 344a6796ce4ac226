"""SOAP beside a twin that compares all pairs, and its memory beside one that is kept by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, by_differences, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking.soap import Soap


def expectations(scores, targets, p, margin):
    hinges = [max(0.0, margin - (scores[p] - s)) ** 2 for s in scores]
    return np.mean(np.array(hinges) * targets), np.mean(hinges)


@by_differences
def twin(scores, targets, margin=1.0):
    positives = np.flatnonzero(targets == 1)
    if len(positives) == 0:
        return 0.0
    parts = [expectations(scores, targets, p, margin) for p in positives]
    return 1 - np.mean([near / whole for near, whole in parts])


@pytest.mark.parametrize("margin", [0.3, 1.2])  # not on the grid: differences need a steady curvature
def test_all_pairs(margin):
    def loss(scores, targets, margin):
        return Soap(margin=margin)(scores, targets)

    for scores, targets in binary_batches():
        assert_equal(loss, twin, scores, targets, margin=margin)
    assert_equal(loss, column_mean(twin, lambda t: t.any()), *multilabel_batch(), margin=margin)


def test_named_examples_are_remembered():
    """Value and gradient at averages kept by hand, over batches that share examples."""
    random = generator(1, "memory")
    loss, kept, rate = Soap(examples=12, rate=0.6), {}, 0.6
    targets = torch.arange(12) % 3 == 0
    for _ in range(5):
        indices = torch.randperm(12, generator=random)[:8]
        scores = torch.randn(8, generator=random, dtype=torch.float64, requires_grad=True)
        truth = targets[indices].long()
        value = loss(scores, truth, indices)
        value.backward()
        positives = [i for i in range(8) if truth[i] == 1]
        for p in positives:
            new = np.array(expectations(scores.detach().numpy(), truth.numpy(), p, 1.0))
            name = int(indices[p])
            kept[name] = (1 - rate) * kept[name] + rate * new if name in kept else new

        @by_differences
        def at_averages(s, t, indices=indices, positives=positives):
            total = 0.0
            for p in positives:
                near, whole = expectations(s, t, p, 1.0)
                u, v = kept[int(indices[p])]
                total -= (near / v - u * whole / v**2) / len(positives)
            return total

        slope = at_averages(scores.detach().numpy(), truth.numpy())[1]
        np.testing.assert_allclose(scores.grad, slope, rtol=0, atol=1e-8)
        ratios = [kept[int(indices[p])][0] / kept[int(indices[p])][1] for p in positives]
        assert value.item() == pytest.approx(1 - np.mean(ratios), abs=1e-8)
    fresh = Soap(examples=12, rate=0.6)
    fresh.load_state_dict(loss.state_dict())
    assert fresh(scores, truth, indices).item() == loss(scores, truth, indices).item()


def test_in_eval_mode_nothing_is_remembered():
    loss = Soap(examples=4)
    loss(torch.randn(4, generator=generator(2)), torch.tensor([0, 1, 0, 1]), torch.arange(4))
    before = loss.averages.clone()
    assert before[:, 0, [1, 3]].ne(0).all() and before[:, 0, [0, 2]].eq(0).all()
    loss.eval()(torch.zeros(4), torch.tensor([0, 1, 0, 1]), torch.arange(4))
    torch.testing.assert_close(loss.averages, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "indices", "message"),
    [
        ({}, 13, "remembers no examples, but got indices; make it with examples="),
        ({"examples": 20, "columns": 3}, 12, r"indices must have shape \(13,\)"),
        ({"examples": 20}, 13, "remembers 1 columns, these targets have 3; make it with columns=3"),
    ],
)
def test_indices_that_cannot_be_used(options, indices, message):
    with pytest.raises(ConfigError, match=message):
        Soap(**options)(*multilabel_batch(), torch.arange(indices))
