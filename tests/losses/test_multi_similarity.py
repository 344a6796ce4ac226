"""Multi-similarity and its mining beside a twin with loops over anchors and pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, by_differences, embedding_batches, unit
from metricopt._errors import ConfigError
from metricopt.losses.retrieval import by_anchor
from metricopt.losses.retrieval.multi_similarity import multi_similarity


@by_differences
def twin(embeddings, labels, alpha=2.0, beta=50.0, base=0.5, mining=0.1):
    cosine = unit(embeddings) @ unit(embeddings).T
    losses = []
    for i in range(len(labels)):
        positives = [cosine[i, j] for j in range(len(labels)) if j != i and labels[j] == labels[i]]
        negatives = [cosine[i, j] for j in range(len(labels)) if labels[j] != labels[i]]
        if not positives:
            continue
        near, far = positives, negatives
        if mining is not None:
            near = [p for p in positives if negatives and p < max(negatives) + mining]
            far = [n for n in negatives if n > min(positives) - mining]
        pull = np.log(1 + sum(np.exp(-alpha * (p - base)) for p in near)) / alpha
        push = np.log(1 + sum(np.exp(beta * (n - base)) for n in far)) / beta
        losses.append(pull + push)
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("anchors", [1, 7, 10**6])
@pytest.mark.parametrize("mining", [None, 0.0, 0.1])
def test_pairs_that_are_hard_whatever_the_blocks(anchors, mining, monkeypatch):
    monkeypatch.setattr(by_anchor, "anchors_at_once", lambda n, device: anchors)
    for embeddings, labels in embedding_batches():
        assert_equal(multi_similarity, twin, embeddings, labels, mining=mining)


def test_a_huge_beta_does_not_overflow():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], requires_grad=True)
    value = multi_similarity(embeddings, torch.tensor([0, 0, 1]), beta=1e4)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(("option", "message"), [({"alpha": 0.0}, "alpha must be"), ({"mining": -0.1}, "mining must")])
def test_options_out_of_range(option, message):
    with pytest.raises(ConfigError, match=message):
        multi_similarity(torch.zeros(2, 2), torch.tensor([0, 0]), **option)
