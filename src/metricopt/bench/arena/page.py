"""The arena as a page: standings at each budget, anytime curves, who beats whom, and whether acceptance was right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...report.svg import group, polyline, tag
from ..cells import BETTER
from .run import OUTSIDE
from .standings import Row, Standings, acceptance, best_known, calls_to_get_there, problem_of, standings

#: Sizes of the picture, its margins, and the colours of its lines: MetricOpt first, then the rivals in order.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 360, 50, 250, 20, 40
_COLOURS = ("#1f6f54", "#b4582a", "#4a6fb5", "#8a5aa8", "#a8862c", "#5b8f8f", "#b0457a", "#777777")


def title_of(method: str) -> str:
    """What tables call a method."""
    from ...methods import METHODS

    if method in OUTSIDE:
        return OUTSIDE[method]
    return METHODS[method].card.title


def markdown(rows: Sequence[Row], methods: Sequence[str], controls: Sequence[str] = ()) -> str:
    """All that the rows say of these methods; controls have a table of their own."""
    known = best_known(row for row in rows if row["method"] in methods)
    budgets = sorted({row["settings"]["calls"] for row in rows})
    found = [one for calls in budgets if (one := standings(rows, calls=calls, methods=methods, known=known))]
    lines = []
    for one in found:
        lines += [*_table(one), ""]
    lines += [*_anytime(rows, methods, known, budgets), ""]
    lines += [*_there(rows, methods, known), ""]
    if found:
        lines += [*_wins(found[-1]), ""]
    lines += [*_problems(rows, methods, known, found[-1].calls if found else 0), ""]
    lines += _accepted(rows)
    if controls:
        lines += ["", *_controls(rows, controls, budgets)]
    return "\n".join(lines).rstrip() + "\n"


def _table(one: Standings) -> list[str]:
    part = f"{len(one.problems)} problems, up to {one.seeds} seeds"
    lines = [
        f"### {one.calls} calls",
        "",
        f"{part}. Two mean ranks differ significantly from {one.critical:.2f} on (Nemenyi, 5 %).",
        "",
        "| method | mean rank | behind the first (interval) | of the best known gain | gain, hundredths | worse | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for place, line in enumerate(one.lines):
        if place == 0:
            sure = f" {BETTER}" if line.lead_high < 0 else ""
            lead = f"ahead of the second by {-line.lead:.2f} ({-line.lead_high:.2f} to {-line.lead_low:.2f}){sure}"
        else:
            lead = f"{line.lead:.2f} ({line.lead_low:.2f} to {line.lead_high:.2f})"
        lines.append(
            f"| {title_of(line.method)} | {line.rank:.2f} | {lead} | {line.fraction:.2f} ({line.low:.2f} to "
            f"{line.high:.2f}) | {line.gain:+.1f} | {100 * line.worse:.0f} % | {_seconds(line.seconds)} |"
        )
    return lines


def _seconds(seconds: float) -> str:
    """Of a method that was not timed, a dash."""
    return f"{seconds:.1f}" if seconds > 0 else "-"


def _anytime(
    rows: Sequence[Row], methods: Sequence[str], known: Mapping[str, float], budgets: Sequence[int]
) -> list[str]:
    if len(budgets) < 2:
        return []
    lines = [
        "### Gain as a fraction of the best known, by calls",
        "",
        "| method | " + " | ".join(str(calls) for calls in budgets) + " |",
        "|---|" + "---|" * len(budgets),
    ]
    for method, curve in anytime(rows, methods, known, budgets).items():
        cells = " | ".join("-" if math.isnan(value) else f"{value:.2f}" for value in curve)
        lines.append(f"| {title_of(method)} | {cells} |")
    return lines


def anytime(
    rows: Sequence[Row], methods: Sequence[str], known: Mapping[str, float], budgets: Sequence[int]
) -> dict[str, list[float]]:
    """By method the mean fraction of the best known gain at each budget; NaN where there are no runs."""
    found: dict[str, list[float]] = {}
    for method in methods:
        curve = []
        for calls in budgets:
            by_problem: dict[str, list[float]] = {}
            for row in rows:
                if row["method"] == method and row["settings"]["calls"] == calls:
                    own = row["gain"] if row["applies"] else 0.0
                    by_problem.setdefault(problem_of(row), []).append(own / known[problem_of(row)])
            curve.append(float(np.mean([np.mean(own) for own in by_problem.values()])) if by_problem else math.nan)
        found[method] = curve
    return found


def _there(rows: Sequence[Row], methods: Sequence[str], known: Mapping[str, float]) -> list[str]:
    found = calls_to_get_there(rows, methods, known)
    gaps = sum(gain > 0.01 for gain in known.values())
    lines = [
        "### Calls to 95 % of the best known gain",
        "",
        (
            f"Of {gaps} problems with a gap of more than a hundredth: on how many a method gets there at all, and the "
            "median of the smallest budget that was enough, over those. Beside MetricOpt: the two medians, over the "
            "problems where both get there."
        ),
        "",
        "| method | problems | median calls | beside MetricOpt |",
        "|---|---|---|---|",
    ]
    first = found.get("metricopt", {})
    for method in methods:
        own = found[method]
        both = [problem for problem in own if problem in first] if method != "metricopt" else []
        pair = " / ".join(f"{np.median([of[problem] for problem in both]):.0f}" for of in (own, first)) if both else ""
        median = f"{np.median(list(own.values())):.0f}" if own else "-"
        lines.append(f"| {title_of(method)} | {len(own)} | {median} | {pair and f'{pair} ({len(both)} problems)'} |")
    return lines


def _wins(one: Standings) -> list[str]:
    names = [line.method for line in one.lines][:8]
    lines = [
        f"### Who beats whom, {one.calls} calls",
        "",
        "Share of problems on which the method of the row gains more than that of the column; ties count half.",
        "",
        "| | " + " | ".join(title_of(name) for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for name in names:
        cells = ["" if name == other else f"{one.wins[name, other]:.2f}" for other in names]
        lines.append(f"| {title_of(name)} | " + " | ".join(cells) + " |")
    return lines


def _problems(rows: Sequence[Row], methods: Sequence[str], known: Mapping[str, float], calls: int) -> list[str]:
    lines = [
        f"### By problem, {calls} calls",
        "",
        "Mean gain on test rows in hundredths; the start is the metric of the model as it was trained.",
        "",
        "| problem | start | best known | " + " | ".join(title_of(name) for name in methods) + " |",
        "|---|---|---|" + "---|" * len(methods),
    ]
    for problem in sorted(known):
        own = [
            row for row in rows if problem_of(row) == problem and row["settings"]["calls"] == calls and row["applies"]
        ]
        if not own:
            continue
        cells = []
        for method in methods:
            gains = [100 * row["gain"] for row in own if row["method"] == method]
            cells.append(f"{np.mean(gains):+.1f}" if gains else "-")
        start = np.mean([row["start"] for row in own])
        lines.append(f"| {problem} | {start:.3f} | {100 * known[problem]:+.1f} | " + " | ".join(cells) + " |")
    return lines


def _accepted(rows: Sequence[Row]) -> list[str]:
    one = acceptance(rows, "metricopt")
    if not one.runs:
        return []
    return [
        "### Whether acceptance was right (MetricOpt, all budgets)",
        "",
        (
            f"The acceptance test was made on two fifths of the test rows and judged on the rest. Of {one.runs} runs "
            f"{one.accepted} were accepted; {one.accepted_worse} of these "
            f"({100 * one.accepted_worse / max(one.accepted, 1):.1f} %) are worse than the start by more than two "
            f"standard errors. Of {one.certain} gains of more than two standard errors "
            f"{100 * one.found:.0f} % were accepted."
        ),
    ]


def _controls(rows: Sequence[Row], controls: Sequence[str], budgets: Sequence[int]) -> list[str]:
    """MetricOpt against its own proposers without a value function, or with a wrong one."""
    lines = [
        "### What the value function is worth",
        "",
        "Mean rank of MetricOpt less that of the same proposers without it; below zero it helps.",
        "",
        "| calls | control | difference of ranks (interval) | gain over the control, hundredths |",
        "|---|---|---|---|",
    ]
    for calls in budgets:
        for control in controls:
            pair = ("metricopt", control)
            known = best_known(row for row in rows if row["method"] in pair)
            one = standings(rows, calls=calls, methods=pair, known=known)
            if one is None:
                continue
            mine = next(line for line in one.lines if line.method == "metricopt")
            other = next(line for line in one.lines if line.method == control)
            sign = 1.0 if one.lines[0] is mine else -1.0
            low, high = sorted((sign * one.lines[0].lead_low, sign * one.lines[0].lead_high))
            lines.append(
                f"| {calls} | {title_of(control)} | {mine.rank - other.rank:+.2f} ({low:+.2f} to {high:+.2f}) | "
                f"{mine.gain - other.gain:+.2f} |"
            )
    return lines


def picture(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """Anytime curves as an SVG."""
    known = best_known(row for row in rows if row["method"] in methods)
    budgets = sorted({row["settings"]["calls"] for row in rows})
    return _curves(anytime(rows, methods, known, budgets), budgets)


def _curves(curves: Mapping[str, Sequence[float]], budgets: Sequence[int]) -> str:
    ordered = sorted(curves, key=lambda name: (name != "metricopt", -np.nan_to_num(curves[name][-1])))
    shown = [name for name in ordered if name != "as_trained"][: len(_COLOURS)]
    values = [value for name in shown for value in curves[name] if not math.isnan(value)]
    low, high = min([0.0, *values]), max([1.0, *values])
    logs = [math.log(calls) for calls in budgets]
    width = max(logs[-1] - logs[0], 1e-9)

    def place(calls: float, value: float) -> tuple[float, float]:
        across = (math.log(calls) - logs[0]) / width
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * across
        return x, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [tag("rect", width=_WIDTH, height=_HEIGHT, fill="white")]
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = place(budgets[0], level)[1]
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, stroke="#ddd"))
        parts.append(tag("text", f"{level:.2f}", x=_LEFT - 6, y=y + 4, text_anchor="end"))
    for calls in budgets:
        x = place(calls, low)[0]
        parts.append(tag("text", str(calls), x=x, y=_HEIGHT - _BOTTOM + 18, text_anchor="middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(tag("text", "metric calls", x=middle, y=_HEIGHT - 6, text_anchor="middle"))
    for number, name in enumerate(shown):
        points = [place(c, v) for c, v in zip(budgets, curves[name], strict=True) if not math.isnan(v)]
        colour, stroke = _COLOURS[number], 3 if name == "metricopt" else 1.5
        if points:
            parts.append(tag("path", d=polyline(points), fill="none", stroke=colour, stroke_width=stroke))
        label = f"{title_of(name)} {curves[name][-1]:.2f}"
        parts.append(tag("text", label, x=_WIDTH - _RIGHT + 14, y=_TOP + 14 + 18 * number, fill=colour))
    picture_ = tag(
        "svg",
        tag("title", "Gain on test rows as a fraction of the best known, by metric calls"),
        group(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        font_family="sans-serif",
        font_size=12,
    )
    return str(picture_) + "\n"
