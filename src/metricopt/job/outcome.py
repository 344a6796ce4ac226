"""What `optimize` returns: the model, and what can honestly be said of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .._errors import ConfigError
from ..report import ReportData
from ..value import LearnedValue
from .events import Observed
from .stages import Candidate


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one call of `optimize`.

    Args:
        architecture: the model; read it as `.model`. None where a saved outcome was loaded without one.
        accepted: whether `.model` is a changed one. If not, it is the very model that was given.
        reason: why, in one sentence.
        before, after: the metric of the given and of the proposed model, on examples that the search never saw; where
            the proposal was refused, `.model` is still worth `before`.
        interval: (low, high) of the gain, positive is better, in units of the metric; None where nothing was tested.
        expected_gain: the gain to expect on fresh examples, in units of the metric: the measured one, corrected for
            having been accepted. One only hears of gains that passed the test, so those near its border were lucky.
        confidence: of the interval.
        calls, seconds: spent in all; calls include those of the acceptance test.
        phi: `(d,)`, the proposal; zeros where there was none.
        metric: its name. higher_is_better: its direction.
        candidates: what each stage proposed. history: every rating on the search part, in order.
        value: the learned value function with its observations, if one was learned.
        report_data: all that the report shows.
    """

    architecture: nn.Module | None = field(repr=False)
    accepted: bool
    reason: str
    before: float
    after: float
    interval: tuple[float, float] | None
    expected_gain: float = 0.0
    confidence: float
    calls: int
    seconds: float
    phi: Tensor = field(repr=False)
    metric: str
    higher_is_better: bool
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    history: tuple[Observed, ...] = field(default=(), repr=False)
    value: LearnedValue | None = field(default=None, repr=False)
    report_data: ReportData = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The same architecture with folded weights if the change was accepted, else the model that was given."""
        if self.architecture is None:
            raise ConfigError(
                "this outcome was loaded without its model: weights are saved, code is not. "
                "Load it as metricopt.load(folder, model=...), with a model of the same architecture"
            )
        return self.architecture

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """All that was rated on the search part: phis `(m, d)`, and their utilities `(m,)` in [0, 1], 1 is best.

        `learned.adapt(*outcome.observations)` tells a value function of them. A saved outcome has none.
        """
        results = [one.result for one in self.candidates]
        if not results:
            return torch.zeros(0, len(self.phi)), torch.zeros(0, dtype=torch.float64)
        return torch.cat([one.phis for one in results]), torch.cat([one.utilities for one in results])

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Two lines for a terminal."""
        sign = "accepted" if self.accepted else "not accepted"
        figures = f"{self.metric}: {self.before:.4f} -> {self.after:.4f}"
        if not self.accepted and self.after != self.before:
            figures += " (refused)"
        if self.interval is not None:
            figures += f", gain {self.interval[0]:+.4f} to {self.interval[1]:+.4f} ({100 * self.confidence:g} %)"
            if self.accepted:
                figures += f", expect {self.expected_gain:+.4f}"
        return f"{figures}; {sign}\n{self.reason} {self.calls} metric calls, {self.seconds:.1f} s."

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, one HTML file that opens anywhere."""
        from ..report import write  # the template engine is loaded when the first report is written

        return write(self.report_data, path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write weights, figures, value function, report_data and report to `folder`; `metricopt.load` reads them.

        Raises:
            WriteFailed: the folder cannot be written.
        """
        from .saved_outcome import save

        return save(self, folder)
