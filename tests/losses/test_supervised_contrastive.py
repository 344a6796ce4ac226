"""SupCon beside a twin with loops over anchors and positives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, by_differences, embedding_batches, unit
from metricopt._errors import ConfigError
from metricopt.losses.retrieval import by_anchor
from metricopt.losses.retrieval.supervised_contrastive import supervised_contrastive


@by_differences
def twin(embeddings, labels, temperature=0.1):
    cosine = unit(embeddings) @ unit(embeddings).T / temperature
    losses = []
    for i in range(len(labels)):
        others = [a for a in range(len(labels)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if positives:
            whole = np.log(sum(np.exp(cosine[i, a]) for a in others))
            losses.append(np.mean([whole - cosine[i, p] for p in positives]))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("anchors", [1, 7, 10**6])
def test_softmax_over_all_others_whatever_the_blocks(anchors, monkeypatch):
    monkeypatch.setattr(by_anchor, "anchors_at_once", lambda n, device: anchors)
    for embeddings, labels in embedding_batches():
        assert_equal(supervised_contrastive, twin, embeddings, labels, temperature=0.5)


def test_a_sharp_softmax_does_not_underflow():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], requires_grad=True)
    value = supervised_contrastive(embeddings, torch.tensor([0, 1, 0]), temperature=1e-3)
    value.backward()
    # Each of the two anchors is 1,000 less similar to its positive than to the other label.
    assert value.item() == pytest.approx(1000.0)
    assert torch.isfinite(embeddings.grad).all()


def test_the_temperature_must_be_positive():
    with pytest.raises(ConfigError, match="temperature must be a positive finite number, got 0"):
        supervised_contrastive(torch.zeros(2, 2), torch.tensor([0, 0]), temperature=0)
