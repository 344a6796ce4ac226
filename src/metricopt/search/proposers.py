"""Who proposes the next points: each reads the memory, starts from the best that is known, and asks no metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._types import LossFunction
from .score_view import Batch, ScoreView

#: In many dimensions a local move changes about so many coordinates.
_MOVED = 20
#: How far a move goes, first, least and most, in units of phi_scale; wider where calls gain, narrower where not.
_FIRST_RADIUS, _LEAST_RADIUS, _MOST_RADIUS = 0.5, 0.05, 1.5


@dataclass
class Pool:
    """Points `(n, d)` that may be asked about, and who proposed each."""

    parts: list[Tensor] = field(default_factory=list)
    proposers: list[str] = field(default_factory=list)

    def add(self, name: str, z: Tensor) -> None:
        self.parts.append(z)
        self.proposers += [name] * len(z)

    @property
    def z(self) -> Tensor:
        return torch.cat(self.parts)

    def __len__(self) -> int:
        return len(self.proposers)


@dataclass
class Worth:
    """What a proposer's calls have gained lately: the mean gain over the best before, old calls counting less."""

    gained: float
    calls: float = 1.0

    def add(self, gain: float) -> None:
        self.gained, self.calls = 0.95 * self.gained + max(gain, 0.0), 0.95 * self.calls + 1.0

    @property
    def rate(self) -> float:
        return self.gained / self.calls


class Moves:
    """Cheap moves from the best points: of the output shift alone, of a few coordinates, along differences of what
    was observed (as evolution strategies do), and in the subspace of surrogate gradients (guided ES, Eq. 3).

    Args:
        view: of the problem.
        directions: `(k, d)`, where surrogates led: they span the subspace.
        names: which of "shift", "local", "cross" and "guided" are made.
    """

    def __init__(self, view: ScoreView, directions: Tensor, names: Sequence[str]) -> None:
        self.radius = _FIRST_RADIUS
        self._view = view
        self._shift = torch.zeros(view.dim, dtype=torch.bool)
        for slot in view.problem.spec.with_role("shift"):
            self._shift[view.problem.spec.slice_of(slot.name)] = True
        self.worth = {name: Worth(gained=0.01) for name in names if name != "shift" or bool(self._shift.any())}
        lengths = directions.norm(dim=1)
        self._basis = torch.linalg.qr(directions[lengths > 1e-6].T)[0] if bool((lengths > 1e-6).any()) else None

    def propose(self, best: Tensor, count: int, pool: Pool) -> None:
        """Add `count` moves from points `(k, d)` to the pool; who gains most per call makes most of them."""
        if not self.worth:
            return
        generator = self._view.generator
        names = list(self.worth)
        rates = torch.tensor([worth.rate for worth in self.worth.values()])
        chances = 0.5 / len(names) + 0.5 * rates / rates.sum().clamp_min(1e-9)
        makers = torch.multinomial(chances, count, replacement=True, generator=generator)
        start = best[torch.randint(len(best), (count,), generator=generator)]
        far = self.radius * (0.7 * torch.randn(count, 1, generator=generator)).exp()
        for number, name in enumerate(names):
            mine = makers == number
            if bool(mine.any()):
                pool.add(name, start[mine] + _MOVES[name](self, far[mine]))

    def after(self, improved: bool) -> None:
        """A wider look after a round that gained, a narrower one after one that did not."""
        wider = self.radius * (1.3 if improved else 0.9)
        self.radius = min(max(wider, _LEAST_RADIUS), _MOST_RADIUS)

    def shift(self, far: Tensor) -> Tensor:
        moved: Tensor = far * self._normal(far) * self._shift
        return moved

    def local(self, far: Tensor) -> Tensor:
        moved = torch.rand(len(far), self._view.dim, generator=self._view.generator) < min(1.0, _MOVED / self._view.dim)
        return far * self._normal(far) * moved

    def cross(self, far: Tensor) -> Tensor:
        points, generator = self._view.z, self._view.generator
        if len(points) < 4:
            return self.local(far)
        pair = torch.randint(len(points), (2, len(far)), generator=generator)
        return (points[pair[0]] - points[pair[1]]) * torch.rand(len(far), 1, generator=generator)

    def guided(self, far: Tensor) -> Tensor:
        """Half of the variance in the subspace, half in all directions; as long as the others."""
        if self._basis is None:
            return self.local(far)
        dim, inside = self._basis.shape
        within = torch.randn(len(far), inside, generator=self._view.generator) @ self._basis.T
        anywhere = self._normal(far) * math.sqrt(inside / dim)
        moved: Tensor = 0.7 * far * (within + anywhere)
        return moved

    def _normal(self, far: Tensor) -> Tensor:
        return torch.randn(len(far), self._view.dim, generator=self._view.generator)


_MOVES: dict[str, Callable[[Moves, Tensor], Tensor]] = {
    "shift": Moves.shift,
    "local": Moves.local,
    "cross": Moves.cross,
    "guided": Moves.guided,
}


def mixtures(view: ScoreView, count: int, *, whole: bool = True) -> Tensor:
    """`(count, K)` weights of columns to climb before anything is known.

    Columns of whole figures (means, ranking, errors) come first, one at a time and in random order; after them, or
    with `whole=False` from the start, random non-negative mixtures of all columns.
    """
    columns = view.profile.columns
    main = [i for i, column in enumerate(columns) if column.family in _WHOLE and whole]
    order = [main[i] for i in torch.randperm(len(main), generator=view.generator).tolist()]
    weights = torch.zeros(count, len(columns))
    for row in range(count):
        if row < len(order):
            weights[row, order[row]] = 1.0
        else:
            drawn = -torch.rand(len(columns), generator=view.generator).clamp_min(1e-9).log()
            weights[row] = drawn.pow(4) / drawn.pow(4).sum()  # few columns carry most of the weight
    found: Tensor = weights
    return found


#: Families of columns that rate the outputs as a whole.
_WHOLE = frozenset(
    {
        "means",
        "ranking",
        "within",
        "relative",
        "errors",
        "relative errors",
        "one-sided",
        "neighbours by cosine",
        "neighbours by distance",
        "contrast",
        "own",
    }
)


def climb_surrogates(
    view: ScoreView, losses: Sequence[LossFunction], weights: Tensor, *, steps: int, rate: float
) -> list[Tensor]:
    """Losses descended and mixtures `(k, K)` of the profile climbed from phi = 0, all in lock-step.

    Returns:
        `(len(losses) + k, d)` after each step, the losses first.
    """
    count = len(losses)

    def together(outputs: Tensor, batch: Batch, z: Tensor) -> Tensor:
        own = [-loss(outputs[i], batch.targets).reshape(1).cpu() for i, loss in enumerate(losses)]
        if len(weights):
            own.append((view.read(outputs[count:], batch) * weights).sum(dim=1))
        # Far away is no aim of its own: what gains nothing stays near.
        return torch.cat(own) - 0.002 * z.square().sum(dim=1) / math.sqrt(view.dim)

    return view.climb(torch.zeros(count + len(weights), view.dim), together, steps=steps, rate=rate)
