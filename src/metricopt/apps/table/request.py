"""What a user asks of the job on a table, checked when it is made."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch
from torch import nn

from ..._checks import at_least, fraction, one_of
from ..._errors import ConfigError
from ..._shown import shown
from ..._types import Reads
from ...job.preparation import resolved_device, resolved_loss
from ...job.request import divided
from ...methods import METHODS
from ...metrics import Budget
from ...metrics.constrained import split_limit
from ...metrics.external.route import without_query
from ...metrics.metric import checked_bounds
from ...profiles import MOST_SLICES
from ...workload import Examples
from .slices import clusters_wanted
from .target import Task

#: What a default folder's name may hold.
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
#: Files that a command names are part of what makes a run the same run, if they are not larger than this.
_CODE_BYTES = 1 << 22
#: What is asked by starting a program or over a network is not asked for nothing.
FAR = ("cmd:", "http://", "https://")
_NAME_LENGTH = 60
#: Stands for the examples of the acceptance test while there are none yet.
SOME = Examples(inputs=torch.zeros(1, 1), targets=torch.zeros(1))


@final
@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """One table, one column to predict, one metric.

    Args:
        path: the file.
        target: the column to predict.
        metric: in one word, see `metric_from_spec`.
        name: what the metric is called in the result and the report; None takes its own name, see `called`.
        higher_is_better, bounds, reads: of the metric, where it does not say so itself.
        task: "classification", "regression", or "auto": what the values say.
        positive: the class that counts as positive where there are two; None takes the last in ascending order.
        drop: columns to leave out.
        beside: columns that a metric with a third argument is told of each row; dropped or not.
        slices: columns whose values are groups that the value function looks into, or one number for so many clusters.
        separator, encoding: of a CSV; None finds out.
        method: "auto", or names in `METHODS`.
        loss: what the search follows beside the metric; None takes what the network was trained with.
        calls, seconds: the budget of search and acceptance test.
        validation: share of the rows for search and acceptance test. test: share that is looked at only in the end;
            0 for none.
        acceptance: share of the validation rows for the acceptance test; None for no test: what looks better is kept.
        confidence: of the intervals.
        seed: of everything random.
        device: where to search; None takes an accelerator if there is one.
        metric_timeout, metric_retries: of a command or a URL.
        metric_headers: names of headers that a URL is asked with,
            and of the environment variables that hold their values.
        workers: how many metric calls are made side by side; for commands and URLs, which are waited for.
        subject_to: limits on other metrics, like "recall >= 0.9".
        strict: refuse cells that are no numbers in a column of numbers, instead of taking them for missing.
    """

    path: Path
    target: str
    metric: str
    name: str | None = None
    higher_is_better: bool | None = None
    bounds: tuple[float, float] | None = None
    reads: Reads | None = None
    task: Task | Literal["auto"] = "auto"
    positive: str | None = None
    drop: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    separator: str | None = None
    encoding: str | None = None
    method: tuple[str, ...] = ("auto",)
    loss: str | None = None
    calls: int = 1000
    seconds: float | None = None
    validation: float = 0.25
    test: float = 0.2
    acceptance: float | None = 0.4
    confidence: float = 0.95
    seed: int = 0
    device: str | None = None
    metric_timeout: float | None = None
    metric_retries: int | None = None
    metric_headers: tuple[tuple[str, str], ...] = ()
    workers: int = 1
    strict: bool = False
    subject_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.bounds is not None:  # (0, 10) and (0.0, 10.0) are the same run
            object.__setattr__(self, "bounds", checked_bounds(self.metric, self.bounds))
        if self.name is not None:
            checked_name(self.name)
        one_of("task", self.task, ("auto", "classification", "regression"))
        for method in self.method:
            if method != "auto":
                METHODS[method]
        if "auto" in self.method and len(self.method) > 1:
            raise ConfigError('the method "auto" chooses by itself; name it alone, or name others')
        if self.reads is not None:
            one_of("reads", self.reads, ("scores", "probabilities", "labels"))
        if self.device is not None:
            resolved_device(self.device, nn.Identity())
        # What does not pay for the acceptance test is told before a network is trained.
        divided(self.budget, None if self.acceptance is None else SOME, learned=False)
        if self.loss is not None:
            resolved_loss(self.loss)
        for limit in self.subject_to:
            split_limit(limit)
        count = clusters_wanted(self.slices)
        if count is not None and not 2 <= count <= MOST_SLICES:
            raise ConfigError(f"--slices takes 2 to {MOST_SLICES} clusters, or names of columns, got {count}")
        at_least("seed", self.seed, 0)
        at_least("workers", self.workers, 1)
        if self.workers > 1 and not self.metric.startswith(FAR):
            raise ConfigError(
                f"--workers makes calls of a command or a URL side by side; metric {self.metric!r} runs in this process"
            )
        fraction("test", self.test)
        if self.acceptance is not None:
            fraction("acceptance", self.acceptance)
        if not 0.0 < self.validation < 1.0 or self.validation + self.test >= 0.95:
            raise ConfigError(
                f"validation must be above 0 and leave room for training beside the test rows, got validation "
                f"{self.validation:g} and test {self.test:g}; 0.25 and 0.2 are the defaults"
            )
        if self.acceptance is not None and not 0.0 < self.acceptance < 1.0:
            raise ConfigError(f"acceptance must lie between 0 and 1, both excluded, got {self.acceptance:g}")
        if not 0.5 <= self.confidence < 1.0:
            raise ConfigError(f"confidence must lie in [0.5, 1), got {self.confidence:g}; 0.95 is the default")

    @property
    def headers(self) -> dict[str, str]:
        """The headers with their values."""
        return environment_headers(self.metric_headers)

    @property
    def budget(self) -> Budget:
        return Budget(calls=self.calls, seconds=self.seconds)

    def identity(self, digest: str) -> dict[str, str | int | float | bool | None]:
        """What makes a run the same run: every choice, the bytes of the table, and the code of the metric.

        Args:
            digest: of the table's file.
        """
        return {
            "job": "table",
            "table": digest,
            "target": self.target,
            "metric": without_query(self.metric) if "://" in self.metric else self.metric,
            "metric_code": digest_of_code(self.metric),
            "higher_is_better": self.higher_is_better,
            "bounds": None if self.bounds is None else f"{self.bounds[0]!r}, {self.bounds[1]!r}",
            "reads": self.reads,
            "task": self.task,
            "positive": self.positive,
            "drop": ", ".join(map(repr, sorted(self.drop))),
            "separator": self.separator,
            "encoding": self.encoding,
            "method": ", ".join(self.method),
            "loss": self.loss,
            "calls": self.calls,
            "seconds": self.seconds,
            "validation": self.validation,
            "test": self.test,
            "acceptance": self.acceptance,
            "confidence": self.confidence,
            "seed": self.seed,
            "device": self.device,
        } | self._later_choices()

    def _later_choices(self) -> dict[str, str]:
        """Choices that older runs do not have, where they were made."""
        made = {
            "name": self.name or "",
            "subject_to": "; ".join(self.subject_to),
            "beside": ", ".join(map(repr, self.beside)),
            "slices": ", ".join(map(repr, self.slices)),
        }
        return {name: text for name, text in made.items() if text}


def environment_headers(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Headers with the values that environment variables hold. Raises ConfigError where one is not set.

    >>> environment_headers([("Authorization", "NO_SUCH_VARIABLE")])
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: no environment variable 'NO_SUCH_VARIABLE', which --metric-header names; set it
    """
    missing = [variable for _, variable in pairs if variable not in os.environ]
    if missing:
        raise ConfigError(f"no environment variable {missing[0]!r}, which --metric-header names; set it")
    return {name: os.environ[variable] for name, variable in pairs}


def checked_name(name: str) -> str:
    """What a metric shall be called: one line that fits a headline."""
    if not name.strip() or not name.isprintable() or len(name) > _NAME_LENGTH:
        raise ConfigError(
            f"the name of the metric must be one line of 1 to {_NAME_LENGTH} characters, got {shown(name)}; shorten it"
        )
    return name


def digest_of_code(metric: str) -> str | None:
    """Sixteen hex digits over the files that a metric's spec names, `file.py:function` or words of a command.

    >>> digest_of_code("f1") is None
    True
    """
    if metric.startswith("cmd:"):
        try:
            words = shlex.split(metric.removeprefix("cmd:"))
        except ValueError:  # told by whoever makes the metric of it
            return None
    elif "://" in metric:  # a key in the query is kept nowhere, but another address is another metric
        return hashlib.blake2b(metric.encode(), digest_size=8).hexdigest()
    elif ":" not in metric:
        return None
    else:
        words = [metric.rpartition(":")[0]]
    files = [file for word in words if (file := Path(word)).is_file() and file.stat().st_size <= _CODE_BYTES]
    if not files:
        return None
    return hashlib.blake2b(b"\x1f".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


def default_folder(source: str, metric: str) -> Path:
    """Where a run is kept if nobody says where.

    >>> default_folder("data/adult.csv", "recall_at_k(k=5)").as_posix()
    'runs/adult-recall_at_k-k-5'
    """
    stem = Path(source).name.partition(".")[0] or "table"
    return Path("runs") / "-".join(filter(None, (_short(stem), _short(_word(metric)))))


def _word(metric: str) -> str:
    """What a metric is called in a file name: the function, the program, or the machine."""
    if metric.startswith("cmd:"):
        return Path(metric.removeprefix("cmd:").strip().partition(" ")[0]).stem
    if "://" in metric:
        return metric.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return metric.rpartition(":")[2]


def _short(text: str) -> str:
    return _PLAIN.sub("-", text).strip("-.")[:40]
