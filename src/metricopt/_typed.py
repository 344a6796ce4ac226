"""Frozen dataclasses of plain values: checked by their type hints when they are made, written as JSON and read back."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ._errors import CheckpointError, ConfigError
from ._shown import listed, shown

T = TypeVar("T")

#: Metadata of a field that came later: files from before have no such name, and get its default.
MAY_LACK: Mapping[str, Any] = types.MappingProxyType({"may_lack": True})
#: Longest text of one field.
MAX_TEXT = 10_000
#: Largest whole number that a float, and so JavaScript, holds exactly.
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class Least:
    """In a hint, `Annotated[float, Least(0)]`: no less than this."""

    value: float

    def check(self, value: Any, name: str) -> None:
        if value < self.value:
            whole = "a whole number of " if isinstance(value, int) else ""
            raise ConfigError(f"{name} must be {whole}at least {self.value}, got {shown(value)}")


@dataclass(frozen=True)
class Size:
    """In a hint: between minus and plus this."""

    value: float

    def check(self, value: Any, name: str) -> None:
        if abs(value) > self.value:
            raise ConfigError(
                f"{name} must be a finite number of size at most {self.value:g}, got {shown(value)}; "
                "leave out what is not defined"
            )


@dataclass(frozen=True)
class Most:
    """In a hint, `Annotated[tuple[str, ...], Most(100)]`: no more entries than this."""

    entries: int

    def check(self, value: Any, name: str) -> None:
        if len(value) > self.entries:
            raise ConfigError(f"{name} must hold at most {self.entries:,} entries, got {len(value):,}; leave some out")


#: Differences and sums of numbers up to this size never overflow.
MAX_SIZE = 1e100
Number = Annotated[float, Size(MAX_SIZE)]
#: A whole number of at least 0.
Count = Annotated[int, Least(0)]
#: A time, a spread.
NotNegative = Annotated[Number, Least(0)]


class Typed:
    """Base of frozen dataclasses: each field is turned into plain values as its hint says, or refused by its name.

    Sequences become tuples, NumPy's numbers those of Python; every number is finite, every text of a sane length. What
    a hint cannot say, a subclass checks in `__post_init__` behind `super().__post_init__()`. `Any` takes everything.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class Layer(Typed):
    ...     width: Count
    ...     names: tuple[str, ...] = ()
    >>> Layer(width=3, names=["a"])
    Layer(width=3, names=('a',))
    >>> from_json(Layer, to_json(Layer(width=3)), "layer")
    Layer(width=3, names=())
    >>> from_json(Layer, '{"width": "3", "names": []}', "layer")
    Traceback (most recent call last):
    ...
    metricopt._errors.CheckpointError: not a readable layer: width must be a whole number, got '3'. ...
    """

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():  # type: ignore[arg-type]
            object.__setattr__(self, name, as_hinted(hint, getattr(self, name), name))


def to_plain(value: Any) -> Any:
    """A dataclass as what JSON can hold."""
    if is_dataclass(value):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(entry) for name, entry in value.items()}
    return [to_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def to_json(value: Any) -> str:
    """A dataclass as one line of JSON that only has ASCII characters."""
    return json.dumps(to_plain(value), allow_nan=False)


def from_plain(kind: type[T], value: Any, what: str) -> T:
    """The dataclass `kind` from what `to_plain` made.

    Raises: CheckpointError, naming the field, where it is anything else: a wrong type, a missing or an unknown name, or
        values that `kind` itself refuses.
    """
    try:
        found: T = as_hinted(kind, value, "it")
    except ConfigError as error:
        raise CheckpointError(_unreadable(what, error)) from error
    return found


def from_json(kind: type[T], text: str, what: str) -> T:
    """The same from what `to_json` made; NaN and a name that stands twice are refused, too."""
    if not isinstance(text, str):
        raise CheckpointError(f"not a readable {what}: it must be text, got {type(text).__name__}.")
    try:
        value = loads(text)
    except ValueError as error:
        raise CheckpointError(_unreadable(what, error)) from error
    return from_plain(kind, value, what)


def loads(text: bytes | str) -> Any:
    """JSON without NaN, and without a name that stands twice in one object. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def as_hinted(hint: Any, value: Any, name: str) -> Any:
    """`value` as a hint says: text, numbers, truth values, literals, tuples, mappings, dataclasses (also from a mapping
    of their fields), each of them or None. Raises ConfigError naming `name`."""
    if hint is Any:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = as_hinted(arguments[0], value, name)
        for limit in arguments[1:]:
            limit.check(found, name)
        return found
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return as_hinted(_meant([one for one in arguments if one is not type(None)], value, name), value, name)
    if origin is Literal:
        return _one_of(arguments, value, name)
    if origin is tuple:
        return _entries(arguments, value, name)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} must be a mapping, got {shown(value)}")
        return {
            _text(key, f"a name in {name}"): as_hinted(arguments[1], entry, f"{name}[{str(key)[:80]!r}]")
            for key, entry in value.items()
        }
    return _LEAVES[hint](value, name) if hint in _LEAVES else _object(hint, value, name)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in fields(kind)}


def _unreadable(what: str, error: Exception) -> str:
    return f"not a readable {what}: {str(error).rstrip('.')}. Write it anew from the run, or restore the file."


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, and every number must be finite")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} stands twice in one object")
    return found


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        got = f"{len(value):,} characters" if isinstance(value, str) else shown(value)
        raise ConfigError(f"{name} must be a string of at most {MAX_TEXT:,} characters, got {got}")
    return str(value)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {shown(value)}")
    return value


def _number(value: Any, name: str) -> float:
    """A NumPy number counts, a truth value or a tensor does not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{name} must be a plain number, got {shown(value)}; turn tensors into numbers with .item()")
    try:
        plain = float(value)
    except OverflowError:
        plain = math.inf
    if not math.isfinite(plain):
        raise ConfigError(f"{name} must be a finite number, got {shown(value)}; leave out what is not defined")
    return plain


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or abs(int(value)) > _MAX_COUNT:
        raise ConfigError(f"{name} must be a whole number, got {shown(value)}")
    return int(value)


_LEAVES: dict[Any, Any] = {str: _text, bool: _flag, float: _number, int: _whole}


def _one_of(choices: tuple[Any, ...], value: Any, name: str) -> Any:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise ConfigError(f"{name} must be one of {', '.join(map(str, choices))}; got {shown(value)}")
    return value


def _entries(hints: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    """Text is not a sequence here."""
    array = getattr(value, "ndim", 0) > 0
    if isinstance(value, str | bytes | Mapping) or not (isinstance(value, Sequence) or array):
        raise ConfigError(f"{name} must be a sequence, got {shown(value)}; pass a tuple or a list")
    if hints[-1] is Ellipsis:
        return tuple(as_hinted(hints[0], entry, f"{name}[{at}]") for at, entry in enumerate(value))
    if len(value) != len(hints):
        raise ConfigError(f"{name} must have {len(hints)} entries, got {len(value)}")
    pairs = zip(hints, value, strict=True)
    return tuple(as_hinted(hint, entry, f"{name}[{at}]") for at, (hint, entry) in enumerate(pairs))


def _meant(kinds: list[Any], value: Any, name: str) -> Any:
    """Of several hints the one that `value` is, or of dataclasses has the names of."""
    if len(kinds) == 1:
        return kinds[0]
    for kind in kinds:
        of_fields = (
            isinstance(value, Mapping) and is_dataclass(kind) and set(value) == {one.name for one in fields(kind)}
        )
        if of_fields or isinstance(value, kind):
            return kind
    raise ConfigError(f"{name} must be one of {', '.join(kind.__name__ for kind in kinds)}; got {shown(value)}")


def _object(kind: Any, value: Any, name: str) -> Any:
    """A dataclass as it is, or made of a mapping of its fields."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a {kind.__name__}, got {shown(value)}")
    needed = {each.name for each in fields(kind) if not each.metadata.get("may_lack")}
    missing, surplus = sorted(needed - set(value)), sorted(set(map(str, value)) - set(_hints(kind)))
    if missing or surplus:
        wrong = [f"lacks {', '.join(missing)}"] if missing else []
        wrong += [f"has the unknown names {listed(surplus)}"] if surplus else []
        raise ConfigError(f"{name} {' and '.join(wrong)}")
    try:
        if not issubclass(kind, Typed):
            value = {each: as_hinted(hint, value[each], each) for each, hint in _hints(kind).items() if each in value}
        return kind(**value)
    except ConfigError as error:
        raise ConfigError(str(error) if name == "it" else f"{name}: {error}") from error
