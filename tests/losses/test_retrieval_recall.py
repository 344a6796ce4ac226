"""Recall of retrieval on black-box ranks beside a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, embedding_batches, unit
from metricopt._errors import ConfigError
from metricopt.losses.retrieval import by_anchor
from metricopt.losses.retrieval.retrieval_recall import retrieval_recall
from rank_twin import both_ranks, through_ranks


def of_one_query(cosine, wanted, strength, margin):
    shifted = cosine - margin * (wanted - 0.5)
    everywhere, among = both_ranks(shifted, wanted)
    ahead = np.where(wanted, everywhere - among, 0.0)
    loss = np.log(1 + np.log(1 + ahead))
    slope = np.where(wanted, 1 / (1 + np.log(1 + ahead)) / (1 + ahead), 0.0) / wanted.sum()
    return loss.sum() / wanted.sum(), through_ranks(shifted, wanted, loss, (slope, -slope), strength)


def twin(embeddings, labels, strength=0.1, margin=0.05):
    directions = unit(embeddings)
    cosine = directions @ directions.T
    queries = [i for i in range(len(labels)) if (labels == labels[i]).sum() > 1]
    value, slope = 0.0, np.zeros_like(cosine)
    for i in queries:
        others = np.array([j for j in range(len(labels)) if j != i])
        part, slope[i, others] = of_one_query(cosine[i, others], labels[others] == labels[i], strength, margin)
        value += part / len(queries)
    inside = (slope + slope.T) @ directions / max(len(queries), 1)
    # Through the normalisation: what lies along the vector is lost, and its length divides.
    along = (inside * directions).sum(axis=1, keepdims=True) * directions
    return value, (inside - along) / np.sqrt((embeddings**2).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("anchors", [1, 7, 10**6])
@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_each_query_ranks_all_others_whatever_the_blocks(anchors, strength, monkeypatch):
    monkeypatch.setattr(by_anchor, "anchors_at_once", lambda n, device: anchors)
    for embeddings, labels in embedding_batches():
        assert_equal(retrieval_recall, twin, embeddings, labels, strength=strength)


def test_an_unknown_weight():
    with pytest.raises(ConfigError, match="weight must be one of loglog, log; got 'sqrt'"):
        retrieval_recall(torch.zeros(2, 2), torch.tensor([0, 0]), weight="sqrt")
