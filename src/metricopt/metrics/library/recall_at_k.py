"""Recall at k: how much of what is wanted stands among the k best scores."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import at_least
from ..._errors import MetricError
from ..metric import Metric
from .card import MetricCard, make
from .inputs import read

RECALL_AT_K = MetricCard(
    name="recall_at_k",
    title="Recall at k: share of the positives among the k highest scores",
    depends_on="order",
    kinds=("binary", "multiclass", "multilabel"),
    options={"k": 2},
    perfect_is_one=False,
    reference="torchmetrics retrieval_recall; multiclass: sklearn top_k_accuracy_score",
)


def recall_at_k(k: int) -> Metric:
    """`|positives among the k best| / |positives|`.

    - binary: all N examples are one ranking. No positive at all counts 0.
    - multilabel: each example ranks its C labels; the mean over examples, one without positives counts 0.
    - multiclass: each example ranks its C classes, so it is the top-k accuracy.

    Equal scores at the border share the places that are left: the value is the expectation over random order,
    so it depends neither on the order of the examples nor on the sort. torchmetrics and scikit-learn break ties
    by position.

    Args:
        k: at least 1 and below the number of candidates, N or C.

    >>> import torch
    >>> recall_at_k(2)(torch.tensor([0.9, 0.8, -0.3]), torch.tensor([1, 0, 1]))
    0.5
    """
    at_least("k", k, 1)

    def value(scores: Tensor, targets: Tensor) -> Tensor:
        data = read(RECALL_AT_K.name, RECALL_AT_K.kinds, scores, targets)
        if data.kind == "binary":
            ranked, wanted = data.scores[None], data.targets[None]
        else:
            ranked, wanted = data.scores, data.targets
        if k >= ranked.shape[1]:
            raise MetricError(
                f"recall_at_k(k={k}) takes all of the {ranked.shape[1]} candidates, so it is the same for any scores; "
                "choose a smaller k"
            )
        return _hit_shares(ranked, wanted, k) if data.kind == "multiclass" else _recalls(ranked, wanted, k)

    return make(RECALL_AT_K, value, k=k)


def _hit_shares(scores: Tensor, targets: Tensor, k: int) -> Tensor:
    """Mean chance that the target class is among the k best of its row."""
    own = scores.gather(1, targets[:, None])
    above, tied = (scores > own).sum(dim=1), (scores == own).sum(dim=1)
    return ((k - above).double() / tied).clamp(0.0, 1.0).mean()


def _recalls(scores: Tensor, targets: Tensor, k: int) -> Tensor:
    """Mean over rows of the expected recall of the k best."""
    border = torch.topk(scores, k, dim=1).values[:, -1:]
    positive = targets == 1
    above, tied = scores > border, scores == border
    share = (k - above.sum(dim=1)).double() / tied.sum(dim=1)
    hits = (above & positive).sum(dim=1) + share * (tied & positive).sum(dim=1)
    return (hits / positive.sum(dim=1).clamp(min=1)).mean()
