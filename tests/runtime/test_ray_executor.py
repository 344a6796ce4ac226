"""Jobs on a real local Ray cluster: the same contract, and workers that are killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from metricopt._errors import JobFailed
from metricopt.asking import AskOnExecutor
from metricopt.metrics import Budget, Metric
from metricopt.problem import Problem
from metricopt.runtime import Executor, make_executor
from tiny_problem import tiny_problem

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Ray's own threads and sockets
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Executor]:
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    with make_executor("ray", workers=4) as executor:
        yield executor


def double(x: int) -> int:
    return 2 * x


def fails() -> None:
    raise ValueError("not today")


def killed_once(scores: Tensor, targets: Tensor) -> float:
    """Kills the first two workers that ask, in the middle of their calls."""
    folder = Path(os.environ["METRICOPT_TEST_KILLS"])
    for name in ("first", "second"):
        try:
            (folder / name).touch(exist_ok=False)
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    return float(((scores.reshape(-1) > 0) == (targets == 1)).double().mean())


class KilledOnce:
    """The folder travels with the metric."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, scores: Tensor, targets: Tensor) -> float:
        os.environ["METRICOPT_TEST_KILLS"] = self.folder
        return killed_once(scores, targets)


def test_values_and_tracebacks_come_back(cluster: Executor) -> None:
    assert cluster.workers == 4
    assert [future.result() for future in [cluster.submit(double, i) for i in range(5)]] == [0, 2, 4, 6, 8]
    with pytest.raises(JobFailed, match="not today"):
        cluster.submit(fails).result()
    with pytest.raises(JobFailed, match="cannot be sent"):
        cluster.submit(threading.Lock().acquire).result()
    outcomes = {outcome.index: outcome for outcome in cluster.map(double, [3, 4])}
    assert [outcomes[i].result() for i in range(2)] == [6, 8]


def test_two_of_four_workers_killed_in_the_middle_change_no_bit(cluster: Executor, tmp_path: Path) -> None:
    accuracy = Metric(KilledOnce(str(tmp_path)), name="accuracy", higher_is_better=True)
    (tmp_path / "plain").mkdir()
    for name in ("first", "second"):
        (tmp_path / "plain" / name).touch()
    plain = Metric(KilledOnce(str(tmp_path / "plain")), name="accuracy", higher_is_better=True)
    here = tiny_problem(metric=plain)
    batch = 0.3 * torch.randn(12, here.dim, generator=torch.Generator().manual_seed(0))
    problem = Problem(here.workload, metric=accuracy, budget=Budget(calls=12), ask=AskOnExecutor(cluster, workers=4))
    assert torch.equal(problem.observe(batch), here.observe(batch))
    assert problem.meter.calls == 12
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "plain"}
