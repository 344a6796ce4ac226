"""The profile of lists beside scikit-learn, list by list; padding, ties, slopes; a search that uses it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, ndcg_score
from torch import Tensor, nn
from torch.nn import functional as F

import metricopt
from metricopt._errors import ConfigError
from metricopt.profiles import ListsProfile
from metricopt.workload.kinds import output_kind

PROFILE = ListsProfile()
NAMES = [column.name for column in PROFILE.columns]


def columns(scores: Tensor, relevance: Tensor) -> dict[str, float]:
    return dict(zip(NAMES, PROFILE(scores[None], relevance)[0].tolist(), strict=True))


def made(lists: int = 30, length: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    relevance = (torch.rand(lists, length, generator=source) * 4).floor() * (
        torch.rand(lists, length, generator=source) > 0.5
    )
    relevance[0] = 0
    return torch.randn(lists, length, generator=source), relevance


def test_figures_are_those_of_scikit_learn() -> None:
    scores, relevance = made()
    found = columns(scores, relevance)
    wanted = [i for i in range(len(scores)) if relevance[i].max() > 0]
    gains, s = (2 ** relevance[wanted] - 1).numpy(), scores[wanted].numpy()
    assert found["NDCG"] == pytest.approx(ndcg_score(gains, s), abs=1e-5)
    for k in (1, 3, 5, 10):
        assert found[f"NDCG at {k}"] == pytest.approx(ndcg_score(gains, s, k=k), abs=1e-5)
    average = [average_precision_score(relevance[i] > 0, scores[i]) for i in wanted]
    assert found["mean average precision"] == pytest.approx(np.mean(average), abs=1e-5)


def test_figures_are_those_of_a_plain_count() -> None:
    scores, relevance = made(seed=1)
    rows = []
    for s, r in zip(scores.tolist(), relevance.tolist(), strict=True):
        if max(r) > 0:
            order = [one for _, one in sorted(zip(s, r, strict=True), reverse=True)]
            pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if a != b]
            top = sum(one > 0 for one in order[:3])
            first = 1 + next(i for i, one in enumerate(order) if one > 0)
            rows.append([top / 3, top / sum(x > 0 for x in r), top > 0, 1 / first, np.mean([a > b for a, b in pairs])])
    found = columns(scores, relevance)
    names = ("precision at 3", "recall at 3", "hits at 3", "mean reciprocal rank", "share of pairs in order")
    assert [found[name] for name in names] == pytest.approx(np.mean(rows, axis=0).tolist(), abs=1e-5)


def test_places_without_a_document_do_not_count() -> None:
    scores, relevance = made(length=8)
    longer = torch.cat([relevance, torch.full((len(relevance), 3), -1.0)], dim=1)
    for padding in (-50.0, 0.0, 50.0):
        padded = torch.cat([scores, torch.full((len(scores), 3), padding)], dim=1)
        assert columns(padded, longer) == pytest.approx(columns(scores, relevance), abs=1e-5)


def test_equal_scores_are_no_luck() -> None:
    found = columns(torch.zeros(1, 6), torch.tensor([[2.0, 1.0, 0.0, 0.0, 0.0, 0.0]]))
    assert (found["NDCG at 3"], found["hits at 1"], found["mean reciprocal rank"]) == (0.0, 0.0, pytest.approx(0.2))


def test_lists_with_nothing_relevant_alone_are_finite() -> None:
    scores = torch.randn(1, 4, 5, requires_grad=True)
    found = PROFILE(scores, torch.zeros(4, 5))
    found.sum().backward()
    assert bool(found.isfinite().all()) and scores.grad is not None and bool(scores.grad.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_slopes_lead_upwards(name: str) -> None:
    scores, relevance = made(lists=200, length=20, seed=2)
    relevance[:, 15:] = -1
    place, at = NAMES.index(name), scores.clone()[None]
    for _ in range(5):
        at = at.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(PROFILE(at, relevance)[0, place], at)
        at = at + 8 * slope / slope.norm()
    before, after = (float(PROFILE(one.detach(), relevance)[0, place]) for one in (scores[None], at))
    assert after > before or before == 1.0
    assert bool((slope[0, :, 15:] == 0).all())


def test_slices_of_lists() -> None:
    scores, relevance = made()
    profile, odd = ListsProfile(slices=("even", "odd")), torch.arange(30) % 2
    found = profile(scores[None], relevance, torch.nn.functional.one_hot(odd, 2))[0, -2:]
    apart = [columns(scores[odd == k], relevance[odd == k])["NDCG"] for k in (0, 1)]
    assert found.tolist() == pytest.approx(apart, abs=1e-5)


def test_lists_are_declared_and_have_a_relevance_for_each_score() -> None:
    assert output_kind(torch.zeros(3, 5), torch.zeros(3, 5), declared="lists") == "lists"
    assert output_kind(torch.zeros(3, 5, 1), torch.zeros(3, 5), declared="lists") == "lists"
    with pytest.raises(ConfigError, match="outputs='lists' does not go with outputs of shape"):
        output_kind(torch.zeros(3, 5), torch.zeros(3), declared="lists")


class Ranker(nn.Module):
    """Scores of all offers of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x)
        return scores[..., 0]


def revenue(scores: Tensor, relevance: Tensor) -> float:
    """What the first three of each list bring, as a share of the most: a dear offer 1, a cheap one a tenth."""
    pays = torch.where(relevance == 2, 1.0, torch.where(relevance == 1, 0.1, 0.0))
    own = pays.gather(1, scores.topk(3, dim=1).indices).sum()
    return float(own / pays.topk(3, dim=1).values.sum())


def test_a_ranker_of_clicks_is_tuned_for_revenue() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(2400, 10, 8, generator=source)
    noise = torch.randn(2, 2400, 10, generator=source)
    clicked = x[..., 0] + x[..., 1] * x[..., 2] - 0.5 * x[..., 5] + 0.7 * noise[0] > 1.0
    relevance = clicked.float() * (1 + (x[..., 5] + 0.3 * noise[1] > 0.3).float())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Ranker()
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(net(x[:300]), (relevance[:300] > 0).float()).backward()
        optimizer.step()
    outcome = metricopt.optimize(
        net,
        metric=revenue,
        higher_is_better=True,
        bounds=(0, 1),
        loss="ndcg_lambda",
        train=(x[:300], relevance[:300]),
        val=(x[300:], relevance[300:]),
        outputs="lists",
        budget=90,
        quiet=True,
    )
    assert outcome.accepted and outcome.after > outcome.before + 0.02
    assert outcome.reading is not None and "at 3" in outcome.summary()
