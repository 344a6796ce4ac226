"""Dataclasses to JSON and back, by their type hints: whatever does not fit exactly is refused by name."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .._errors import CheckpointError, ConfigError

T = TypeVar("T")

#: Metadata of a field that came later: files from before have no such name, and get its default.
MAY_LACK: Mapping[str, Any] = types.MappingProxyType({"may_lack": True})

#: A text longer than this is not a report: the largest one that fits all limits is a few megabytes.
MAX_TEXT = 64 * 1024 * 1024


def to_json(value: Any) -> str:
    """The fields of a dataclass as one line of JSON that only has ASCII characters.

    >>> from metricopt.report.report_data import Point
    >>> to_json(Point(0.5, -1.0, 0.25))
    '{"x": 0.5, "y": -1.0, "value": 0.25}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def from_json(text: str, kind: type[T], *, what: str) -> T:
    """An object of the dataclass `kind` from what `to_json` made.

    Raises: CheckpointError, naming the field, where the text is anything else: not JSON, NaN, a wrong type,
        a missing, unknown or repeated name, or values that `kind` itself refuses.

    >>> from metricopt.report.report_data import Point
    >>> from_json('{"x": 0.5, "y": -1.0, "value": 0.25}', Point, what="point")
    Point(x=0.5, y=-1.0, value=0.25)
    >>> from_json('{"x": 0.5, "y": -1.0, "value": "high"}', Point, what="point")
    Traceback (most recent call last):
    ...
    metricopt._errors.CheckpointError: not a readable point: value should be a number, got text. ...
    """
    if not isinstance(text, str):
        raise CheckpointError(f"not a readable {what}: it should be text, got {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise CheckpointError(f"not a readable {what}: {len(text):,} characters are more than any {what} has.")
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_distinct)
        value: T = _read(kind, found, "")
    except RecursionError as error:
        raise CheckpointError(f"not a readable {what}: it is nested too deeply. {_ADVICE}") from error
    except ValueError as error:  # what JSON refuses, what _read refuses, and what the class refuses
        raise CheckpointError(f"not a readable {what}: {str(error).rstrip('.')}. {_ADVICE}") from error
    return value


_ADVICE = "Write it anew from the run, or restore the file."


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, and every number must be finite")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} stands twice in one object")
    return found


def _read(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; `where` names it in the message of a ValueError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _read(inner, value, where)
    if is_dataclass(hint):
        return _read_fields(hint, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin is Mapping:
        entries = _expect(dict, value, where, "an object").items()
        return {name: _read(arguments[1], entry, f"{where}[{name[:80]!r}]") for name, entry in entries}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):  # JSON has one kind of number
        return _read_float(value, where)
    return _expect(hint, value, where, _WORDS[hint])


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def _expect(kind: Any, value: Any, where: str, word: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        got = {str: "text", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
        raise ValueError(f"{where or 'it'} should be {word}, got {got.get(type(value), 'a number')}")
    return value


def _read_float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{where} is too large for a number") from error


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    found = _expect(list, value, where, "a list")
    if arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], entry, f"{where}[{at}]") for at, entry in enumerate(found))
    if len(found) != len(arguments):
        raise ValueError(f"{where} should have {len(arguments)} entries, got {len(found)}")
    pairs = zip(arguments, found, strict=True)
    return tuple(_read(argument, entry, f"{where}[{at}]") for at, (argument, entry) in enumerate(pairs))


def _plain_name(name: str) -> str:
    return name[:80] if name.isprintable() else repr(name[:80])


def _read_fields(kind: Any, value: Any, where: str) -> Any:
    found = _expect(dict, value, where, "an object")
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind)]
    needed = {each.name for each in fields(kind) if not each.metadata.get("may_lack")}
    missing, surplus = sorted(needed - set(found)), sorted(set(found) - set(names))
    if missing or surplus:
        wrong = [f"lacks {', '.join(missing)}"] if missing else []
        wrong += [f"has the unknown names {', '.join(map(_plain_name, surplus[:5]))}"] if surplus else []
        raise ValueError(f"{where or 'it'} {' and '.join(wrong)}")
    inside = f"{where}." if where else ""
    values = {name: _read(hints[name], found[name], f"{inside}{name}") for name in names if name in found}
    try:
        return kind(**values)
    except ConfigError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from error
