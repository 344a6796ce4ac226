"""SOAP: average precision as a ratio of two expectations, each remembered from batch to batch."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..._checks import at_least, fraction, positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward
from ..rows import as_rows, mean_where
from ..sums_above import sums_above

CARD = Card(
    name="soap",
    title="SOAP: average precision with squared hinges and remembered expectations",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("average_precision",),
    cost="O(n log n)",
    stateful=True,
    bounds=(0.0, 1.0),
    paper="Qi et al., Stochastic Optimization of Areas Under Precision-Recall Curves with Provable Convergence, "
    "NeurIPS 2021",
)


@final
class Soap(nn.Module):
    """`1 - mean_p u_p / v_p`, `u_p = mean_j t_j max(0, m - (s_p - s_j))^2`, v_p the same over all j.

    The squared hinges stand for the ranks of p among the positives and among all. A batch is too small for both to be
    right, so where the calls name their examples, u and v of each positive are moving averages over the batches that
    it was in, and the gradient is that of `u_p / v_p` at these averages. Without names they are those of the batch,
    and the gradient is the derivative. All sums come from one sort.

    Args:
        examples: how many examples there are to remember; 0 remembers none.
        rate: weight of the new batch in the averages, in [0, 1].
        margin: m, > 0.
        columns: how many labels or classes are cached.

    Args of a call:
        scores, targets: as for every loss.
        indices: `(N,)`, which example of the training data each row is, in `0..examples - 1`. Averages change in
            training mode only, and not under `vmap`.

    Returns of a call:
        A scalar in [0, 1]: the mean over the columns that have positives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind, indices where nothing is cached, or an option out of its range.

    Differs from the paper: no sampler and no optimiser of its own; an example that is seen for the first time starts
    from its batch, not from 0; the value is that of the ratio, the authors' code returns a weighted sum.

    Beside libauc's `AveragePrecisionLoss` with gamma = 1, n = 4,096, float32: gradient equal to 2e-7.

    >>> round(float(Soap()(torch.tensor([1.0, 0.0]), torch.tensor([0, 1]))), 4)  # hinges: 1 of itself, 4 of the other
    0.8
    """

    averages: Tensor

    def __init__(self, *, examples: int = 0, rate: float = 0.9, margin: float = 1.0, columns: int = 1) -> None:
        super().__init__()
        self.rate = fraction("rate", rate)
        self.margin = positive("margin", margin)
        at_least("examples", examples, 0)
        at_least("columns", columns, 1)
        self.register_buffer("averages", torch.zeros(2, columns, examples, dtype=torch.float64))

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor, indices: Tensor | None = None) -> Tensor:
        rows, truth = as_rows(scores, targets)
        wide, order = torch.sort(rows.double(), dim=-1)
        wanted = truth.double().gather(-1, order)
        both = self._expectations(wide, wanted)
        held = both
        if indices is not None and self.training:
            self._check(indices, len(rows), rows.shape[1])
            held = self._remember(both.detach(), wanted, indices[order])
        # The value is that of what is held; the slope is that of the batch's own expectations, weighed by what is held.
        near, whole = held.unbind()
        ratio = near / whole
        if held is not both:
            moved = both - both.detach()
            ratio = ratio + moved[0] / whole - moved[1] * near / whole.square()
        each = (wanted * (1 - ratio)).sum(dim=-1) / wanted.sum(dim=-1).clamp(min=1)
        return mean_where(each, (truth > 0).any(dim=-1)).to(scores.dtype)

    def _expectations(self, scores: Tensor, truth: Tensor) -> Tensor:
        """u and v of every example, `(2, columns, N)`, of scores in rising order."""
        scores = scores - scores.detach().mean(dim=-1, keepdim=True)  # smaller numbers cancel less
        floor = scores - self.margin
        found = []
        weights = [weight * power for weight in (truth, torch.ones_like(truth)) for power in (1, scores, scores**2)]
        sums = sums_above(scores, floor, weights)
        for count, first, second in (sums[:3], sums[3:]):
            found.append(second - 2 * floor * first + floor.square() * count)
        near, whole = found
        # An example stands above itself by the margin; less than that is rounding of very large scores.
        return torch.stack((near, whole.clamp(min=self.margin**2))) / scores.shape[-1]

    def _check(self, indices: Tensor, columns: int, rows: int) -> None:
        _, own, examples = self.averages.shape
        if examples == 0:
            raise ConfigError("the loss remembers no examples, but got indices; make it with examples=")
        if indices.shape != (rows,):
            raise ConfigError(f"indices must have shape ({rows},), one for each example; got {tuple(indices.shape)}")
        if own != columns:
            raise ConfigError(
                f"the loss remembers {own} columns, these targets have {columns}; make it with columns={columns}"
            )

    def _remember(self, both: Tensor, truth: Tensor, names: Tensor) -> Tensor:
        """Averages of the positives, moved towards `both` and kept under their `names (columns, N)`."""
        names = names.expand_as(both)
        before = self.averages.gather(-1, names)
        after = torch.where(before[1] > 0, torch.lerp(before, both, self.rate), both)
        self.averages.scatter_(-1, names, torch.where(truth > 0, after, before))
        return after


ENTRY = LossEntry(card=CARD, loss=Soap)
