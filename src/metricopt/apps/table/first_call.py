"""The first call of a metric that is a program or a server, made before a network is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from torch import Tensor

from ..._digest import digest
from ..._errors import ConfigError, MetricError
from ...metrics import Metric
from ...metrics.external.from_spec import in_options
from ...runtime import MetricCache
from .model import WIDE


@final
class FirstCall:
    """One call on made-up scores: a metric that always fails is found before anything is trained.

    It is no call of the budget. It is made before a folder is, so that a failure leaves none; its answer is then kept
    there, so that a run that goes on does not call again.

    Args:
        metric: as the search asks it.
        outputs, targets: what it is asked about.
        any_value: whether its range was stated: that may well exclude what made-up scores get.
    """

    def __init__(self, metric: Metric, outputs: Tensor, targets: Tensor, *, any_value: bool) -> None:
        self._metric = metric
        self._asked = (outputs, targets)
        self._any_value = any_value
        self._answer: float | None = None

    def make(self) -> float:
        """The answer; the metric is asked once.

        Raises:
            MetricError: it fails.
            ConfigError: its value lies outside a range that nobody stated.
        """
        if self._answer is None:
            answer = replace(self._metric, bounds=WIDE)(*self._asked)
            if not self._any_value:
                self._check_range(answer)
            self._answer = answer
        return self._answer

    def keep(self, cache: MetricCache) -> None:
        """Keep the answer, or make the call where neither this process nor the folder has one."""
        cache.of(f"first call {digest(self._asked)}", self.make)

    def _check_range(self, answer: float) -> None:
        try:
            self._metric.checked(answer)
        except MetricError as error:
            raise ConfigError(in_options(str(error))) from error
