"""Small checks of arguments that several layers share. Each returns its value or raises ConfigError."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ._errors import ConfigError


def positive(name: str, value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ConfigError(f"{name} must be a positive finite number, got {value!r}")
    return value


def not_negative(name: str, value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{name} must be a finite number of at least 0, got {value!r}")
    return value


def below_one(name: str, value: float) -> float:
    """A number in [0, 1), for example a momentum."""
    if not 0.0 <= value < 1.0:
        raise ConfigError(f"{name} must be at least 0 and below 1, got {value!r}")
    return value


def at_least(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least}, got {value!r}")
    return value


def fraction(name: str, value: float) -> float:
    """A number in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} must lie in [0, 1], got {value!r}")
    return value


def finite_only(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers: what cannot be compared cannot be saved, and says nothing.

    >>> finite_only({"a": 1.5, "b": math.inf, "c": math.nan})
    {'a': 1.5}
    """
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value
