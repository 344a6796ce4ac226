"""A process that reads what may be damaged, and notices whatever it does beside reading.

It is started as a script by `conftest.py`: `guarded_reader.py FOLDER` makes one sound example of everything in
FOLDER, says so, and locks the door behind itself. Each request is a line of JSON, {"kind": ..., "path": ...};
each reply says what
was
loaded ("loaded", a digest), or which error came, and what was done that no reader has to do ("deeds").
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import pickle
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import metricopt
from metricopt._errors import MetricOptError
from metricopt._typed import to_plain
from metricopt.apps.table.model import ClassLabels, TableEncoder, TableModel, TableNet
from metricopt.apps.table.summary import Figures, TableSummary
from metricopt.report import ReportData
from metricopt.runtime import ResultStore, RunFolder, RunKey, read_identity
from metricopt.value import LearnedValue, Trajectories, ValueFunction

#: What no reader has to do. The names are those of Python's audit events.
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.chmod",
    "subprocess.Popen",
    "pty.spawn",
    "pickle.find_class",
    "socket.connect",
    "socket.getaddrinfo",
    "ctypes.dlopen",
    "shutil.rmtree",
    "webbrowser.open",
)
#: A damaged size must not be believed: this is far more than any sound example takes.
MEMORY = 4 << 30


class Guard:
    """Writes down the forbidden deeds; the code of a canary counts even where it is only compiled."""

    def __init__(self) -> None:
        self.deeds: list[str] = []
        self.home = ""
        self.allowed: tuple[str, ...] = ()
        self.on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in FORBIDDEN and event not in self.allowed and not self._at_home(arguments[0] if arguments else None):
            self.deeds.append(f"{event} {str(arguments)[:200]}")
        if event == "open" and self._writes(arguments) and not self._at_home(arguments[0]):
            self.deeds.append(f"write to {arguments[0]!r}")
        if event == "compile" and "canary" in str(arguments[0]):
            self.deeds.append("compiled the canary")

    def _at_home(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.home)

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        if isinstance(arguments[0], int):  # opened before
            return False
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


# --- sound examples -------------------------------------------------------------------------------


def make_examples(folder: Path) -> None:
    from forked_runs import draw_no_pictures, small_run

    draw_no_pictures()
    small_run(folder / "finished", lambda: None)
    questions = iter(range(30))

    def stop() -> None:
        if next(questions, None) is None:
            raise KeyboardInterrupt

    try:
        small_run(folder / "unfinished", stop)
    except KeyboardInterrupt:
        pass
    source = torch.Generator().manual_seed(0)
    ValueFunction(5, hidden=(6, 4), members=2, fingerprint="abc", generator=source).save(folder / "value.safetensors")
    LearnedValue.load(folder / "finished" / "value").save(folder / "learned")
    runs = Trajectories(runs=2, fingerprint="abc", dim=3)
    for step in range(4):
        runs.append(step, torch.randn(2, 3, generator=source), torch.rand(2, generator=source) if step % 2 else None)
    runs.save(folder / "trajectories.safetensors")
    store = ResultStore(folder / "store.jsonl")
    for seed in range(6):
        key = RunKey(task="a", method="b", metric="c", seed=seed, settings={"calls": 10, "lr": 0.5})
        store.append(key, {"utility": 0.5, "history": [1, None, "ü"]})
    (folder / "report_data.json").write_bytes((folder / "finished" / "report_data.json").read_bytes())
    make_table(folder / "table.csv")
    make_table_model(folder)
    make_summary(folder / "job")


def make_table(path: Path) -> None:
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["age", "job", "born", "income, yearly", "risk"])
        for row in range(60):
            job = ["clerk", 'the "boss"', "", "Müller, Söhne"][row % 4]
            rows.writerow([20 + row, job, f"19{50 + row % 40}-0{1 + row % 9}-11", f"{row * 1.5}", row % 2])


def make_table_model(folder: Path) -> None:
    from metricopt.apps.table.file import read_table

    encoder = TableEncoder.fit(read_table(folder / "table.csv").frame)
    shape = TableNet(features=encoder.width, hidden=(6, 4))
    network = shape.build(torch.Generator().manual_seed(0)).eval()
    target = ClassLabels(values=("no", "yes"), kind="text")
    model = TableModel(encoder=encoder, shape=shape, network=network, target=target)
    model.save(folder / "table_model.safetensors")


def make_summary(folder: Path) -> None:
    figures = Figures(rows=40, before=0.5, after=0.625, low=0.01, high=0.2)
    folder.mkdir()
    TableSummary(
        source="table.csv",
        target="risk",
        task="classification",
        classes=("no", "yes"),
        positive="yes",
        metric="f1",
        higher_is_better=True,
        accepted=True,
        reason="The interval lies above zero.",
        proposal="tuned threshold",
        confidence=0.95,
        acceptance=figures,
        test=figures,
        calls=100,
        test_calls=42,
        seconds=1.5,
        notes=("One row has no target.",),
    ).save(folder)


# --- what is read ---------------------------------------------------------------------------------


def _outcome(path: Path) -> object:
    from tiny_problem import tiny_data

    found = metricopt.load(path, tiny_data("binary", examples=2, seed=0)[0])
    figures = (found.accepted, found.reason, found.before, found.after, found.interval, found.confidence, found.calls)
    rest = (found.seconds, found.metric, found.higher_is_better, found.history, found.report_data.to_json(), str(found))
    learned = None if found.value is None else _of_learned(found.value)
    return [figures, rest, _of_state(found.model), found.phi.tolist(), learned]


def _run(path: Path) -> object:
    """What a run of that identity finds there; `identity` lies beside it."""
    identity = json.loads(path.with_suffix(".identity").read_text())
    with RunFolder(path, identity) as folder:
        return sorted((question, *row) for question, rows in folder.cache._old.items() for row in rows)


def _resume(path: Path) -> object:
    from forked_runs import small_run

    small_run(path, lambda: None)
    return metricopt.load(path).phi.tolist()


def _table(path: Path) -> object:
    from metricopt.apps.table.file import read_table

    frame = read_table(path).frame
    encoder = TableEncoder.fit(frame)
    return [list(frame.columns), len(frame), encoder.labels, encoder.transform(frame).sum().item()]


def _table_model(path: Path) -> object:
    model = TableModel.load(path)
    return [to_plain(model.encoder), _of_state(model.network)]


def _of_learned(learned: LearnedValue) -> object:
    numbers = (learned.psi.tolist(), learned.utilities.tolist(), learned.families.tolist())
    named = (learned.profile, list(learned.columns), learned.metric, learned.higher_is_better)
    return [numbers, named, dict(learned.diagnostics), learned.function.mean(learned.psi).tolist()]


def _of_state(module: torch.nn.Module) -> object:
    return [(name, value.tolist()) for name, value in module.state_dict().items()]


def _of_trajectories(found: Trajectories) -> object:
    return [found.fingerprint, found.steps.tolist(), found.phis.tolist(), found.utilities.nan_to_num(-1).tolist()]


READERS: dict[str, Callable[[Path], object]] = {
    "outcome": _outcome,
    "identity": lambda path: read_identity(path),
    "run": _run,
    "resume": _resume,
    "learned": lambda path: _of_learned(LearnedValue.load(path)),
    "function": lambda path: _of_state(ValueFunction.load(path)),
    "trajectories": lambda path: _of_trajectories(Trajectories.load(path)),
    "store": lambda path: ResultStore(path).rows(),
    "report_data": lambda path: ReportData.from_json(path.read_bytes().decode(errors="surrogateescape")).to_json(),
    "table": _table,
    "table model": _table_model,
    "summary": lambda path: TableSummary.load(path),
    # What `test_the_guard.py` catches:
    "careless with pickles": lambda path: pickle.loads(path.read_bytes()),
    "careless with text": lambda path: eval(path.read_bytes()),
    "careless with paths": lambda path: Path(path.read_text()).write_text("here"),
}


def answer(request: dict[str, Any], guard: Guard) -> dict[str, Any]:
    from wrong_settings import called

    path = Path(request.get("path", "."))
    guard.deeds, guard.home = [], os.path.abspath(path.parent)
    # A run folder is made where the call says; that it cannot be made there is the case.
    guard.allowed = ("os.mkdir",) if request["kind"] == "settings" else ()
    reply: dict[str, Any] = {"loaded": None, "error": None, "ours": True}
    guard.on = True
    try:
        found = called(request["seed"]) if request["kind"] == "settings" else READERS[request["kind"]](path)
    except MetricOptError as error:
        reply["error"] = f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to hear of it
        reply |= {"error": _traced(error), "ours": False}
    else:
        reply["loaded"] = hashlib.sha256(repr(found).encode(errors="surrogatepass")).hexdigest()
        if request.get("in_full"):
            reply["found"] = found
    finally:
        guard.on = False
    return reply | {"deeds": guard.deeds}


def _traced(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error)[-6:])


def main() -> None:
    with contextlib.suppress(ImportError):  # torchmetrics imports it where it is, and it writes a list of fonts
        import matplotlib.font_manager  # noqa: F401
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent), str(here.parent / "resume")]
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    make_examples(folder)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    tempfile.gettempdir()  # tries out once, by a write, where temporary files may lie
    guard = Guard()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), guard)), flush=True)


if __name__ == "__main__":
    main()
