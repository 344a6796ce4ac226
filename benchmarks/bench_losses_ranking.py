"""Losses of ranks beside their textbook forms with a matrix of all pairs, value and gradient; and 100,000 scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from figure import Figure, alternate, main, seconds
from loss_step import Loss, labelled, step
from metricopt.losses import get_loss
from peak_memory import megabytes


def smooth_ap_of_all_pairs(scores: Tensor, targets: Tensor) -> Tensor:
    positives = targets == 1
    soft = ((scores - scores[positives][:, None]) / 0.3).sigmoid()
    return 1 - ((soft[:, positives].sum(dim=1) + 0.5) / (soft.sum(dim=1) + 0.5)).mean()


def ndcg_of_all_pairs(scores: Tensor, targets: Tensor) -> Tensor:
    """NDCG-Loss2++ with n x n weights; ties in the order of the sort."""
    n = len(scores)
    ranked, order = scores.sort(descending=True)
    place = torch.arange(n, device=scores.device)
    discount = 1 / torch.log2(place + 2.0)
    relevance = targets[order].float()
    gains = torch.exp2(relevance) - 1
    gains = gains / (gains.sort(descending=True).values * discount).sum()
    distance = (place[:, None] - place).abs().clamp(min=1)
    weight = (discount[:, None] - discount).abs() + 10 * (discount[distance - 1] - discount[distance.clamp(max=n - 1)])
    pairs = F.softplus(ranked - ranked[:, None]) * weight * (gains[:, None] - gains).clamp(min=0)
    return pairs.sum() / torch.log(torch.tensor(2.0))


def error_driven_in_a_loop(scores: Tensor, targets: Tensor) -> Tensor:
    """The update of AP-loss, one positive at a time, as a loss whose gradient it is."""
    update, positives = torch.zeros_like(scores), (targets == 1).nonzero().flatten().tolist()
    negative = (targets == 0).to(scores.dtype)
    with torch.no_grad():
        for p in positives:
            ramp = ((scores - scores[p]) / 2 + 0.5).clamp(0, 1)
            share = ramp * negative / (ramp.sum() + 0.5)
            update += share
            update[p] -= share.sum()
    return (scores * update).sum() / len(positives)


#: A textbook form of a few calls wins on short lists, where what is fixed counts: about 0.2 ms for shapes, columns,
#: empty lists. Those bounds only guard against getting slower.
PEERS: dict[str, tuple[Loss, dict[int, float]]] = {
    "smooth_ap": (smooth_ap_of_all_pairs, {256: 0.2, 1024: 0.4, 4096: 1}),
    "ndcg_lambda": (ndcg_of_all_pairs, {256: 0.5, 1024: 1, 4096: 2}),
    "error_driven_ap": (error_driven_in_a_loop, {256: 1, 1024: 2, 4096: 2}),
}
SORTED = ("blackbox_ap", "blackbox_recall", "error_driven_ap", "soft_spearman", "soap")


#: Share of positives.
POSITIVE = 0.1


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    for name, (peer, bounds) in PEERS.items():
        for n, bound in bounds.items():
            sides = step(peer, *labelled(n, POSITIVE)), step(get_loss(name), *labelled(n, POSITIVE))
            ratio = alternate(*sides, repeats=100 if n <= 1024 else 5)
            figures.append(Figure(f"textbook / {name}, n = {n:,}", ratio, "x", bound, "at least"))
    for name in SORTED:
        run = step(get_loss(name), *labelled(100_000, POSITIVE))
        run()
        figures.append(Figure(f"{name}, n = 100,000", seconds(run), "s", 2.0))
        figures.append(Figure(f"memory of {name}, n = 100,000", megabytes(f"get_loss('{name}')", 100_000), "MB", 250))
    for name in ("smooth_ap", "ndcg_lambda"):
        figures.append(Figure(f"memory of {name}, n = 20,000", megabytes(f"get_loss('{name}')", 20_000), "MB", 100))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
