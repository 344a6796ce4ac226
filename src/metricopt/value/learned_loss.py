"""A learned value function as an ordinary loss: what the metric was found to reward, for training any model."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from .._errors import ConfigError
from ..profiles import PROFILES, Profile
from .learned import LearnedValue

_OTHER = "this value function reads a profile with columns of its own; give it: LearnedLoss(learned, profile)"


@final
class LearnedLoss:
    """`(outputs, targets) -> scalar`: 1 less the expected utility of a batch, differentiable in the outputs.

    A batch must be large enough for its profile to mean something: some hundred rows, and all classes.

    Args:
        learned: the value function.
        profile: that it reads; None for that of its kind of outputs.

    Raises:
        ConfigError: the profile has columns of a user's own and is not given; of a kind whose columns the data tell, as
            the first batch comes.
    """

    def __init__(self, learned: LearnedValue, profile: Profile | None = None) -> None:
        own = profile or (PROFILES[learned.kind](learned.width, ()) if learned.kind in PROFILES else None)
        #: Whether how many classes there are, say, is told by the first batch.
        self._told_by_data = profile is None and own is not None and type(own).for_data is not Profile.for_data
        if own is None or not (self._told_by_data or own.identity == learned.profile):
            raise ConfigError(_OTHER)
        if "slices" in own.families:
            raise ConfigError(
                "this value function looks into slices, which a loss of (outputs, targets) cannot see; learn one "
                "without slices="
            )
        self.learned, self.profile = learned, own
        self.__name__ = f"learned_{learned.metric}"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        if self._told_by_data:
            self.profile, self._told_by_data = self.profile.for_data(outputs, targets), False
            if self.profile.identity != self.learned.profile:
                raise ConfigError(_OTHER)
        read = self.profile.of_outputs(outputs[None] if isinstance(outputs, Tensor) else [outputs], targets).float()
        psi = self.profile(read, self.profile.of_targets(targets))
        found = 1 - self.learned.function.mean(psi.cpu())[0]
        return found.to(outputs) if isinstance(outputs, Tensor) else found.float()

    def __repr__(self) -> str:
        return f"LearnedLoss({self.learned})"
