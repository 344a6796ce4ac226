"""Every choice that the paper leaves to its user, in one frozen record; and those of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..._checks import at_least, below_one, fraction, not_negative, one_of, positive

Learn = Literal["offline", "reptile", "paper-reptile", "none"]
Direction = Literal["ges", "grad", "projected-grad"]
Stepper = Literal["sgd", "adam"]
Propose = Literal["estimate", "observed", "last"]
Norm = Literal["batch", "layer", "none"]
Kind = Literal["gp", "linear"]


@dataclass(frozen=True, kw_only=True)
class PhiValueConfig:
    """Settings of meta-training, search and proposal. The defaults are what held up on several seeds.

    Meta-training (paper section 3.1):
        tasks: most trajectories; fewer where their share of the budget pays for fewer.
        observations: K, metric calls on each trajectory (the paper: 5 % of T; at least 5 make a curve).
        steps: T of the trajectories and of every guided run.
        spread: standard deviation of the starts phi_0, in units of phi_scale. One run starts at phi = 0.
        lr, momentum: SGD on the loss along the trajectories, in units of phi_scale.
        share: part of the budget for meta-training; the rest is spent while tuning.
        learn: "offline", "reptile", "paper-reptile" (Algorithm 1 as printed) or "none" (an untrained value function).
        ordinal, uncertainty, interpolation: switches of paper Fig. 3.
        norm, members, fit_steps, fit_batch: the value network, the size of its ensemble, steps and points of a fit.
        permute: shuffle the observed utilities before learning, the control that destroys what they say.

    Search (section 3.2):
        direction: "ges" is Eq. 4; "grad" its exact counterpart; "projected-grad" the latter in the loss subspace.
        stepper, search_lr: who steps, and how far, in units of phi_scale and of the utility's standard deviation.
        blend: weight of the loss gradient beside the metric's (1 / lambda of Eq. 1); 0 is the paper's Algorithm 1.
        loss_guides: False hides the loss from the search: no subspace, no blend.
        pairs, past, variance: P, k and s^2 of Eq. 3 and 4.
        runs: guided runs that advance together in each round.
        rounds: how often the value function is refitted on what guided runs observed; 0 spends all on trajectories.
        from_zero: start guided runs at phi = 0 and at the best estimates; False starts them at random, as the paper.
        use_phi_scale: search in z = phi / phi_scale; False is the paper's bare phi.

    Proposal:
        propose: "estimate" takes the observed phi with the best estimate of the value function, which averages out
            the noise of single observations; "observed" the best observation; "last" the end of a guided run.
        top: average this many of the best estimates. Where the best observation beats that average by more than
            a standard error, the value function is wrong about it, and the best observation is proposed.
        min_gain_stderr: the gain over phi = 0 must exceed this many of its own standard errors (paired bootstrap of the
            search split), otherwise phi = 0 is proposed. 0 asks for nothing and spends nothing.
        resamples: bootstrap pairs for that, two metric calls each.
    """

    tasks: int = 200
    observations: int = 5
    steps: int = 50
    spread: float = 1.0
    lr: float = 1.0
    momentum: float = 0.0
    share: float = 0.3
    learn: Learn = "offline"
    ordinal: bool = True
    uncertainty: bool = True
    interpolation: Kind = "gp"
    norm: Norm = "none"
    members: int = 4
    fit_steps: int = 300
    fit_batch: int = 128
    permute: bool = False
    direction: Direction = "ges"
    stepper: Stepper = "sgd"
    search_lr: float = 0.1
    blend: float = 0.1
    loss_guides: bool = True
    pairs: int = 3
    past: int = 3
    variance: float = 0.01
    runs: int = 8
    rounds: int = 4
    from_zero: bool = True
    use_phi_scale: bool = True
    propose: Propose = "estimate"
    top: int = 5
    min_gain_stderr: float = 1.64
    resamples: int = 12

    def __post_init__(self) -> None:
        for name in ("spread", "lr", "search_lr", "variance"):
            positive(name, getattr(self, name))
        for name in ("tasks", "steps", "members", "fit_steps", "pairs", "past", "runs", "top"):
            at_least(name, getattr(self, name), 1)
        at_least("observations", self.observations, 2)
        at_least("fit_batch", self.fit_batch, 2)
        at_least("resamples", self.resamples, 2)
        at_least("rounds", self.rounds, 0)
        for name in ("blend", "min_gain_stderr"):
            not_negative(name, getattr(self, name))
        below_one("momentum", self.momentum)
        fraction("share", self.share)
        for name, kind in (
            ("learn", Learn),
            ("direction", Direction),
            ("stepper", Stepper),
            ("propose", Propose),
            ("norm", Norm),
            ("interpolation", Kind),
        ):
            one_of(name, getattr(self, name), get_args(kind))


#: Algorithm 1 as printed: random phi_0, bare phi, one ensemble member with batch norm, one inner step of Reptile,
#: guided ES with P = 3, k = 3, s^2 = 0.01, the loss never descended, the end of one run returned.
PAPER_LITERAL = PhiValueConfig(
    learn="paper-reptile",
    norm="batch",
    members=1,
    share=1.0,
    rounds=0,
    runs=1,
    blend=0.0,
    from_zero=False,
    use_phi_scale=False,
    propose="last",
    spread=0.1,
    lr=0.1,
    search_lr=0.1,
)
