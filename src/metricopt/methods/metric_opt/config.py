"""Every choice of the search in one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..._checks import at_least, fraction, not_negative, one_of, positive
from ..._errors import ConfigError

Learn = Literal["profile", "none", "permuted"]

#: Who may propose: trajectories of surrogates, climbs of the value function, moves of the output shift, of a few
#: coordinates, along differences of what was observed, and in the subspace of surrogate gradients.
PROPOSERS = ("surrogates", "climb", "shift", "local", "cross", "guided")


@dataclass(frozen=True, kw_only=True)
class MetricOptConfig:
    """Settings of `MetricOpt`. Chosen on the development problems of the arena, see docs/lab-notes.md.

    Args:
        proposers: names in `PROPOSERS`.
        learn: "profile". Controls: "permuted" learns from utilities in random order; "none" does not learn, but climbs
            a function of the profile that is drawn by chance, and picks points at random.
        reads_phi: let the value function see phi beside the profile. It then explains luck by phi: without is better.
        whole: surrogates begin with the whole figures of the profile; False takes random mixtures only.
        search_share: share of rows of the search split in the batches that are climbed through.
        batch: rows of a batch.
        surrogate_share: most of the budget for ends of surrogate trajectories.
        most_surrogates: and no more than this many.
        surrogate_steps, rate: Adam steps of a trajectory, and their size in units of phi_scale.
        climbs: points that g is climbed from, the best known.
        climb_steps: the most steps of a climb; each takes at least a fifth of it.
        optimism: spreads of g that half of the climbs add to its mean.
        anchor: how strongly a climb is held near its start.
        moves: cheap moves in the pool of a round.
        round: metric calls of a round; None takes a twentieth of the budget, at most 8.
        margin: the proposal has the largest gain less this many of its standard errors, which come from profiles of
            resampled rows and cost no call.
        training_trust: how much gains on training rows count beside those on the search split, which points were chosen
            by: 1 is as much as their variance says, 0 is not at all. Rows that were learned by heart count less.
        resamples: of those.
    """

    proposers: tuple[str, ...] = PROPOSERS
    learn: Learn = "profile"
    reads_phi: bool = False
    whole: bool = True
    search_share: float = 0.5
    batch: int = 256
    surrogate_share: float = 0.25
    most_surrogates: int = 10
    surrogate_steps: int = 30
    rate: float = 0.08
    climbs: int = 4
    climb_steps: int = 25
    optimism: float = 0.5
    anchor: float = 0.01
    moves: int = 24
    round: int | None = None
    margin: float = 0.5
    training_trust: float = 0.5
    resamples: int = 24

    def __post_init__(self) -> None:
        for name in self.proposers:
            one_of("proposers", name, PROPOSERS)
        if not self.proposers or len(set(self.proposers)) != len(self.proposers):
            raise ConfigError(f"proposers must be one or more different names of {PROPOSERS}, got {self.proposers!r}")
        one_of("learn", self.learn, get_args(Learn))
        for name in ("search_share", "surrogate_share", "training_trust"):
            fraction(name, getattr(self, name))
        for name in ("batch", "most_surrogates", "surrogate_steps", "climbs", "moves"):
            at_least(name, getattr(self, name), 1)
        at_least("climb_steps", self.climb_steps, 5)
        at_least("resamples", self.resamples, 2)
        positive("rate", self.rate)
        for name in ("optimism", "anchor", "margin"):
            not_negative(name, getattr(self, name))
        if self.round is not None:
            at_least("round", self.round, 1)
