"""One cell of a table for one seed: what it is, and under which key its row is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._checks import at_least
from ..methods import METHODS
from ..runtime import RunKey
from ..tasks import TabularTask
from .references import REFERENCES


@dataclass(frozen=True, kw_only=True)
class Run:
    """A method on a metric of a task, with a seed and a number of metric calls. Plain values: it travels to workers.

    `data` is a data set of the package, or a function of the user's, `file.py:function` or `module:function`, that
    builds a problem as for `metricopt optimize`.

    >>> run = Run(data="synthetic", sampler="plain", metric="f1", method="threshold", seed=0, calls=20)
    >>> run.task.name, run.adapters
    ('synthetic-plain', 'shifted')
    """

    data: str
    sampler: str
    metric: str
    method: str
    seed: int
    calls: int
    dim: int = 16

    def __post_init__(self) -> None:
        at_least("calls", self.calls, 1)

    @property
    def is_own(self) -> bool:
        """Whether the problem is built by a function of the user's."""
        return ":" in self.data

    @property
    def task_name(self) -> str:
        return self.data if self.is_own else self.task.name

    @property
    def task(self) -> TabularTask:
        """The task; its adapters are those that the method asks for."""
        return TabularTask(data=self.data, sampler=self.sampler, adapters=self.adapters, dim=self.dim)

    @property
    def adapters(self) -> str:
        return "shifted" if self.method in REFERENCES else METHODS[self.method].card.adapters

    @property
    def title(self) -> str:
        """What a bar and a message call it."""
        return f"{self.task_name} {self.metric} {self.method} seed {self.seed}"

    @property
    def key(self) -> RunKey:
        """What makes this run the same run. It holds the settings of the method: a retuned method runs anew."""
        if self.method in REFERENCES:
            method: dict[str, Any] = {}
        else:
            method = asdict(METHODS[self.method].method)  # type: ignore[call-overload]  # every method is a dataclass
        settings = {
            "calls": self.calls,
            "dim": self.dim,
            "adapters": self.adapters,
            "pretraining": {} if self.is_own else asdict(self.task.pretraining),
            "method": method,
        }
        return RunKey(task=self.task_name, method=self.method, metric=self.metric, seed=self.seed, settings=settings)
