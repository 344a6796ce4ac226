"""The contract of every executor, and what only worker processes can go through."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from metricopt._errors import ConfigError, JobFailed
from metricopt.runtime import Executor, Outcome, ProcessExecutor, SerialExecutor

# Jobs are functions of the standard library and of torch: a worker process can import those by name.


@pytest.fixture(scope="module", params=[SerialExecutor, lambda: ProcessExecutor(2)], ids=["serial", "process"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    make: Callable[[], Executor] = request.param
    with make() as made:
        yield made


def test_submit_passes_arguments_and_returns_the_value(executor: Executor) -> None:
    assert executor.submit(pow, 2, 10).result() == 1024
    assert executor.submit(int, "ff", base=16).result() == 255
    assert executor.submit(print, "", end="").result() is None


def test_map_yields_every_outcome_once_with_its_index(executor: Executor) -> None:
    outcomes = sorted(executor.map(math.sqrt, [0.0, 1.0, 4.0, 9.0, 16.0]), key=lambda outcome: outcome.index)
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4]
    assert [outcome.result() for outcome in outcomes] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert list(executor.map(math.sqrt, [])) == []


def test_an_exception_comes_back_with_its_traceback_and_the_others_go_on(executor: Executor) -> None:
    outcomes = sorted(executor.map(math.sqrt, [4.0, -1.0, 9.0]), key=lambda outcome: outcome.index)
    assert [outcome.value for outcome in outcomes] == [2.0, None, 3.0]
    assert outcomes[0].error is outcomes[2].error is None
    with pytest.raises(JobFailed, match=r"(?s)job sqrt failed: Traceback .*ValueError"):
        outcomes[1].result()
    with pytest.raises(JobFailed, match=r"(?s)job dict.__getitem__ failed: Traceback .*KeyError: 'absent'"):
        executor.submit(dict.__getitem__, {}, "absent").result()


def test_leaving_a_map_early_leaves_the_executor_usable(executor: Executor) -> None:
    for outcome in executor.map(math.sqrt, [4.0] * 50):
        assert outcome.result() == 2.0
        break
    assert executor.submit(math.sqrt, 9.0).result() == 3.0


def test_tensors_travel(executor: Executor) -> None:
    assert executor.submit(torch.add, torch.ones(3), 1).result().tolist() == [2.0, 2.0, 2.0]


def test_the_cause_is_at_hand_where_the_job_ran_here() -> None:
    error = SerialExecutor().submit(math.sqrt, -1.0).exception()
    assert isinstance(error, JobFailed)
    assert isinstance(error.__cause__, ValueError)


def test_an_interrupt_is_not_a_result() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().submit(interrupt)


@pytest.mark.parametrize(
    ("job", "argument", "death"),
    [(os._exit, 7, "exit code 7"), (signal.raise_signal, signal.SIGKILL, "signal SIGKILL")],
)
def test_a_worker_that_dies_is_recorded_and_replaced(job: Callable[..., None], argument: int, death: str) -> None:
    with ProcessExecutor(1) as executor:
        before = executor.submit(os.getpid).result()
        with pytest.raises(JobFailed, match=f"failed: its worker process died with {death}"):
            executor.submit(job, argument).result()
        assert executor.submit(os.getpid).result() != before


def test_a_death_takes_no_other_job_with_it() -> None:
    with ProcessExecutor(2) as executor:
        fatal = executor.submit(os._exit, 1)
        outcomes = list(executor.map(math.sqrt, [4.0] * 6))
        assert isinstance(fatal.exception(), JobFailed)
    assert [outcome.result() for outcome in outcomes] == [2.0] * 6


def test_a_worker_that_died_between_jobs_is_replaced_without_a_failure() -> None:
    with ProcessExecutor(1) as executor:
        pid = executor.submit(os.getpid).result()
        os.kill(pid, signal.SIGKILL)
        (worker,) = executor._workers
        worker._process.join()
        assert executor.submit(os.getpid).result() != pid


def test_what_cannot_travel_fails_alone() -> None:
    with ProcessExecutor(1) as executor:
        with pytest.raises(JobFailed, match="it cannot be sent to another process"):
            executor.submit(threading.Lock().acquire).result()
        with pytest.raises(JobFailed, match="its value cannot be sent back"):
            executor.submit(threading.Lock).result()
        assert executor.submit(math.sqrt, 4.0).result() == 2.0
        assert executor.submit(lambda: 1).result() == 1  # as a notebook has them


def test_workers_run_with_the_threads_they_were_given() -> None:
    with ProcessExecutor(1, threads=1) as one:
        assert one.submit(torch.get_num_threads).result() == 1
        assert one.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        assert one.submit(os.getpid).result() != os.getpid()
    with ProcessExecutor(1, threads=2) as two:
        assert two.submit(torch.get_num_threads).result() == 2


def test_leaving_by_an_exception_ends_running_jobs_and_drops_the_rest() -> None:
    executor = ProcessExecutor(1)
    with pytest.raises(RuntimeError, match="enough"), executor:
        executor.submit(math.sqrt, 4.0).result()
        running = executor.submit(signal.pause)  # would never end by itself
        queued = executor.submit(math.sqrt, 4.0)
        while not running.running():
            os.sched_yield()
        raise RuntimeError("enough")
    assert isinstance(running.exception(), JobFailed)
    assert queued.cancelled() or isinstance(queued.exception(), JobFailed)
    executor.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(math.sqrt, 4.0)


@pytest.mark.parametrize("fields", [{"workers": 0}, {"workers": 1, "threads": 0}, {"workers": True}])
def test_counts_that_cannot_work_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be an integer of at least 1"):
        ProcessExecutor(**fields)


def test_an_outcome_of_none_is_a_value() -> None:
    assert Outcome[None](index=0).result() is None


@pytest.mark.parametrize("guarded", [False, True])
def test_a_script_without_the_usual_guard_does_not_run_once_more(tmp_path: Path, guarded: bool) -> None:
    """One with it is imported by the workers: it may register things."""
    body = 'with ProcessExecutor(2) as executor:\n    print("value", executor.submit(lambda: twice * 21).result())\n'
    if guarded:
        body = 'if __name__ == "__main__":\n' + textwrap.indent(body, "    ")
    text = f'from metricopt.runtime import ProcessExecutor\nprint("runs", flush=True)\ntwice = 2\n{body}'
    script = tmp_path / "script.py"
    script.write_text(text)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines().count("runs") == (2 if guarded else 1)
    assert "value 42" in done.stdout
