"""SmoothAP of retrieval beside a twin with three loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, by_differences, embedding_batches, unit
from metricopt._errors import ConfigError
from metricopt.losses import pair_blocks
from metricopt.losses.retrieval import by_anchor
from metricopt.losses.retrieval.retrieval_smooth_ap import retrieval_smooth_ap


@by_differences
def twin(embeddings, labels, temperature=0.01):
    cosine = unit(embeddings) @ unit(embeddings).T
    losses = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i]
        near = [j for j in others if labels[j] == labels[i]]
        precision = []
        for p in near:
            soft = {j: 1 / (1 + np.exp(-(cosine[i, j] - cosine[i, p]) / temperature)) for j in others if j != p}
            precision.append((1 + sum(soft[j] for j in near if j != p)) / (1 + sum(soft.values())))
        if near:
            losses.append(1 - np.mean(precision))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("anchors", [1, 7, 10**6])
@pytest.mark.parametrize("pairs", [1, 10**6])
def test_soft_ranks_whatever_the_blocks(anchors, pairs, monkeypatch):
    monkeypatch.setattr(by_anchor, "anchors_at_once", lambda n, device: anchors)
    monkeypatch.setattr(pair_blocks, "block_size", lambda device: pairs)
    for embeddings, labels in embedding_batches():
        assert_equal(retrieval_smooth_ap, twin, embeddings, labels, temperature=0.2)


def test_the_temperature_must_be_positive():
    with pytest.raises(ConfigError, match="temperature must be a positive finite number, got 0"):
        retrieval_smooth_ap(torch.zeros(2, 2), torch.tensor([0, 0]), temperature=0)
