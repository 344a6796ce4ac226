"""A process that makes one small run again and again in forked children, which can be stopped anywhere.

It is started as a script by `conftest.py`. Everything is imported and used once before the first fork, so a child costs
milliseconds. Requests and replies are lines of JSON:

    {"do": "run", "kind": K, "folder": F, "kill_after": seconds, "at": [label, n], "then": "kill" | "tear" | "fail"}
    {"do": "begin", "folder": F, "hold": n}    waits until question n is asked, then {"do": "release"} or {"do": "kill"}

A label is an operation on a file: its name and the file's. At the n-th time that it is about to happen, the
child is killed ("kill"), is killed when half of it is done ("tear"), or is told that the disk is full ("fail").
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import re
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from metricopt import Metric, MetricOpt, MetricOptError, optimize, optimize_front
from metricopt.methods import MetricOptConfig, ThresholdTuning

OPERATIONS = ("mkdir", "open", "write", "pwrite", "ftruncate", "fsync", "replace", "unlink")


class Saboteur:
    """Stands between the child and its files; tells of every operation and strikes at one of them."""

    def __init__(self, tell: Callable[[str], None], at: tuple[str, int] | None, then: str) -> None:
        self._tell, self._at, self._then = tell, at, then
        self._real = {name: getattr(os, name) for name in OPERATIONS}
        self._names: dict[int, str] = {}
        self._times: Counter[str] = Counter()
        for name in OPERATIONS:
            setattr(os, name, lambda *arguments, _name=name, **options: self._do(_name, *arguments, **options))

    def _do(self, operation: str, first: Any, *rest: Any, **options: Any) -> Any:
        target = rest[0] if operation == "replace" else first
        name = self._names.get(target, "") if isinstance(target, int) else _plain(target)
        label = f"{operation} {name}"
        self._times[label] += 1
        self._tell(f"o{label}")
        if self._at == (label, self._times[label]):
            self._strike(operation, first, rest)
        result = self._real[operation](first, *rest, **options)
        if operation == "open":
            self._names[result] = name
        return result

    def _strike(self, operation: str, first: Any, rest: tuple[Any, ...]) -> None:
        if self._then == "fail":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._then == "tear" and operation == "write":
            self._real["write"](first, rest[0][: len(rest[0]) // 2])
        if self._then == "tear" and operation == "fsync":
            with contextlib.suppress(OSError):  # a folder cannot be cut
                self._real["ftruncate"](first, os.fstat(first).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def _plain(path: str | os.PathLike[str]) -> str:
    """The name of a file; that of a temporary one without the numbers that differ from run to run."""
    return re.sub(r"^\.(.+)\.\d+\.[0-9a-f]{8}$", r"\1~", Path(path).name)


class Child:
    """One forked run and what it has told so far."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._since = time.monotonic()
        self._heard, telling = os.pipe()
        releasing, self._release = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(2, 1)
            self._be_the_run(request, telling, releasing)
        os.close(telling)
        os.close(releasing)
        self._told = b""

    def listen(self, *, seconds: float | None = None, until: bytes | None = None) -> bool:
        """Read what the child tells until it is gone; False where it is still there after `seconds`, or told
        `until`."""
        end = None if seconds is None else self._since + seconds
        while until is None or until not in self._told:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            if not select.select([self._heard], [], [], left)[0]:
                return False
            part = os.read(self._heard, 1 << 16)
            if not part:
                return True
            self._told += part
        return False

    def release(self) -> None:
        os.write(self._release, b"!")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> dict[str, Any]:
        """Wait for it, and say what became of it."""
        self.listen()
        status = os.waitpid(self.pid, 0)[1]
        os.close(self._heard)
        os.close(self._release)
        lines = self._told.decode().splitlines()
        errors = [json.loads(line[1:]) for line in lines if line.startswith("e")]
        return {
            "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            "finished": os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0,
            "asked": lines.count("?"),
            "operations": [line[1:] for line in lines if line.startswith("o")],
            "error": errors[0] if errors else None,
            "seconds": time.monotonic() - self._since,
        }

    def _be_the_run(self, request: Mapping[str, Any], telling: int, releasing: int) -> NoReturn:
        write, asked = os.write, 0

        def tell(what: str) -> None:
            write(telling, what.encode() + b"\n")

        def question() -> None:
            nonlocal asked
            asked += 1
            tell("?")
            if asked == request.get("hold"):
                tell("held")
                os.read(releasing, 1)

        at = request.get("at")
        Saboteur(tell, None if at is None else (at[0], at[1]), request.get("then", "kill"))
        code = 1
        try:
            KINDS[request.get("kind", "problem")](request["folder"], question)
            code = 0
        except MetricOptError as error:
            tell("e" + json.dumps([type(error).__name__, str(error)]))
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            os._exit(code)


def small_run(folder: str | os.PathLike[str], question: Callable[[], None]) -> None:
    """About 70 questions in less than a tenth of a second; all stages, a value function, and a change that is
    accepted."""
    from tiny_problem import tiny_data

    listening = [question]  # in a list it is no part of what makes this metric this metric

    def asked(labels: torch.Tensor, targets: torch.Tensor) -> float:
        listening[0]()
        return float(2 * (labels * targets).sum() / (labels + targets).sum().clamp(min=1))

    model, inputs, targets = tiny_data("binary", examples=240, seed=0)
    config = MetricOptConfig(
        most_surrogates=3, surrogate_steps=3, batch=16, climbs=2, climb_steps=5, moves=4, round=4, resamples=3
    )
    optimize(
        model,
        metric=Metric(asked, name="own f1", higher_is_better=True, reads="labels"),
        train=(inputs[:120], targets[:120]),
        val=(inputs[120:], targets[120:]),
        method=[ThresholdTuning(candidates=10), MetricOpt(config=config)],
        budget=80,
        dim=6,
        batch_size=16,
        run=folder,
        quiet=True,
    )


def table_run(folder: str | os.PathLike[str], question: Callable[[], None]) -> None:
    """A job on a table: encoder, network, search, test rows, model. Its metric tells nobody that it is asked."""
    from metricopt.apps.table.job import optimize_table
    from metricopt.apps.table.request import TableRequest

    del question
    request = TableRequest(
        path=TABLE, target="income", metric="f1", drop=("pay",), method=("threshold",), calls=70, acceptance=0.5
    )
    optimize_table(request, run=Path(folder))


def external_run(folder: str | os.PathLike[str], question: Callable[[], None]) -> None:
    """A metric that is a program, started for every question."""
    from metricopt.metrics import from_command
    from tiny_problem import tiny_data

    del question
    metric = from_command(["sh", str(PROGRAM), "{file}"], name="program", higher_is_better=True)
    model, inputs, targets = tiny_data("binary", examples=120, seed=0)
    optimize(
        model,
        metric=metric,
        train=(inputs[:60], targets[:60]),
        val=(inputs[60:], targets[60:]),
        method=ThresholdTuning(candidates=10),
        budget=62,
        dim=6,
        batch_size=16,
        run=folder,
        quiet=True,
    )


def front_run(folder: str | os.PathLike[str], question: Callable[[], None]) -> None:
    """A front of two metrics: one search toward each and toward compromises, and the models of it."""
    from tiny_problem import tiny_data

    del question
    model, inputs, targets = tiny_data("binary", examples=160, seed=0)
    optimize_front(
        model,
        metrics=["precision", "recall"],
        train=(inputs[:60], targets[:60]),
        val=(inputs[60:], targets[60:]),
        points=2,
        budget=330,
        dim=4,
        batch_size=16,
        run=folder,
        quiet=True,
    )


def bench_run(folder: str | os.PathLike[str], question: Callable[[], None]) -> None:
    """The rows of a small table, appended to one file; the networks are there already."""
    from metricopt.bench import Run, run_table
    from metricopt.runtime import ResultStore

    del question
    runs = [
        Run(data="breast_cancer", sampler="balanced", metric=metric, method=method, seed=0, calls=12)
        for metric in ("mcr", "f1", "g_mean")
        for method in ("as_trained", "random_search", "threshold")
    ]
    failed = run_table(runs, ResultStore(Path(folder) / "rows.jsonl"), workers=0, quiet=True)
    if failed:
        raise RuntimeError(failed[0].traceback)


KINDS = {
    "problem": small_run,
    "table": table_run,
    "external": external_run,
    "front": front_run,
    "bench": bench_run,
}
TABLE, PROGRAM = Path(), Path()


def make_examples(home: Path) -> None:
    """A table, and a program that answers with a number made of the bytes that it is given."""
    global TABLE, PROGRAM
    from people import people

    TABLE, PROGRAM = home / "people.csv", home / "metric.sh"
    people(TABLE)
    PROGRAM.write_text("cksum < \"$1\" | { read sum rest; printf '0.%03d\\n' $((sum % 1000)); }\n")


def answer(request: Mapping[str, Any], waiting: list[Child]) -> dict[str, Any]:
    if request["do"] == "run":
        child = Child(request)
        if not child.listen(seconds=request.get("kill_after")):
            child.kill()
        return child.end()
    if request["do"] == "begin":
        waiting.append(Child(request))
        gone = waiting[-1].listen(until=b"held\n")
        return waiting.pop().end() if gone else {"held": True}
    child = waiting.pop()
    if request["do"] == "kill":
        child.kill()
    else:
        child.release()
    return child.end()


def draw_no_pictures() -> None:
    """Half of a small run is the drawing of its report, which is no part of what is tested here."""
    import metricopt.job.front
    import metricopt.report
    from metricopt.runtime import write_atomically

    def write(report_data: metricopt.report.ReportData, path: str | os.PathLike[str]) -> Path:
        write_atomically(path, report_data.title.encode())
        return Path(path)

    metricopt.report.write = write
    metricopt.job.front.write_front = lambda shown, path: write_atomically(path, b"a front")


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    torch.set_num_threads(1)
    draw_no_pictures()
    home = tempfile.TemporaryDirectory()
    make_examples(Path(home.name))
    for kind, run in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder) / kind, lambda: None)
    if threading.active_count() != 1:
        raise RuntimeError("threads are alive: a child would inherit their locks and wait for ever")
    gc.collect()
    gc.freeze()  # what no collection touches is not copied into the children
    waiting: list[Child] = []
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), waiting)), flush=True)
    for child in waiting:
        child.kill()
        child.end()
    home.cleanup()


if __name__ == "__main__":
    main()
