"""Large-margin softmax: the target class must win by an angle, not just win."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._checks import at_least, not_negative
from ..._errors import ConfigError
from ..._random import generator as named_generator
from ..card import Card, LossEntry
from ..full_precision import full_precision, full_precision_forward
from ..shapes import as_embeddings

CARD = Card(
    name="large_margin_softmax",
    title="Large-margin softmax (L-Softmax): a linear layer whose target angle is multiplied in training",
    reads="embeddings",
    targets=("multiclass",),
    aims_at=("mcr", "accuracy"),
    cost="O(n)",
    stateful=True,
    bounds=(0.0, math.inf),
    needs={"features": 4, "classes": 3},
    paper="Liu et al.: Large-Margin Softmax Loss for Convolutional Neural Networks, ICML 2016, Eq. 6 and 7",
)

#: Norms below it are zero: their direction is noise.
TINY = 1e-12


@final
class LargeMarginSoftmax(nn.Module):
    """Cross-entropy of the logits `w_c' x`, in training with that of the target replaced.

    With t the angle between the embedding x and the weights w of its class, the target's logit
    `|w| |x| cos t` becomes `|w| |x| (b cos t + psi(t)) / (1 + b)`, where
    `psi(t) = (-1)^k cos(m t) - 2k` for t in `[k pi / m, (k + 1) pi / m]`. b starts at `beta` and is multiplied by
    `decay` with each training batch, down to `beta_min`: it leads from plain softmax to the whole margin.

    In eval mode it is the plain linear layer: the loss is the cross-entropy of `logits(embeddings)`, and nothing
    changes. Margin 1 is that in training too. The weights are the parameter `weight` `(K, D)`, which the optimiser of
    the model must get; there is no bias, as in the paper. The number of training batches so far is the buffer `steps`.
    `torch.func.functional_call` leaves the module's own count as it is.

    cos(m t) is a polynomial of cos t (Chebyshev's), and k the number of the `cos(j pi / m)`, 0 < j < m, above cos t:
    there is no arccosine, whose slope at 0 and pi is infinite.

    Differs from the paper: the schedule of b, which the paper leaves open, is that of public implementations. Values
    and gradients equal those of amirhfarzaneh/lsoftmax-pytorch at equal b to 1.2e-11 (margins 1 to 5, b 100, 5 and 0,
    64 random embeddings of size 16, 10 classes, float64; that code adds 1e-10 to the product of the norms), and come
    in a third of its time (4,096 embeddings of size 512, 10 classes, one thread).

    Args:
        features: D, the size of an embedding.
        classes: K.
        margin: m, a whole number; the paper uses 2 to 4, and 4 for its best results on CIFAR-10.
        beta: b at the start, >= 0.
        decay: of b with each training batch, in (0, 1].
        beta_min: b at the end, >= 0; a small positive number where training diverges.
        generator: draws the initial weights; None is the same stream each time.

    >>> loss = LargeMarginSoftmax(features=2, classes=2, beta=0.0)
    >>> _ = loss.weight.data.copy_(torch.eye(2))
    >>> x, targets = torch.tensor([[1.0, 0.5]]), torch.tensor([0])
    >>> round(float(loss(x, targets).detach()), 4), round(float(loss.eval()(x, targets).detach()), 4)
    (1.1801, 0.4741)
    """

    steps: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        margin: int = 4,
        beta: float = 100.0,
        decay: float = 0.99,
        beta_min: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.features = at_least("features", features, 1)
        self.classes = at_least("classes", classes, 2)
        self.margin = at_least("margin", margin, 1)
        self.beta_start = not_negative("beta", beta)
        self.beta_min = not_negative("beta_min", beta_min)
        if not 0.0 < decay <= 1.0:
            raise ConfigError(f"decay must be above 0 and at most 1, got {decay!r}")
        self.decay = decay
        bound = 1 / math.sqrt(features)
        draws = torch.rand((classes, features), generator=generator or named_generator(CARD.name))
        self.weight = nn.Parameter((2 * draws - 1) * bound)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def beta(self) -> Tensor:
        """b of the next training batch."""
        return (self.beta_start * self.decay ** self.steps.double()).clamp(min=self.beta_min)

    def logits(self, embeddings: Tensor) -> Tensor:
        """`(N, K)` raw scores of `(N, D)` embeddings, to predict with."""
        return full_precision(lambda wide: F.linear(wide, self.weight.to(wide)))(embeddings)

    @full_precision_forward
    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch; in training mode it counts the batch.

        Args:
            embeddings: what the last layer would read, `(N, D)`.
            targets: `(N,)` class indices.

        Raises:
            ConfigError: shapes that do not go together, or embeddings of another size.
        """
        x, labels = as_embeddings(embeddings, targets)
        if x.shape[1] != self.features:
            raise ConfigError(f"{CARD.name} was made for embeddings of size {self.features}, got {x.shape[1]}")
        logits = self.logits(x)
        if self.training:
            logits = self._with_margin(x, labels, logits)
            # A new tensor: the functional transforms of PyTorch refuse to see a captured one changed.
            self.steps = self.steps + 1
        return F.cross_entropy(logits, labels)

    def _with_margin(self, x: Tensor, labels: Tensor, logits: Tensor) -> Tensor:
        own = logits.gather(1, labels[:, None])[:, 0]
        sizes = torch.linalg.vector_norm(self.weight.to(x), dim=-1)[labels] * torch.linalg.vector_norm(x, dim=-1)
        harder = sizes * _psi(own / sizes.clamp(min=TINY), self.margin)
        beta = self.beta.to(x)
        target = (beta * own + harder) / (1 + beta)
        is_own = F.one_hot(labels, self.classes) > 0
        return torch.where(is_own, target[:, None], logits)


def _psi(cosine: Tensor, margin: int) -> Tensor:
    """`(-1)^k cos(m t) - 2k` of `cosine = cos t`: continuous, with a continuous slope, and falling from t = 0 to pi."""
    before, now = torch.ones_like(cosine), cosine
    for _ in range(margin - 1):
        before, now = now, 2 * cosine * now - before
    turn = torch.zeros_like(cosine)
    for j in range(1, margin):
        turn = turn + (cosine < math.cos(j * math.pi / margin))
    return (1 - 2 * (turn % 2)) * now - 2 * turn


ENTRY = LossEntry(card=CARD, loss=LargeMarginSoftmax)
