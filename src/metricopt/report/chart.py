"""Axes and the picture that they belong to: numbers in, places on the page out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from .svg import elided, group, tag
from .ticks import log_ticks, nice_ticks, tick_labels

_LETTER = 7.0


@dataclass(frozen=True)
class Axis:
    """Numbers from `low` to `high` on the page from `start` to `end`, with ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    @staticmethod
    def over(
        values: Iterable[float],
        start: float,
        end: float,
        *,
        about: int = 5,
        pad: float = 0.05,
        whole: bool = False,
        log: bool = False,
        signed: bool = False,
        within: tuple[float, float] | None = None,
    ) -> Axis:
        """An axis that shows all `values` with some air around them, but nothing outside `within`.

        >>> axis = Axis.over([0.0, 10.0], 0, 100, pad=0.0)
        >>> axis.ticks, axis.at(5.0)
        ((0.0, 2.0, 4.0, 6.0, 8.0, 10.0), 50.0)
        """
        found = list(values)
        low, high = _padded(min(found), max(found), pad, log)
        if within is not None and within[0] < high and within[1] > low:
            low, high = max(low, within[0]), min(high, within[1])
        ticks = log_ticks(low, high) if log else nice_ticks(low, high, about, whole=whole)
        labels = tick_labels(ticks, signed=signed) if not log else [tick_labels([tick])[0] for tick in ticks]
        return Axis(low, high, start, end, tuple(ticks), tuple(labels), log)

    def at(self, value: float) -> float:
        """The place of `value`; a logarithmic axis puts what is not above `low` at its start."""
        if self.log:
            share = (math.log(max(value, self.low)) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        # far outside is as good as outside, and keeps the numbers short
        return self.start + min(max(share, -2.0), 3.0) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def _padded(low: float, high: float, pad: float, log: bool) -> tuple[float, float]:
    if high - low <= 1e-9 * max(abs(low), abs(high)) or high - low < 1e-90:
        room = max(0.05 * abs(high), 1e-3)
        return (high / 1.5, high * 1.5) if log else (low - room, high + room)
    if log:
        factor = (high / low) ** pad
        return low / factor, high * factor
    return low - pad * (high - low), high + pad * (high - low)


@final
class Chart:
    """One picture of a given size; parts are drawn in the order in which they are added.

    Args:
        key: unique on the page: the names inside the picture start with it.
        width, height: in units that are CSS pixels where the picture has its natural size.
    """

    def __init__(self, key: str, width: float, height: float) -> None:
        self.key, self.width, self.height = f"{key}-{width:.0f}", width, height
        self._parts: list[Markup] = []
        self._clips = 0

    def add(self, *parts: Markup) -> None:
        self._parts.extend(parts)

    @property
    def parts(self) -> Markup:
        """Everything that was added, to be put into another picture."""
        return Markup("").join(self._parts)

    def text(self, x: float, y: float, words: str, class_: str = "tick", anchor: str = "start", **more: str) -> None:
        self.add(tag("text", words, class_=class_, x=x, y=y, text_anchor=anchor, **more))

    @staticmethod
    def fitted(words: str, room: float) -> str:
        """Words cut to what fits into `room` at the size of an axis title, in most fonts."""
        return elided(words, int(room / _LETTER))

    def horizontal(self, axis: Axis, y: float, title: str = "", grid_to: float | None = None) -> None:
        """An axis below the picture: line, ticks, their labels, and the title under them."""
        if grid_to is not None:
            lines = "".join(f"M{axis.at(tick):.1f} {y}V{grid_to}" for tick in axis.ticks)
            self.add(tag("path", class_="grid", d=lines))
        self.add(tag("path", class_="axis", d=f"M{axis.start} {y}H{axis.end}"))
        for tick, label in zip(axis.ticks, axis.labels, strict=True):
            self.text(axis.at(tick), y + 18, label, "tick", "middle")
        if title:
            self.text((axis.start + axis.end) / 2, y + 38, self.fitted(title, axis.end - axis.start), "name", "middle")

    def vertical(self, axis: Axis, x: float, right: float, title: str = "") -> None:
        """An axis on the left with a grid to `right`; the title lies above it, where it can be read."""
        self.add(tag("path", class_="grid", d="".join(f"M{x} {axis.at(tick):.1f}H{right}" for tick in axis.ticks)))
        for tick, label in zip(axis.ticks, axis.labels, strict=True):
            self.text(x - 8, axis.at(tick) + 4, label, "tick", "end")
        if title:
            self.text(0, axis.end - 12, self.fitted(title, self.width), "name")

    def clipped(self, parts: Iterable[Markup], x: Axis, y: Axis, **attributes: str) -> Markup:
        """Parts of which only what lies within both axes is seen."""
        self._clips += 1
        name = f"{self.key}-clip{self._clips}"
        left, top = min(x.start, x.end), min(y.start, y.end)
        box = tag("rect", x=left, y=top, width=abs(x.end - x.start), height=abs(y.end - y.start))
        return Markup("").join([tag("clipPath", box, id=name), group(parts, **attributes, clip_path=f"url(#{name})")])

    def svg(self, label: str) -> Markup:
        """The picture; `label` is what a screen reader says."""
        return tag(
            "svg",
            *self._parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {self.width:.0f} {self.height:.0f}",
            width=self.width,
            height=self.height,
            role="img",
            aria_label=label,
        )
