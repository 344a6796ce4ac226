"""What a user can do for a metric: a loss, aimed at it where it can be, and a threshold, tuned or not."""

from __future__ import annotations

from dataclasses import dataclass

from metricopt._registry import Registry

from .losses import LOSSES


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A row of the comparison.

    Args:
        title: in words.
        loss: name in `LOSSES`, or the part in front of the metric where there is one for each metric.
        tuned: whether the threshold is tuned for the metric on the validation part.
    """

    title: str
    loss: str
    tuned: bool = False

    def loss_for(self, metric: str) -> str:
        """The loss that it trains with where `metric` counts.

        >>> CONTENDERS["anyloss"].loss_for("f1"), CONTENDERS["bce"].loss_for("f1")
        ('anyloss_f1', 'bce')
        """
        return self.loss if self.loss in LOSSES else f"{self.loss}_{metric}"

    @property
    def part(self) -> str:
        """The column of a row that holds its values."""
        return "tuned" if self.tuned else "test"


CONTENDERS: Registry[Contender] = Registry("contender")
CONTENDERS.add("mse", Contender(title="MSE", loss="mse"))
CONTENDERS.add("bce", Contender(title="BCE", loss="bce"))
CONTENDERS.add("bce_weighted", Contender(title="BCE, classes weighted", loss="bce_weighted"))
CONTENDERS.add("bce_tuned", Contender(title="BCE, tuned threshold", loss="bce", tuned=True))
CONTENDERS.add("score_oriented", Contender(title="score-oriented, aimed", loss="score_oriented"))
CONTENDERS.add("anyloss", Contender(title="AnyLoss, aimed", loss="anyloss"))
CONTENDERS.add("anyloss_tuned", Contender(title="AnyLoss, aimed, tuned threshold", loss="anyloss", tuned=True))

#: Those that all others are compared with.
AGAINST = ("bce", "bce_tuned")
