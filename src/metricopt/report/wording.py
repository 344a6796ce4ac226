"""How the numbers of one report_data are said: decimals that fit its precision, and which way is better."""

from __future__ import annotations

import math
from typing import final

from .report_data import ReportData
from .svg import elided
from .ticks import plain

_MOST_DECIMALS = 6
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


@final
class Wording:
    """The words of one report_data.

    >>> from metricopt.report.report_data import ReportData
    >>> report_data = ReportData(title="", metric="cost", higher_is_better=False, bounds=(0, 100), before=20,
    ...     after=18.5, low=0.71, high=2.3, confidence=0.95, accepted=True, reason="", verified=True, calls=10,
    ...     seconds=1)
    >>> words = Wording(report_data)
    >>> words.interval(0.71, 2.3), words.interval(-2.3, -0.71), words.interval(-0.5, 1)
    ('between 0.7 and 2.3 better', 'between 0.7 and 2.3 worse', 'between 0.5 worse and 1.0 better')
    >>> words.value(report_data.before), words.difference(report_data.gain), words.difference(-0.5), words.direction
    ('20.0', '1.5 better', '0.5 worse', 'lower is better')
    """

    def __init__(self, report_data: ReportData) -> None:
        self.metric = elided(report_data.metric, 32) or "metric"
        self.direction = "higher is better" if report_data.higher_is_better else "lower is better"
        self.axis = f"{self.metric} ({self.direction})"
        self.decimals = _decimals(report_data)
        #: Nothing that differs from the model as it was went to the test: there is only one number to show.
        self.unchanged = (
            not report_data.accepted and report_data.gain == 0 and not report_data.low and not report_data.high
        )
        search = report_data.loss_search
        #: What is there where nothing was accepted.
        self.kept = "the original model comes back" if search is None else f"{elided(search.plain, 32)} stays"
        self.before = "before" if search is None else elided(search.plain, 32)
        self.after = "after" if report_data.accepted or self.unchanged else "proposed (refused)"
        self.part = "acceptance part" if report_data.verified else "search part"

        terms = report_data.terms
        #: What stands before and after: of a constrained metric its objective, and whether limits are broken.
        self.shown_before, self.shown_after = self.value(report_data.before), self.value(report_data.after)
        if terms:
            self.shown_before, self.shown_after = (self.value(one) for one in (terms[0].before, terms[0].after))
            if any(one.kept_before is False for one in terms):
                self.before += ", a limit broken"
            if any(one.kept is False for one in terms):
                self.after += ", a limit broken"

    def value(self, raw: float) -> str:
        """A raw value of the metric."""
        return plain(raw, self.decimals)

    def interval(self, low: float, high: float) -> str:
        """An interval of gains: one word for both ends where they lie on the same side."""
        if low * high <= 0:
            return f"between {self.difference(low)} and {self.difference(high)}"
        near, far = sorted((abs(low), abs(high)))
        return f"between {plain(near, self.decimals)} and {self.difference(low if abs(low) == far else high)}"

    def difference(self, gain: float) -> str:
        """A gain in units of the metric, positive = better."""
        size = plain(abs(gain), self.decimals)
        if not size.strip("0.,"):
            return "no change" if gain == 0 else f"less than {_smallest(self.decimals)} {_side(gain)}"
        return f"{size} {_side(gain)}"


def duration(seconds: float) -> str:
    """A time span in words.

    >>> duration(0.4), duration(12.34), duration(204), duration(4340)
    ('0.4 s', '12.3 s', '3 min 24 s', '1 h 12 min')
    """
    if seconds < 59.95:
        return f"{plain(seconds, 1)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{plain(whole // 3600, 0)} h {whole % 3600 // 60} min"


def percent(share: float, decimals: int = 1) -> str:
    """A share in per cent.

    >>> percent(0.95, 0).replace("\\N{NARROW NO-BREAK SPACE}", " ")
    '95 %'
    """
    return f"{plain(100 * share, decimals)}{THIN_SPACE}%"


def compact(count: int) -> str:
    """A count in at most five characters.

    >>> compact(9_999), compact(21_430), compact(211_840), compact(3_400_000)
    ('9,999', '21.4k', '212k', '3.4M')
    """
    if count < 10_000:
        return f"{count:,}"
    for size, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        scaled = count / size
        if scaled < 999.5:
            return f"{scaled:.1f}{letter}" if scaled < 99.95 else f"{scaled:.0f}{letter}"
    return f"{count:.0e}".replace("+", "")


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "call"), counted(1200, "call"), counted(3, "class")
    ('1 call', '1,200 calls', '3 classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def _decimals(report_data: ReportData) -> int:
    """Two digits of the interval's width, three decimals at least where values lie within one unit."""
    low, high = report_data.bounds
    width = (
        (report_data.high - report_data.low) if report_data.low is not None and report_data.high is not None else 0.0
    )
    scale = width or abs(report_data.gain) or (high - low) / 100
    least = 3 if high - low <= 1 else 0
    return min(max(least, 1 - math.floor(math.log10(max(scale, 1e-300)))), _MOST_DECIMALS)


def _smallest(decimals: int) -> str:
    return plain(10.0**-decimals, decimals)


def _side(gain: float) -> str:
    return "better" if gain > 0 else "worse"
