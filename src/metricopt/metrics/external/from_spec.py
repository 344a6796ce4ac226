"""A metric in one word of the command line."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..._errors import ConfigError
from ..._types import Reads
from ..as_metric import as_metric
from ..constrained import Constraint, split_limit
from ..from_function import from_function
from ..library import METRICS, get_metric
from ..metric import Metric
from .command import FILE, from_command, unfilled
from .endpoint import from_url
from .named_object import object_from_file, object_from_module
from .payload import check_sent
from .route import checked_url, without_query

COMMAND = "cmd:"

_WITH_OPTIONS = re.compile(r"(\w+)\((.*)\)")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*(\S+)\s*")
_NAME_LENGTH = 40


def metric_from_spec(
    text: str,
    *,
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
    timeout: float | None = None,
    retries: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Metric:
    """The metric that `text` names. Every error is one line, in the words of the command line.

    | text | becomes |
    |---|---|
    | `f1`, `recall_at_k(k=5)` | the metric of the library, or of an alias, with its options |
    | `neg_log_loss`, `mae` | the scorer of scikit-learn, or the one that a short name stands for |
    | `path/to/file.py:function` | that function; it gets NumPy arrays `(scores, targets)` and returns one number |
    | `package.module:function` | the same from an importable module |
    | `cmd:program argument ...` | `from_command` of the words; quotes group them as in a shell, but none is started |
    | `http://...`, `https://...` | `from_url` |

    The name in a file or module may also be a `Metric` or anything else that `as_metric` knows. A file that is named is
    run, so name only those that you trust.

    Args:
        text: see above.
        higher_is_better: the direction; needed where the metric does not state it: functions, commands and URLs.
        bounds: the range of its values; (0, 1) for functions, commands and URLs if None.
        reads: what it is given: "scores" (for functions, commands and URLs if None), "probabilities" or "labels".
        timeout, retries: of a command or a URL: seconds for one attempt, and attempts after the first one.
        headers: that a URL is asked with.

    Raises:
        ConfigError: the text names nothing, the direction is missing, or something given contradicts the metric.

    >>> metric_from_spec("f1").name, metric_from_spec("recall_at_k(k=5)").name
    ('f1', 'recall_at_k(k=5)')
    >>> metric_from_spec("math:dist", higher_is_better=False, bounds=(0, 9)).name
    'dist'
    """
    given: dict[str, Any] = {"bounds": bounds, "reads": reads}
    given = {key: value for key, value in given.items() if value is not None}
    text = text.strip()
    far = {"timeout": timeout, "retries": retries, "headers": headers or None}
    far = {key: value for key, value in far.items() if value is not None}
    unusable = set(far) - ({"timeout", "retries"} if text.startswith(COMMAND) else set(far) if "://" in text else set())
    if unusable:
        told = ", ".join(
            f"--metric-{name.removesuffix('s') if name == 'headers' else name}" for name in sorted(unusable)
        )
        raise ConfigError(
            f"{told} is for a URL" + (" or a command" if unusable != {"headers"} else "") + f", not for {text!r}"
        )
    given |= far
    if not text:
        raise ConfigError("the name of the metric is empty; `metricopt metrics` lists those there are")
    if text.startswith(COMMAND):
        return _command(text, higher_is_better, given)
    if "://" in text:
        return _url(text, higher_is_better, given)
    if ":" in text or text.endswith(".py"):
        return _function(text, higher_is_better, given)
    thing = _with_options(text) if _WITH_OPTIONS.fullmatch(text) else text
    return _known(thing, higher_is_better, given)


def limit_from_spec(text: str) -> Constraint:
    """The limit that a text like "recall >= 0.9" or "checks.py:complaints <= 20" states, on whatever `metric_from_spec`
    reads.

    >>> str(limit_from_spec("recall_at_k(k=5) >= 0.1"))
    'recall_at_k(k=5) >= 0.1'
    """
    name, at_least, limit = split_limit(text)
    metric = metric_from_spec(name, higher_is_better=direction_of_limit(name, at_least))
    return Constraint(metric=metric, at_least=at_least, limit=limit)


def direction_of_limit(name: str, at_least: bool) -> bool | None:
    """What is told of the direction of a limited metric that does not state it; one from below is on something good."""
    return at_least if ":" in name else None


def _command(text: str, higher_is_better: bool | None, given: dict[str, Any]) -> Metric:
    try:
        words = shlex.split(text.removeprefix(COMMAND))
    except ValueError as error:
        raise ConfigError(f"{text!r} cannot be split into words: {error}; close its quotes") from None
    if not words:
        raise ConfigError(f"{text!r} names no program; write cmd:program, then its arguments")
    if shutil.which(words[0]) is None:
        raise ConfigError(
            f"no program {words[0]!r} that can be run, as {text!r} asks for; give its path, or see that its file is "
            "executable"
        )
    for word in unfilled(words):
        raise ConfigError(
            f"{FILE} in {word!r} of {text!r} would stay as it is: it stands for the path of the NumPy file only where "
            f"it is a word of its own or follows '='; write {FILE} or --data={FILE}"
        )
    name = " ".join(words)
    shown = name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 3] + "..."
    check_sent(shown, given.get("reads", "scores"))
    return from_command(words, name=shown, higher_is_better=_direction(text, higher_is_better), **given)


def _url(text: str, higher_is_better: bool | None, given: dict[str, Any]) -> Metric:
    checked_url(text)
    shown = without_query(text)
    check_sent(shown, given.get("reads", "scores"))
    parts = urlsplit(shown.removesuffix("?..."))
    name = parts.netloc + parts.path.rstrip("/")
    return from_url(text, name=name, higher_is_better=_direction(shown, higher_is_better), **given)


def _function(text: str, higher_is_better: bool | None, given: dict[str, Any]) -> Metric:
    """A function of NumPy arrays, or what else `as_metric` takes, from a file or a module."""
    where, _, name = text.rpartition(":")
    in_file = where.endswith(".py") or "/" in where
    if text.endswith(".py"):
        raise ConfigError(f"{text!r} names a file but no function in it; write {text}:function")
    if not where or not name.isidentifier() or not (in_file or all(p.isidentifier() for p in where.split("."))):
        raise ConfigError(
            f"{text!r} is not a metric; write path/to/file.py:function, package.module:function, cmd:program, "
            "a http(s) URL, or a name from `metricopt metrics`"
        )
    found = object_from_file(where, name) if in_file else object_from_module(where, name)
    if not callable(found):
        raise ConfigError(f"{name!r} in {where} is a {type(found).__name__} and cannot be called; name a function")
    metric = _known(found, higher_is_better, given)
    if metric.fn is not found:
        return metric
    return from_function(found, higher_is_better=metric.higher_is_better, arrays="numpy", **given)


def _known(thing: Any, higher_is_better: bool | None, given: dict[str, Any]) -> Metric:
    try:
        return as_metric(thing, higher_is_better=higher_is_better, **given)
    except ConfigError as error:
        raise ConfigError(in_options(str(error))) from error.__cause__


def in_options(text: str) -> str:
    """What an error says to do in Python, in the words of the command line.

    >>> in_options("pass higher_is_better=True, and bounds=(low, high)")
    'pass --maximize, and --bounds LOW HIGH'
    """
    text = text.replace("higher_is_better=True", "--maximize").replace("higher_is_better=False", "--minimize")
    return text.replace("bounds=(low, high)", "--bounds LOW HIGH")


def _with_options(text: str) -> Metric:
    """`f_beta(beta=2)`, as metrics with options are called in tables."""
    match = _WITH_OPTIONS.fullmatch(text)
    assert match is not None
    name, inside = match.groups()
    if name not in METRICS:
        close = METRICS.close_to(name)
        raise ConfigError(
            f"no metric named {name!r} that takes options" + (f"; did you mean {close!r}?" if close else "")
        )
    options: dict[str, float] = {}
    for part in inside.split(",") if inside.strip() else []:
        option = _OPTION.fullmatch(part)
        try:
            if option is None:
                raise ValueError
            options[option[1]] = _number(option[2])
        except ValueError:
            raise ConfigError(
                f"the options in {text!r} must look like name=number, got {part.strip()!r}; try recall_at_k(k=5)"
            ) from None
    return get_metric(name, **options)


def _number(text: str) -> float:
    return int(text) if re.fullmatch("[+-]?[0-9]+", text) else float(text)


def _direction(shown: str, higher_is_better: bool | None) -> bool:
    if higher_is_better is None:
        raise ConfigError(f"metric {shown!r} does not state its direction; pass --maximize or --minimize")
    return higher_is_better
