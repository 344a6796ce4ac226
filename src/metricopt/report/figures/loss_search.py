"""A search for losses: the formula, its curve, how the search went, what the filters spared, error against size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import HALF, NARROW, Absent, Figure, Numbers, Option, Table, Toggles
from ..loss_search_data import LossSearch
from ..report_data import ReportData
from ..svg import elided, group, polyline, staircase, tag, thinned
from ..wording import Wording, percent

_SEARCHED = "Measured on the search part, after short trainings: these values are optimistic."


def formula(report_data: ReportData) -> Figure | Absent:
    """What was found, in three notations."""
    found = _found(report_data)
    rows = (
        ("as it is", found.formula),
        ("its form, constants left out", found.short),
        ("LaTeX", found.latex),
    )
    return Figure(
        key="formula",
        title=elided(found.short, 90),
        caption=(
            "The loss of one score and its target, summed over classes and averaged over examples. For classes y is 1 "
            "for what is right and 0 else, f(x) the predicted probability; of values both are the numbers themselves. "
            "log and sqrt take the size of their argument, aq(a, b) is a / sqrt(1 + b²)."
        ),
        measured="Its constants were tuned by gradients through training.",
        wide=None,
        narrow=None,
        table=Table(head=("Notation", "Formula"), rows=rows, prose=True),
    )


def curves(report_data: ReportData) -> Figure | Absent:
    """The winner over the margin beside the plain loss and other finalists."""
    found = _found(report_data)
    if not found.curves:
        return Absent("The loss as a curve", "its curve was not kept")
    options = tuple(
        Option(value=f"curve{at}", label=elided(one.name, 28), colour=at) for at, one in enumerate(found.curves)
    )
    return Figure(
        key="curves",
        title="The loss as a curve",
        caption=(
            "Solid: where the target is 1; dashed: where it is 0. Each curve is moved and stretched to lie between 0 "
            "and 1, so shapes compare and sizes do not."
            if any(one.positive != one.negative for one in found.curves)
            else "Each curve is moved and stretched to lie between 0 and 1: shapes compare, sizes do not."
        ),
        measured="Computed from the formulas.",
        wide=_draw_curves(found, HALF),
        narrow=_draw_curves(found, NARROW),
        half=True,
        toggles=(Toggles(legend="Show", options=options),),
        numbers=Numbers(
            ("loss", found.axis, "target 1", "target 0"),
            [
                (one.name, *values)
                for one in found.curves
                for values in zip(found.places, one.positive, one.negative, strict=False)
            ],
        ),
    )


def convergence(report_data: ReportData) -> Figure | Absent:
    """Best and median of each generation."""
    found = _found(report_data)
    if not any(one.best is not None for one in found.generations):
        return Absent("Generations", "no candidate could train the network")
    return Figure(
        key="generations",
        title="Generations",
        caption=(
            "The strong line is the best loss so far, the thin one the median of each generation's candidates, the "
            f"dashed one {found.plain}, trained as long."
        ),
        measured=_SEARCHED,
        wide=_draw_generations(report_data, HALF),
        narrow=_draw_generations(report_data, NARROW),
        half=True,
        numbers=Numbers(
            ("generation", "best", "median", *found.fates),
            [(at, one.best, one.median, *one.fates) for at, one in enumerate(found.generations)],
        ),
    )


def front(report_data: ReportData) -> Figure | Absent:
    """Metric against size: what each further node buys."""
    found, words = _found(report_data), Wording(report_data)
    rows = tuple((str(one.size), words.value(one.value), elided(one.formula, 90)) for one in found.front)
    return Figure(
        key="front",
        title="What size buys",
        caption="For each size the best formula, where no smaller one is as good. Size counts nodes.",
        measured=_SEARCHED,
        wide=_draw_front(report_data, HALF) if len(found.front) > 1 else None,
        narrow=_draw_front(report_data, NARROW) if len(found.front) > 1 else None,
        half=True,
        table=Table(head=("Size", words.metric, "Formula"), rows=rows, prose=True),
        numbers=Numbers(("size", "metric", "formula"), [(one.size, one.value, one.formula) for one in found.front]),
    )


def finalists(report_data: ReportData) -> Figure | Absent:
    """The best and the plain loss, trained for long with other seeds."""
    found, words = _found(report_data), Wording(report_data)
    rows = tuple(
        (words.value(one.value), str(one.size) if one.size else "", elided(one.formula, 120)) for one in found.finals
    )
    return Figure(
        key="finalists",
        title="Finalists",
        caption=(
            "The best of the search and the plain loss, trained longer and with other seeds; the winner is the first. "
            "The plain loss may be scaled as well, which is another learning rate: its best scale is shown."
        ),
        measured="Measured on the search part: the mean over seeds.",
        wide=None,
        narrow=None,
        table=Table(head=(words.metric, "Size", "Loss"), rows=rows, marked=0, prose=True),
    )


def filters(report_data: ReportData) -> Figure | Absent:
    """What became of the candidates, and how much training the filters spared."""
    found = _found(report_data)
    sums = [sum(one.fates[at] for one in found.generations) for at in range(len(found.fates))]
    # What was trained and failed is counted under both.
    total = sum(count for name, count in zip(found.fates, sums, strict=True) if name != "failed") or 1
    rows = tuple(
        (name, f"{count:,}", percent(count / total, 0)) for name, count in zip(found.fates, sums, strict=True) if count
    )
    trained = dict(zip(found.fates, sums, strict=True)).get("trained", 0)
    return Figure(
        key="filters",
        title="What was spared",
        caption=(
            f"Of {total:,} candidates {trained:,} were trained. archive: looked at before; constant: nothing to "
            "follow; same slopes: trains as an earlier one; rejected: cannot improve predictions that are moved "
            "directly; failed: trained, but diverged."
        ),
        measured="Counted over all generations.",
        wide=None,
        narrow=None,
        half=True,
        table=Table(head=("Fate", "Candidates", "Share"), rows=rows),
    )


#: In the order in which they stand on the page.
LOSS_SEARCH_FIGURES: tuple[Callable[[ReportData], Figure | Absent], ...] = (
    formula,
    finalists,
    curves,
    convergence,
    front,
    filters,
)


def _found(report_data: ReportData) -> LossSearch:
    assert report_data.loss_search is not None
    return report_data.loss_search


def _draw_curves(found: LossSearch, width: int) -> Markup:
    chart = Chart("curves", width, 300)
    x = Axis.over([found.places[0], found.places[-1]], 40, width - 12, about=6, pad=0)
    y = Axis.over([0.0, 1.0], chart.height - 52, 34, about=4)
    chart.vertical(y, 40, width - 12, "loss, from its least to its largest")
    chart.horizontal(x, chart.height - 52, title=found.axis)
    for at, curve in reversed(list(enumerate(found.curves))):
        sides = [("line strong-line" if at == 0 else "line", curve.positive)]
        if curve.negative != curve.positive:
            sides.append(("diagonal", curve.negative))
        paths = [
            tag(
                "path",
                class_=style,
                d=polyline(
                    [(x.at(place), y.at(value)) for place, value in zip(found.places, _unit(side), strict=True)]
                ),
            )
            for style, side in sides
        ]
        chart.add(group([chart.clipped(paths, x, y)], class_=f"c{at}", data_series=f"curve{at}"))
    return chart.svg("Losses along the margin: " + ", ".join(elided(one.name, 60) for one in found.curves))


def _unit(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def _draw_generations(report_data: ReportData, width: int) -> Markup:
    found, words = _found(report_data), Wording(report_data)
    chart = Chart("generations", width, 300)
    best = [(at, one.best) for at, one in enumerate(found.generations) if one.best is not None]
    median = [(at, one.median) for at, one in enumerate(found.generations) if one.median is not None]
    values = [value for _, value in (*best, *thinned(median, 1000))] + [found.baseline]
    x = Axis.over([0, max(len(found.generations) - 1, 1)], 56, width - 12, about=5, whole=True, pad=0)
    y = Axis.over(values, chart.height - 52, 34, about=5)
    chart.vertical(y, 56, width - 12, words.axis)
    chart.horizontal(x, chart.height - 52, title="generation")
    parts = [
        tag("path", class_="diagonal", d=f"M{x.start} {y.at(found.baseline):.1f}H{x.end}"),
        tag("path", class_="line", d=polyline([(x.at(at), y.at(value)) for at, value in median])),
        tag("path", class_="line strong-line", d=staircase([(x.at(at), y.at(value)) for at, value in best])),
    ]
    chart.add(group([chart.clipped(parts, x, y)], class_="c0"))
    label = f"Best {words.metric} {words.value(best[-1][1])} after {len(found.generations)} generations"
    return chart.svg(f"{label}; {found.plain}: {words.value(found.baseline)}")


def _draw_front(report_data: ReportData, width: int) -> Markup:
    found, words = _found(report_data), Wording(report_data)
    chart = Chart("front", width, 300)
    x = Axis.over([one.size for one in found.front], 56, width - 16, about=5, whole=True)
    y = Axis.over([*(one.value for one in found.front), found.baseline], chart.height - 52, 34, about=5)
    chart.vertical(y, 56, width - 16, words.axis)
    chart.horizontal(x, chart.height - 52, title="nodes of the formula")
    points = [(x.at(one.size), y.at(one.value)) for one in found.front]
    parts = [
        tag("path", class_="diagonal", d=f"M{x.start} {y.at(found.baseline):.1f}H{x.end}"),
        tag("path", class_="line strong-line", d=staircase(points)),
    ]
    dots = [
        tag(
            "circle", class_="dot", cx=at, cy=high, r=4, data_tip=f"{words.value(one.value)}: {elided(one.formula, 60)}"
        )
        for one, (at, high) in zip(found.front, points, strict=True)
    ]
    chart.add(group([chart.clipped(parts, x, y), *dots], class_="c0"))
    return chart.svg(f"{words.metric} of the best formula of each size, from {found.front[0].size} nodes on")
