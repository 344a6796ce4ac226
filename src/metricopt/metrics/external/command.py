"""A metric that a command computes: it reads a NumPy file and prints one number."""

from __future__ import annotations

import math
import os
import re
import shlex
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from ..._checks import at_least, positive
from ..._errors import ConfigError
from ..._types import Reads
from ..metric import Metric
from .attempts import AttemptFailed, in_attempts
from .child_process import Ended, run_child
from .payload import Arrays, check_sent, to_arrays, write_npz

#: Where the path of the file goes among the arguments.
FILE = "{file}"

_TODO = "it must end with status 0, and its last line must be one finite number"
_SHOWN = 300
# Not whatever float() takes: that would be 1_0, and digits of other scripts. Each part is matched in one way only, so
# that a long line of digits costs linear time.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf(?:inity)?)", re.IGNORECASE | re.ASCII
)
_LINE_END = re.compile(r"[\r\n]+")


@final
@dataclass(frozen=True, kw_only=True)
class Command:
    """Asks a command, see `from_command`. The values of `environment` may be secret and are never shown."""

    command: Sequence[str]
    timeout: float = 60.0
    retries: int = 2
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    folder: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", _checked_command(self.command))
        object.__setattr__(self, "environment", _checked_environment(self.environment))
        positive("timeout", self.timeout)
        at_least("retries", self.retries, 0)
        if self.folder is not None:
            object.__setattr__(self, "folder", Path(self.folder).expanduser().absolute())
            if not Path(self.folder).is_dir():
                raise ConfigError(f"folder must be an existing folder to run the command in, got {str(self.folder)!r}")

    def __call__(self, scores: Any, targets: Any) -> float:
        """The number that the command prints for these scores and targets; raises MetricError if it prints none."""
        arrays = to_arrays(scores, targets)
        return in_attempts(lambda: self._once(arrays), asked=self._shown, retries=self.retries)

    @property
    def _shown(self) -> str:
        text = repr(list(self.command))
        told = f" ({FILE} stands for the path of the NumPy file)" if any(map(_takes_path, self.command)) else ""
        return f"command {text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}{told}"

    def _once(self, arrays: Arrays) -> float:
        # A file of its own for each attempt: one that died half-way may have changed what it was given.
        with tempfile.TemporaryDirectory(prefix="metricopt-") as private:
            path = Path(private) / "examples.npz"
            write_npz(path, arrays)
            try:
                ended = run_child(
                    with_file(self.command, str(path)),
                    timeout=self.timeout,
                    environment={**os.environ, **self.environment},
                    folder=self.folder,
                )
            except OSError as error:
                todo = "give a program that exists and may be run, with its path if it is not on the PATH"
                raise AttemptFailed(f"cannot be started: {error}", todo=todo, again=False) from error
        return self._number(ended)

    def _number(self, ended: Ended) -> float:
        said = {"stdout": ended.out.text, "stderr": ended.err.text}
        if not ended.in_time:
            why = f"was not done after {self.timeout:g} s and was killed"
            if ended.status is None:
                why = f"was not done after {self.timeout:g} s and could not be killed (process {ended.pid} still runs)"
            todo = "make it faster, or give it more time with timeout="
            raise AttemptFailed(why, todo=todo, again=True, said=said)
        if ended.status:
            raise AttemptFailed(_ending(ended.status), todo=_TODO, again=True, said=said)
        number = printed_number(ended.out.text, cut=ended.out.cut)
        if number is None:
            raise AttemptFailed("ended with status 0 but printed no number", todo=_TODO, again=True, said=said)
        if not math.isfinite(number):  # an answer, and the next one would be the same
            why = f"ended with status 0 and printed {number}, which cannot be compared"
            raise AttemptFailed(why, todo=_TODO, again=False, said=said)
        return number


def from_command(
    command: Sequence[str],
    *,
    name: str,
    higher_is_better: bool,
    bounds: tuple[float, float] = (0.0, 1.0),
    reads: Reads = "scores",
    timeout: float = 60.0,
    retries: int = 2,
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Metric:
    r"""A metric that a command computes. It is run directly, never by a shell.

    The command gets the path of a NumPy file, which it can open by `numpy.load(path)`: `scores` is what `reads` says,
    `targets` is what they are rated against, for binary problems flat, `(N,)`. It must print one number as its last
    line and end with status 0; what it prints before that line does not matter. The file lies in a private temporary
    folder that is gone when the command has ended, and so is whatever it left running in its process group.

    A time-out, a status other than 0 and a missing number may pass, so the command is run again, at most `retries`
    times. A program that cannot be started and a printed nan or inf fail at once. However many attempts it takes, it
    is one metric call; it lasts at most `(1 + retries) * timeout` seconds.

    Args:
        command: the program and its arguments, for example `["python", "rate.py", "--data={file}"]`. The path
            replaces `{file}` where an argument is that, or ends in `={file}`; without one it is the last argument.
        name: for tables and messages.
        higher_is_better: its direction; there is no default.
        bounds: the finite range of its numbers.
        reads: "scores", "probabilities" or "labels".
        timeout: seconds for one attempt; then the command and all its children are killed.
        retries: attempts after the first one.
        environment: variables for the command, added to those of this process. Their values are never shown.
        folder: the working folder of the command; that of this process if None.

    Raises:
        ConfigError: an argument cannot work; a string as `command`, for one.
        MetricError: (when called) no attempt gave a number. The message has the command, how it ended, the number of
            attempts and the last lines of what it said.

    >>> import sys, torch
    >>> code = "import sys, numpy; d = numpy.load(sys.argv[1]); print((d['scores'] != d['targets']).mean())"
    >>> wrong = from_command([sys.executable, "-c", code], name="wrong", higher_is_better=False, reads="labels")
    >>> wrong(torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0]))
    0.25
    """
    check_sent(name, reads)
    asked = Command(
        command=command,
        timeout=timeout,
        retries=retries,
        environment={} if environment is None else environment,
        folder=None if folder is None else Path(folder),
    )
    return Metric(asked, name=name, higher_is_better=higher_is_better, bounds=bounds, reads=reads)


def with_file(command: Sequence[str], path: str) -> list[str]:
    """The arguments with the path in its place.

    >>> with_file(["rate", "--data={file}", "{file}"], "/tmp/a.npz"), with_file(["rate"], "/tmp/a.npz")
    (['rate', '--data=/tmp/a.npz', '/tmp/a.npz'], ['rate', '/tmp/a.npz'])
    """
    placed = [a.removesuffix(FILE) + path if _takes_path(a) else a for a in command]
    return placed if any(map(_takes_path, command)) else [*placed, path]


def unfilled(command: Sequence[str]) -> list[str]:
    """The arguments that hold a `{file}` which no path replaces.

    >>> unfilled(["rate", "{file}", "--data={file}", "--data:{file}"])
    ['--data:{file}']
    """
    return [a for a in command if FILE in a and not _takes_path(a)]


def _takes_path(argument: str) -> bool:
    return argument == FILE or argument.endswith("=" + FILE)


def _checked_command(command: object) -> tuple[str, ...]:
    if isinstance(command, str):
        try:
            split = f"write {shlex.split(command)!r}"
        except ValueError as error:
            split = f"its quotes do not match ({error})"
        raise ConfigError(f"a command is a list of arguments and no shell reads it, got the text {command!r}; {split}")
    if not isinstance(command, Sequence) or isinstance(command, bytes) or not command:
        raise ConfigError(f"a command is a list of the program and its arguments, got {command!r}")
    parts = tuple(os.fspath(part) if isinstance(part, os.PathLike) else part for part in command)
    for part in parts:
        if not isinstance(part, str) or "\0" in part:
            raise ConfigError(f"the arguments of a command are strings without NUL, got {part!r} in {list(parts)!r}")
    if parts[0] in ("", FILE):
        raise ConfigError(f"the first argument of a command is the program, got {parts[0]!r} in {list(parts)!r}")
    return parts


def _checked_environment(environment: object) -> dict[str, str]:
    if not isinstance(environment, Mapping):
        raise ConfigError(f"environment must be a mapping of names to strings, got a {type(environment).__name__}")
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ConfigError(f"an environment variable needs a name without '=' and NUL, got {name!r}")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigError(f"environment variable {name!r} must be a string without NUL; convert it with str()")
    return dict(environment)


def _ending(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by signal {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal has no name
        return f"was ended by signal {-status}"


def printed_number(text: str, *, cut: bool = False) -> float | None:
    r"""The number that is the last line of `text`; blank lines after it do not count.

    What stands in the lines before is not looked at. A carriage return ends a line too, as progress bars want it.
    "nan" and "inf" are numbers here: whoever asked decides what they are worth.

    Args:
        text: what was printed, or the end of it.
        cut: whether the beginning of `text` was lost; its first line is then not a whole one.

    Returns:
        None where the last line is anything else than one number.

    >>> printed_number("reading 4 rows\nF1:\n0.25\n\n")
    0.25
    >>> printed_number("F1: 0.25") is None, printed_number("0,25") is None, printed_number("") is None
    (True, True, True)
    """
    lines = _LINE_END.split(text)
    if cut:
        lines = lines[1:]
    filled = [line.strip() for line in lines if line.strip()]
    return float(filled[-1]) if filled and _NUMBER.fullmatch(filled[-1]) else None
