"""Where the ticks of an axis stand, and how numbers are written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def nice_ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """About so many round numbers in [low, high]: multiples of 1, 2, 2.5 or 5 times a power of ten.

    Args:
        low, high: the range, low < high.
        about: how many ticks are wanted.
        whole: whether only whole numbers make sense.

    >>> nice_ticks(0.612, 0.694), nice_ticks(0, 9, whole=True)
    ([0.62, 0.64, 0.66, 0.68], [0.0, 2.0, 4.0, 6.0, 8.0])
    """
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    steps = [factor * power for factor in (1, 2, 2.5, 5, 10)]
    step = min(steps, key=lambda step: abs(math.log(step / raw)))
    if whole:
        step = max(1.0, float(round(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_tidy(at * step, step) for at in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers in [low, high] for a logarithmic axis, low > 0.

    >>> log_ticks(0.02, 7), log_ticks(1e-6, 1e6)
    ([0.1, 1.0], [1e-06, 0.0001, 0.01, 1.0, 100.0, 10000.0, 1000000.0])
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first) / 6))
    powers = [10.0**power for power in range(first, last + 1, stride)]
    return powers if len(powers) > 1 else nice_ticks(low, high, 4)


def tick_labels(ticks: Sequence[float], *, signed: bool = False) -> list[str]:
    """One text for each tick, all with as many decimals as the finest of them needs.

    >>> tick_labels([-0.5, 0.0, 0.25]), tick_labels([1000.0, 2000.0]), tick_labels([-0.1, 0.0, 0.1], signed=True)
    (['−0.50', '0', '0.25'], ['1,000', '2,000'], ['−0.1', '0', '+0.1'])
    """
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest >= 1e7 or 0 < largest < 1e-4:
        texts = ["0" if tick == 0 else _scientific(tick) for tick in ticks]
    else:
        decimals = max((_decimals(tick) for tick in ticks), default=0)
        texts = ["0" if tick == 0 else plain(tick, decimals) for tick in ticks]
    return [f"+{text}" if signed and tick > 0 else text for text, tick in zip(texts, ticks, strict=True)]


def plain(value: float, decimals: int, *, signed: bool = False) -> str:
    """A number with thousands separated and a true minus sign.

    >>> plain(-1234.5, 1), plain(0.04, 3, signed=True), plain(-0.0001, 2)
    ('−1,234.5', '+0.040', '0.00')
    """
    if abs(value) >= 1e9:
        return _scientific(value)
    text = f"{abs(value):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def _scientific(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{int(power)}".replace("-", MINUS)


def _decimals(value: float) -> int:
    for decimals in range(10):
        if math.isclose(round(value, decimals), value, rel_tol=1e-9, abs_tol=1e-12):
            return decimals
    return 10


def _tidy(value: float, step: float) -> float:
    return round(value, max(0, 2 - math.floor(math.log10(step)))) + 0.0
