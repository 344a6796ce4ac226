"""FastAP beside a twin with triangular pulses; many bins give average precision itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, by_differences, embedding_batches, unit
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.retrieval import by_anchor
from metricopt.losses.retrieval.fast_ap import fast_ap
from metricopt.metrics import get_metric


@by_differences
def twin(embeddings, labels, bins=10):
    square = 2 - 2 * unit(embeddings) @ unit(embeddings).T
    width = 4 / bins
    losses = []
    for i in range(len(labels)):
        near = [square[i, j] for j in range(len(labels)) if j != i and labels[j] == labels[i]]
        whole = [square[i, j] for j in range(len(labels)) if j != i]
        if not near:
            continue
        precision = positives = everyone = 0.0
        for centre in np.linspace(0, 4, bins + 1):
            share = sum(max(0.0, 1 - abs(d - centre) / width) for d in near)
            positives += share
            everyone += sum(max(0.0, 1 - abs(d - centre) / width) for d in whole)
            precision += share * positives / everyone if everyone > 0 else 0.0
        losses.append(1 - precision / len(near))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("anchors", [1, 7, 10**6])
@pytest.mark.parametrize("bins", [1, 4, 10])
def test_soft_histograms_whatever_the_blocks(anchors, bins, monkeypatch):
    monkeypatch.setattr(by_anchor, "anchors_at_once", lambda n, device: anchors)
    for embeddings, labels in embedding_batches():
        assert_equal(fast_ap, twin, embeddings, labels, bins=bins)


def test_distances_on_the_centres_give_average_precision():
    random = generator(5, "axes")
    axes = torch.eye(3, dtype=torch.float64)[torch.randint(3, (12,), generator=random)]
    embeddings = axes * (2 * torch.randint(2, (12, 1), generator=random) - 1)  # cosines are -1, 0 and 1
    labels = torch.arange(12) % 2
    losses = []
    for i in range(12):
        others = torch.arange(12) != i
        wanted = (labels == labels[i])[others].long()
        losses.append(1 - get_metric("average_precision")((embeddings @ embeddings[i])[others], wanted))
    assert float(fast_ap(embeddings, labels, bins=2)) == pytest.approx(np.mean(losses), abs=1e-12)


def test_there_must_be_a_bin():
    with pytest.raises(ConfigError, match="bins must be an integer of at least 1, got 0"):
        fast_ap(torch.zeros(2, 2), torch.tensor([0, 0]), bins=0)
