"""Metrics from a command: real programs that work, hang, die half-way, print rubbish, or too much of it."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError, MetricError
from metricopt.metrics import Metric, from_command
from metricopt.metrics.external import child_process
from metricopt.metrics.external.child_process import run_child

SCORES, TARGETS = torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0])
#: Without site-packages Python starts in a tenth of the time.
BARE = [sys.executable, "-I", "-S"]

Make = Callable[..., Metric]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a metric of Python source; temporary files lie in a folder of the test."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def make(source: str, *arguments: str, python: list[str] = BARE, **options: Any) -> Metric:
        script = tmp_path / "rate.py"
        script.write_text(source)
        options = {"name": "mine", "higher_is_better": True, "retries": 0, **options}
        return from_command([*python, str(script), *arguments], **options)

    return make


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    left = tmp_path / "temporary"
    assert not left.exists() or list(left.iterdir()) == []


@pytest.fixture
def attempts(tmp_path: Path) -> Callable[[], int]:
    """How many programs wrote a line to the file `attempts` beside them."""
    return lambda: len((tmp_path / "attempts").read_text().splitlines())


COUNTED = "import os, sys\nlog = os.path.join(os.path.dirname(__file__), 'attempts')\nopen(log, 'a').write('x\\n')\n"


@pytest.mark.parametrize(
    ("reads", "scores", "targets", "shape"),
    [
        ("scores", SCORES.reshape(4, 1), TARGETS.reshape(4, 1), (4,)),
        ("probabilities", torch.tensor([[1.0, 2.0, -3.0], [0.5, -1.0, 0.0]]), torch.tensor([1, 0]), (2, 3)),
        ("labels", torch.tensor([[1.0, 2.0, -3.0], [0.5, -1.0, 0.0]]).bfloat16(), torch.eye(2, 3), (2, 3)),
    ],
)
def test_the_program_gets_what_a_function_gets(program: Make, tmp_path: Path, reads, scores, targets, shape) -> None:
    source = """
import shutil, stat, os, sys
print("reading", sys.argv[1])
assert stat.S_IMODE(os.stat(os.path.dirname(sys.argv[1])).st_mode) == 0o700
shutil.copy(sys.argv[1], os.path.join(os.path.dirname(__file__), "seen.npz"))
print(0.25)
"""
    assert program(source, reads=reads)(scores, targets) == 0.25
    seen = np.load(tmp_path / "seen.npz", allow_pickle=False)
    assert sorted(seen.files) == ["scores", "targets"]
    caught = []

    def look(outputs: np.ndarray, truth: np.ndarray) -> float:
        caught.append((outputs, truth))
        return 0.0

    from metricopt.metrics import from_function

    from_function(look, higher_is_better=True, reads=reads, arrays="numpy")(scores, targets)
    assert seen["scores"].shape == shape
    np.testing.assert_array_equal(seen["scores"], caught[0][0])
    np.testing.assert_array_equal(seen["targets"], caught[0][1])


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ((), "FILE"),
        (("--k", "5"), "--k 5 FILE"),
        (("{file}", "--k"), "FILE --k"),
        (("--data={file}", "x"), "--data=FILE x"),
        (("f'{file}'", "$HOME; *"), "f'{file}' $HOME; * FILE"),
    ],
)
def test_where_the_path_goes_and_that_no_shell_reads_the_rest(program: Make, arguments, want) -> None:
    source = (
        "import sys\n"
        "said = ' '.join(a.rpartition('=')[0] + '=' * ('=' in a) + 'FILE' if a.endswith('.npz') else a "
        "for a in sys.argv[1:])\n"
    )
    source += f"print(1 if said == {want!r} else said)"
    assert program(source, *arguments)(SCORES, TARGETS) == 1.0


@pytest.mark.parametrize(("arguments", "told"), [((), False), (("{file}",), True), (("--data={file}",), True)])
def test_a_message_says_what_the_word_in_braces_stands_for(program: Make, arguments, told: bool) -> None:
    with pytest.raises(MetricError, match="ended with status 0 but printed no number") as caught:
        program("pass", *arguments)(SCORES, TARGETS)
    assert ("] ({file} stands for the path of the NumPy file) ended" in str(caught.value)) is told


def test_working_folder_and_environment(program: Make, tmp_path: Path) -> None:
    source = "import os\nprint(os.environ['ADDED'], os.environ['HOME'] != '')\nprint(len(os.listdir()))"
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "one").touch()
    metric = program(source, environment={"ADDED": "sesame-1234"}, folder=folder)
    assert metric(SCORES, TARGETS) == 1.0
    assert "sesame-1234" not in repr(metric)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print('0.5 or so')", r"ended with status 0 but printed no number \(attempt 1 of 1\).*stdout:\s+0.5 or so"),
        ("pass", r"printed no number.*last lines of stdout: nothing\s+last lines of stderr: nothing"),
        ("print(0.5); raise KeyError('no label')", r"ended with status 1 .*stdout:\s+0.5.*KeyError: 'no label'"),
        ("import sys; print('half', flush=True); sys.exit(300 % 256)", "ended with status 44.*half"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 1)", r"was ended by signal \d+ "),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\x00\\x1b[2J')", r"printed no number.*\ufffd\?\?\[2J"),
        ("import sys; sys.stdout.buffer.write('Gen\\u00fcgt: \\u2713'.encode())", "Genügt: ✓"),
    ],
)
def test_what_goes_wrong_is_quoted(program: Make, source: str, message: str) -> None:
    with pytest.raises(MetricError, match=f"(?s)command .*rate.py.* {message}"):
        program(source)(SCORES, TARGETS)


@pytest.mark.parametrize("printed", ["nan", "-inf", "1e999"])
def test_a_number_that_cannot_be_compared_is_an_answer_and_not_asked_for_again(program, attempts, printed) -> None:
    with pytest.raises(MetricError, match=r"printed -?(nan|inf), which cannot be compared \(attempt 1 of 4, the rest"):
        program(COUNTED + f"print({printed!r})", retries=3)(SCORES, TARGETS)
    assert attempts() == 1


def test_a_number_outside_the_bounds_is_refused_and_not_asked_for_again(program: Make, attempts) -> None:
    with pytest.raises(MetricError, match="'mine' returned 7.0, outside its bounds"):
        program(COUNTED + "print(7)", retries=3)(SCORES, TARGETS)
    assert attempts() == 1
    assert program("print(7)", bounds=(0, 10))(SCORES, TARGETS) == 7.0


@pytest.mark.parametrize("first", ["sys.exit(1)", "print('busy')", "os.remove(sys.argv[1]); os.abort()"])
def test_a_failure_that_passes_is_tried_again(program: Make, attempts, first: str) -> None:
    source = (
        f"{COUNTED}if open(log).read() == 'x\\n':\n    {first}\n"
        "else:\n    print(float(os.path.getsize(sys.argv[1]) > 0))"
    )
    assert program(source, retries=1)(SCORES, TARGETS) == 1.0
    assert attempts() == 2


def test_attempts_are_bounded(program: Make, attempts) -> None:
    with pytest.raises(MetricError, match=r"ended with status 3 \(attempt 3 of 3\)"):
        program(COUNTED + "sys.exit(3)", retries=2)(SCORES, TARGETS)
    assert attempts() == 3


def test_a_program_that_hangs_is_killed(program: Make) -> None:
    # Its streams are closed, so only its end can tell.
    source = "import os, signal\nprint('began', flush=True)\nos.close(1); os.close(2)\nwhile True: signal.pause()"
    metric = program(source, timeout=0.4, retries=1)
    with pytest.raises(MetricError, match=r"was not done after 0.4 s and was killed \(attempt 2 of 2\); .*timeout="):
        metric(SCORES, TARGETS)


FAMILY = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("hanging", flush=True)
os.fork()
line = socket.create_connection(("127.0.0.1", PORT))
while True: signal.pause()
"""


@pytest.fixture
def family() -> Iterator[tuple[str, threading.Event, Callable[[], list[bytes]]]]:
    """Source of a program and its child that hang; an event: both do; and what comes from them when they are gone."""
    server, both, lines = socket.create_server(("127.0.0.1", 0)), threading.Event(), []
    server.settimeout(60)

    def listen() -> None:
        for _ in range(2):
            line, _ = server.accept()
            line.settimeout(60)
            lines.append(line)
        both.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield FAMILY.replace("PORT", str(server.getsockname()[1])), both, lambda: [line.recv(1) for line in lines]
    thread.join(60)
    for line in lines:
        line.close()
    server.close()


def test_at_the_deadline_its_children_are_killed_too(program: Make, monkeypatch: pytest.MonkeyPatch, family) -> None:
    source, both, what_comes = family
    monkeypatch.setattr(child_process, "monotonic", lambda: 1e6 if both.is_set() else 0.0)
    with pytest.raises(MetricError, match=r"(?s)was not done after 1000 s and was killed.*stdout:\s+hanging"):
        program(source, timeout=1000.0)(SCORES, TARGETS)
    assert what_comes() == [b"", b""]  # the system closes the lines of a process that is gone, and only then


def test_ctrl_c_kills_the_program_and_goes_on_upwards(program: Make, family) -> None:
    source, both, what_comes = family

    def press() -> None:
        both.wait(60)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        program(source, timeout=1000.0, retries=5)(SCORES, TARGETS)
    thread.join()
    assert what_comes() == [b"", b""]


def test_ctrl_c_while_the_program_is_being_started_loses_no_process(program: Make, monkeypatch) -> None:
    raised, made = threading.Event(), []

    class Slow(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append((self, threading.current_thread()))
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            raised.wait(60)
            super().__init__(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        program("import signal\nwhile True: signal.pause()", timeout=1000.0)(SCORES, TARGETS)
    raised.set()
    process, thread = made[0]
    thread.join(60)
    assert process.returncode == -signal.SIGKILL and len(made) == 1


def test_what_a_finished_program_leaves_running_is_ended_and_not_waited_for(program: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        source = f"""
import os, signal, socket
here, there = os.pipe()
if os.fork() == 0:
    line = socket.create_connection(("127.0.0.1", {server.getsockname()[1]}))
    os.write(there, b"x")
    while True: signal.pause()
os.read(here, 1)
print(0.75)
"""
        assert program(source, timeout=1000.0)(SCORES, TARGETS) == 0.75
        line, _ = server.accept()
        with line:
            line.settimeout(60)
            assert line.recv(1) == b""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_huge_output_neither_blocks_nor_fills_the_memory(program: Make, stream: str) -> None:
    source = f"import sys\nfor _ in range(400): sys.{stream}.write('y' * 49_999 + '\\n')\nprint(0.5)"
    metric = program(source, timeout=1000.0)
    assert metric(SCORES, TARGETS) == 0.5
    ended = run_child(metric.fn.command, timeout=1000.0, environment=os.environ, folder=None)
    assert len(ended.out.text) <= 1 << 16 and len(ended.err.text) <= 1 << 16
    assert getattr(ended, stream[3:]).cut


def test_the_end_of_one_huge_line_is_no_number(program: Make) -> None:
    with pytest.raises(MetricError, match="printed no number"):
        program("print('F1:' + ' ' * 70_000 + '0.5')")(SCORES, TARGETS)


def test_what_was_printed_in_the_last_moment_is_heard(program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(child_process.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[Any]:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            return []

    monkeypatch.setattr(child_process, "DefaultSelector", Late)
    assert program("print(0.5)", timeout=1000.0)(SCORES, TARGETS) == 0.5


def test_a_process_that_cannot_be_killed_is_named_and_not_waited_for(program, monkeypatch) -> None:
    seen = []

    def refused(group: int, number: int) -> None:
        seen.append(group)
        raise PermissionError  # as for a program that changed its user

    monkeypatch.setattr(os, "killpg", refused)
    monkeypatch.setattr(child_process, "_GOING", 0.01)
    processes = []

    class Watched(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    metric = program("import signal\nwhile True: signal.pause()", timeout=0.01)
    try:
        with pytest.raises(MetricError, match=r"could not be killed \(process \d+ still runs\)"):
            metric(SCORES, TARGETS)
        assert seen == [processes[0].pid]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_program_that_cannot_be_started_fails_at_once() -> None:
    metric = from_command(["no-such-program-here"], name="mine", higher_is_better=True, retries=5)
    with pytest.raises(MetricError, match=r"cannot be started: .*no-such-program-here.*attempt 1 of 6, the rest would"):
        metric(SCORES, TARGETS)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "rate --name 'a b' {file}",
            r"list of arguments and no shell reads it.*write \['rate', '--name', 'a b', '{file}'",
        ),
        ("rate 'a", "its quotes do not match"),
        ([], "a list of the program and its arguments, got \\[\\]"),
        (b"rate", "a list of the program and its arguments, got b'rate'"),
        ({"rate"}, "a list of the program and its arguments"),
        (["rate", 5], "strings without NUL, got 5"),
        (["rate", "a\0b"], "strings without NUL"),
        (["{file}"], "first argument of a command is the program, got '{file}'"),
        ([""], "first argument of a command is the program, got ''"),
    ],
)
def test_commands_that_cannot_work(command: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_command(command, name="mine", higher_is_better=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be a positive"),
        ({"retries": -1}, "retries must be an integer of at least 0"),
        ({"reads": "model"}, "'mine' is sent arrays and cannot read the model"),
        ({"reads": "logits"}, "reads must be one of"),
        ({"folder": "/no/such/folder"}, "folder must be an existing folder.*'/no/such/folder'"),
        ({"environment": ["A=b"]}, "environment must be a mapping of names to strings, got a list"),
        ({"environment": {"A=": "b"}}, "needs a name without '=' and NUL, got 'A='"),
        ({"environment": {"A": 1}}, "variable 'A' must be a string"),
        ({"bounds": (1, 0)}, "low < high"),
        ({"higher_is_better": None}, "must be True or False"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_command(["rate"], **{"name": "mine", "higher_is_better": True, **options})


@pytest.mark.parametrize(("scores", "kind"), [([{"box": 1}], "a list"), (np.array(["a"]), "an array of <U1")])
def test_only_numbers_are_sent(program: Make, scores: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"its scores are {kind}; convert them"):
        program("print(1)")(scores, TARGETS)


def test_a_path_object_may_be_the_program_and_paths_come_out_as_text(tmp_path: Path) -> None:
    assert from_command([tmp_path / "rate"], name="m", higher_is_better=True).fn.command == (str(tmp_path / "rate"),)


def test_a_metric_travels_to_a_worker(program: Make) -> None:
    metric = program("print(0.5)", environment={"A": "b"}, timeout=1000.0)
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert twin == metric and hash(twin) == hash(metric)
        assert twin(SCORES, TARGETS) == 0.5
    assert repr(metric.fn).startswith("Command(command=('") and "retries=0" in repr(metric.fn)
