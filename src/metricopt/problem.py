"""A workload, a metric, a budget, and what has been observed. The only door to a metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._errors import BudgetExhausted, ConfigError
from ._phi import PhiSpec
from ._random import generator as named_generator
from ._types import LossFunction
from .asking import Ask, Question, ask_in_turn
from .memory import Memory
from .metrics import Budget, Meter, Metric
from .workload import TrainingLoss, Workload
from .workload.nests import mapped, member, on, take
from .workload.resampling import resample, resampling_of, spread_factor, units_of
from .workload.workload import POPULATION


class Problem:
    """Everything that a method may ask about one workload and one metric.

    A method sees phi and numbers. What the workload gives is free; `observe` and `measure` are the two doors to the
    metric and both spend the budget.

    Args:
        workload: the adapted model and its data.
        metric: what is wanted, on the search split.
        budget: how many metric calls and seconds may be spent.
        ask: how a list of outputs is rated; in turn, in this process, by default. See `metricopt.asking.Ask`.
        on_observation: called with (phi, raw value) after every observation, in order.
        clock: what the budget's seconds are read from.
    """

    def __init__(
        self,
        workload: Workload,
        *,
        metric: Metric,
        budget: Budget,
        ask: Ask = ask_in_turn,
        on_observation: Callable[[Tensor, float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not isinstance(workload, Workload):
            raise ConfigError(
                f"a Problem needs a Workload, got a {type(workload).__name__}; make one with TensorWorkload(adapted, "
                "loss=, train=, val=) or StreamedWorkload"
            )
        if not isinstance(metric, Metric):
            raise ConfigError(
                f"metric must be a Metric, got {metric!r}; make one with get_metric(name), "
                "or as_metric(anything, higher_is_better=...)"
            )
        self.workload = workload
        self.metric = metric
        self.meter: Meter = budget.start(clock)
        self.memory = Memory(workload.dim)
        self._ask = ask
        self._clock = clock
        self._on_observation = on_observation

    def with_budget(self, budget: Budget, *, loss: LossFunction | TrainingLoss | None = None) -> Problem:
        """The same workload and metric with a fresh budget and nothing observed, and perhaps another loss.

        What depends on model and data alone is computed before the budget's clock starts, so every run on one
        workload pays the same.
        """
        self.workload.prepare()
        return Problem(
            self.workload.with_loss(loss),
            metric=self.metric,
            budget=budget,
            ask=self._ask,
            on_observation=self._on_observation,
            clock=self._clock,
        )

    # --- free: no metric call ---------------------------------------------------------------------

    @property
    def spec(self) -> PhiSpec:
        return self.workload.spec

    @property
    def dim(self) -> int:
        return self.workload.dim

    @property
    def start(self) -> Tensor:
        """phi = 0, the model as it was trained, `(d,)`."""
        return self.workload.start

    @property
    def phi_scale(self) -> Tensor:
        """How far each coordinate of phi is explored, `(d,)`: phi = phi_scale * z with z of order one."""
        return self.workload.phi_scale

    def outputs(self, phis: Tensor) -> Any:
        """Outputs on the search split at every phi: `(n, d)` to `(n, N, ...)`."""
        return self.workload.predict(phis)

    def draws(self, seed: int, steps: int) -> Tensor:
        """Mini-batch indices `(steps, batch_size)`; they depend on `seed` alone."""
        return self.workload.draws(seed, steps)

    def loss_and_grad(self, phis: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Loss `(n,)` and its gradient `(n, d)` at every phi on its own mini-batch `(n, B)`."""
        return self.workload.loss_and_grad(phis, indices)

    def affordable(self, n: int) -> int:
        """How many of `n` metric calls the budget still covers."""
        return self.meter.affordable(n)

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """All phis `(m, d)` and utilities `(m,)` so far, in order."""
        return self.memory.phis, self.memory.utilities

    # --- metric calls -----------------------------------------------------------------------------

    def observe(self, phis: Tensor, outputs: Any = None) -> Tensor:
        """Utilities `(n,)` of phis `(n, d)` on the search split, one metric call each.

        Every finished call is in the memory at once, so nothing paid for is lost when a later one fails.

        Args:
            phis: to ask about.
            outputs: theirs, as `outputs` gives them, where a method knows them: it saves the passes through the model.

        Raises:
            BudgetExhausted: before the call that the budget does not cover.
            MetricError: the metric failed; that call is spent.
        """
        self.spec.check(phis)
        utilities: list[float] = []
        at_once = self._ask.at_once(POPULATION)
        for first in range(0, len(phis), at_once):
            chunk = phis[first : first + at_once]
            left = self.meter.calls_left
            count = len(chunk) if left is None else max(min(left, len(chunk)), 1)  # one too many: `spend` says so
            if self.metric.reads == "model":
                questions: list[Question] = [(self.workload.adapted.merged(phi),) for phi in chunk[:count]]
            else:
                given, at = (self.outputs(chunk[:count]), 0) if outputs is None else (outputs, first)
                questions = [self._question(member(given, at + i)) for i in range(count)]
            for phi, raw in zip(chunk, self._ask(self.metric, questions, self.meter), strict=False):
                utilities.append(self._record(phi, raw))
            if count < len(chunk):
                self.meter.spend(len(chunk) - count)  # raises
        return torch.tensor(utilities, dtype=torch.float64)

    def resampled_gains(self, phi: Tensor, reference: Tensor, *, resamples: int, seed: int) -> Tensor:
        """How much the gain of `phi` over `reference` varies with the finite search split.

        Both are measured on the same resamples of the search split: drawn with replacement inside each class, or half
        of it where the metric rates a set, see `metricopt.workload.resample`.

        Returns:
            utility differences `(r,)`, two metric calls each, whose standard deviation is the standard error of the
            gain; r is smaller than `resamples` where the budget is, and 0 for a metric whose examples cannot be drawn.
        """
        how = resampling_of(self.metric.resampling, self.workload.kind, self.workload.groups)
        targets, groups, judged_by = self.workload.targets, self.workload.groups, self.workload.judged_by
        if self.metric.reads == "model" or how == "none":
            return torch.zeros(0, dtype=torch.float64)
        outputs = self.outputs(torch.stack([phi, reference]))
        both = [on(member(outputs, i), "cpu") for i in range(2)]
        factor = spread_factor(how, units_of(len(targets), groups))
        generator = named_generator(seed, "bootstrap")
        differences: list[float] = []
        while len(differences) < resamples and self.affordable(2) == 2:
            chosen = resample(targets, how, generator=generator, groups=groups, within=True)
            questions = [(take(one, chosen), take(judged_by, chosen)) for one in both]
            try:
                mine, other = (self.metric.utility(raw) for raw in self._ask(self.metric, questions, self.meter))
            except BudgetExhausted:  # the time ran out between the two
                break
            differences.append(mine - other)
        gains = torch.tensor(differences, dtype=torch.float64)
        return gains if factor == 1.0 or not len(gains) else gains.mean() + factor * (gains - gains.mean())

    # --- inside -----------------------------------------------------------------------------------

    def _question(self, outputs: Any) -> tuple[Any, Any]:
        """The metric always sees the CPU: what users write there often goes through NumPy."""
        return mapped(lambda tensor: tensor.cpu(), outputs), self.workload.judged_by

    def _record(self, phi: Tensor, raw: float) -> float:
        utility = self.metric.utility(raw)
        self.memory.add(phi, utility)
        if self._on_observation is not None:
            self._on_observation(phi, raw)
        return utility
