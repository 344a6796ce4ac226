"""What a benchmark measures: a figure beside its bound, and a fair way to time two sides.

A script `benchmarks/bench_<thing>.py` looks like this; `make bench` finds it and runs it in a process of its own:

    from figure import Figure, alternate, main

    def measure() -> list[Figure]:
        ratio = alternate(guided_step, plain_step, repeats=30)
        return [Figure("guided step / plain step", ratio, "x", bound=1.2)]

    if __name__ == "__main__":
        raise SystemExit(main(measure))
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Direction = Literal["at most", "at least"]


@dataclass(frozen=True)
class Figure:
    """One measured number, and the bound that it must keep."""

    name: str
    value: float
    unit: str
    bound: float
    direction: Direction = "at most"

    def __post_init__(self) -> None:
        if self.direction not in ("at most", "at least"):
            raise ValueError(f"direction must be 'at most' or 'at least', got {self.direction!r}")

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bound. NaN keeps none."""
        if math.isnan(self.value):
            return False
        return self.value <= self.bound if self.direction == "at most" else self.value >= self.bound

    def line(self) -> str:
        """The figure beside its bound, as one line of text."""
        verdict = "ok  " if self.holds else "FAIL"
        return f"{verdict} {self.name}: {self.value:.4g} {self.unit} ({self.direction} {self.bound:g} {self.unit})"


def alternate(a: Callable[[], object], b: Callable[[], object], repeats: int, *, warmup: int = 1) -> float:
    """Median of time(a) / time(b) over `repeats` pairs, timed alternately in one run.

    Each pair is timed back to back, and the order within a pair swaps every time, so a load that comes
    and goes hits both sides alike.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    for _ in range(warmup):
        a()
        b()
    ratios = []
    for repeat in range(repeats):
        if repeat % 2 == 0:
            time_a, time_b = seconds(a), seconds(b)
        else:
            time_b, time_a = seconds(b), seconds(a)
        ratios.append(time_a / time_b)
    return statistics.median(ratios)


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(measure: Callable[[], Sequence[Figure]], arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with `--json FILE` also leave the figures there. Returns 1 if one falls short."""
    parser = argparse.ArgumentParser(description="Measure, print each figure beside its bound, exit 1 on a miss.")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    figures = list(measure())
    for figure in figures:
        print(figure.line(), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures]))
    return 0 if figures and all(figure.holds for figure in figures) else 1
