"""A torch problem that a function of the user builds: `module:function` or `path/to/file.py:function`."""

from __future__ import annotations

import difflib
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._errors import ConfigError, MetricOptError

_SPEC = re.compile(r"(?P<where>.+):(?P<name>[A-Za-z_]\w*)")
_NEEDED = ("model", "train", "val")
#: Parameters of `metricopt.optimize` that the program sets itself.
_OURS = {"run", "watch", "quiet"}


def names_a_function(data: str) -> bool:
    """Whether an argument names a function, not a file.

    >>> names_a_function("problems/digits.py:build"), names_a_function("pack.problem:build"), names_a_function("a.csv")
    (True, True, False)
    """
    found = _SPEC.fullmatch(data)
    if found is None or Path(data).exists():
        return False
    where = found["where"]
    return where.endswith(".py") or all(part.isidentifier() for part in where.split("."))


def build_problem(spec: str, *, of: Callable[..., Any] | None = None) -> dict[str, Any]:
    """Call the function and check what it returns: arguments of `metricopt.optimize` by name.

    Args:
        spec: the function.
        of: another job whose arguments may be among them too.

    Raises:
        ConfigError: no such function, it fails, or it returns something else; one line says what.
    """
    from ..metrics.external.named_object import object_from_file, object_from_module

    where, _, name = spec.rpartition(":")
    build = object_from_file(where, name) if where.endswith(".py") else object_from_module(where, name)
    if not callable(build):
        raise ConfigError(f"{name!r} in {where} is a {type(build).__name__}; name a function that builds the problem")
    needed = _needed_arguments(build)
    if needed:
        raise ConfigError(
            f"{spec} asks for {', '.join(needed)}, but the function must take no arguments; give each a default"
        )
    try:
        problem = build()
    except MetricOptError:
        raise
    except Exception as error:  # a user's function may raise anything, and it is told in one line
        last = traceback.extract_tb(error.__traceback__)[-1]
        told = " ".join(str(error).split())
        raise ConfigError(
            f"{spec} failed: {type(error).__name__}: {told} ({Path(last.filename).name}:{last.lineno}); "
            "metricopt --debug shows the traceback"
        ) from error
    return _checked(problem, spec, of)


def _needed_arguments(build: Callable[..., Any]) -> list[str]:
    """The parameters without a default; none where Python cannot tell, as for some functions written in C."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in several]


def _checked(problem: Any, spec: str, of: Callable[..., Any] | None) -> dict[str, Any]:
    from ..job import optimize

    jobs = (optimize,) if of is None else (optimize, of)
    names = dict.fromkeys(name for job in jobs for name in inspect.signature(job).parameters)
    known = [name for name in names if name not in _OURS]
    if not isinstance(problem, Mapping):
        raise ConfigError(
            f"{spec} must return a mapping such as dict(model=..., train=..., val=..., loss=...), not "
            f"{type(problem).__name__}"
        )
    missing = [name for name in _NEEDED if name not in problem]
    if missing:
        raise ConfigError(
            f"what {spec} returns lacks {', '.join(missing)}; it needs model, train and val, and may have "
            f"{', '.join(name for name in known if name not in _NEEDED)}"
        )
    for name in problem:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it may have {', '.join(known)}"
            raise ConfigError(f"what {spec} returns has an unknown {name!r}; {hint}")
    return dict(problem)
