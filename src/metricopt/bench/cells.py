"""The text of a table, cell by cell: the terminal and Markdown show the same."""

from __future__ import annotations

from collections.abc import Sequence

from .interval import Interval
from .sheet import Sheet
from .table import Block, Line, Table, card_of

BETTER, WORSE = "▲", "▼"


def sheets(table: Table, *, compact: bool = False) -> list[Sheet]:
    """One sheet per task and metric with everything that is known.

    With `compact` one sheet per task: a method per row, a metric per column, the gain over the first baseline beside
    the value.
    """
    if not compact:
        return [_sheet(table, block) for block in table.blocks]
    tasks = dict.fromkeys(block.task for block in table.blocks)
    return [_compact(table, task, [b for b in table.blocks if b.task == task]) for task in tasks]


def notes(table: Table, *, compact: bool = False) -> list[str]:
    """What a reader must know to read the numbers."""
    spec = table.spec
    against = spec.against[:1] if compact else spec.against
    baselines = " and ".join(f'"{card_of(name).title}"' for name in against)
    spent = (
        f"Test values, means over seeds {_ranges(spec.seeds)}. Every method may make {spec.calls} metric calls on the "
        "validation rows. Calls and seconds are what it spent, without what all share (pre-training, features); "
        "0 calls: it never asks the metric."
    )
    gains = (
        f"Gains are differences to {baselines} in hundredths of the metric, positive is better, with the 95 % paired "
        f"t-interval over seeds. {BETTER} and {WORSE} stand only where it excludes zero. Seeds cut the same rows "
        "anew, so it speaks of the split, the training and the search."
    )
    found = [spent, gains]
    if "accuracy" in spec.metrics:
        found.append(
            "Accuracy is 1 - MCR and has the same utility: its rows are read off the searches for MCR, not searched "
            'again. The column "JAC" of the paper holds accuracy, not the Jaccard index.'
        )
    if any(block.lines and (block.others or any(line.paper for line in block.lines)) for block in table.blocks):
        found.append(f"Paper: {spec.source}; one figure each, without a spread.")
    if not compact and any(line.quality for block in table.blocks for line in block.lines):
        found.append(
            "Rank correlation: Spearman's, of the value function's estimates with observed utilities on runs held out "
            "of its fit, at the first and the last fit. Error: its mean absolute error there at the first fit, beside "
            "that of the best constant."
        )
    if table.missing:
        found.append(f"{table.missing} runs of this table are missing so far.")
    return found + [f"Machine: {line}." for line in table.machines]


def _sheet(table: Table, block: Block) -> Sheet:
    with_fit = any(line.quality for line in block.lines)
    with_paper = bool(block.others) or any(line.paper for line in block.lines)
    header = ["method", "test", *(f"gain over\n{card_of(name).title}" for name in table.spec.against)]
    header += (
        ["paper"] * with_paper + ["seeds", "calls", "seconds"] + ["rank\ncorrelation", "error /\nconstant"] * with_fit
    )

    def cells(line: Line) -> tuple[str, ...]:
        paper = [f"{line.paper.value:.4f} ({line.paper.label})" if line.paper else ""] * with_paper
        spent = [str(line.seeds), f"{line.calls:.0f}", f"{line.seconds:.1f}"]
        fit = [_joined(line, " → ", ("fit_spearman", 2), ("last_spearman", 2))] * with_fit
        fit += [_joined(line, " / ", ("fit_mae", 4), ("fit_mae_of_mean", 4))] * with_fit
        return (line.card.title, f"{line.mean:.4f}", *map(gain_text, line.gains), *paper, *spent, *fit)

    groups = [(family, tuple(map(cells, lines))) for family, lines in _families(block.lines)]
    if block.others:
        position = header.index("paper")
        rows = [[figure.title] + [""] * (len(header) - 1) for figure in block.others]
        for row, figure in zip(rows, block.others, strict=True):
            row[position] = f"{figure.value:.4f} ({figure.label})"
        groups.append(("only in the paper", tuple(map(tuple, rows))))
    title = f"{block.task}: {block.title}, {'higher' if block.higher_is_better else 'lower'} is better"
    return Sheet(title=title, header=tuple(header), groups=tuple(groups))


def _compact(table: Table, task: str, blocks: Sequence[Block]) -> Sheet:
    by_method = {
        method: {block.metric: line for block in blocks for line in block.lines if line.method == method}
        for method in dict.fromkeys(line.method for block in blocks for line in block.lines)
    }
    first = [next(iter(lines.values())) for lines in by_method.values()]

    def cells(line: Line) -> tuple[str, ...]:
        mine = by_method[line.method]
        values = [_compact_cell(mine[b.metric]) if b.metric in mine else "" for b in blocks]
        calls = sum(one.calls for one in mine.values()) / len(mine)
        seconds = sum(one.seconds for one in mine.values()) / len(mine)
        return (line.card.title, *values, f"{calls:.0f}", f"{seconds:.1f}")

    header = ["method", *(f"{b.title} {'↑' if b.higher_is_better else '↓'}" for b in blocks), "calls", "seconds"]
    groups = [(family, tuple(map(cells, lines))) for family, lines in _families(first)]
    paper = _paper_rows(blocks)
    if paper:
        groups.append(("figures of the paper", tuple((*row, "", "") for row in paper)))
    seeds = sorted({line.seeds for lines in by_method.values() for line in lines.values()})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    title = f"{task}, seeds: {count}, gain over {card_of(table.spec.against[0]).title}"
    return Sheet(title=title, header=tuple(header), groups=tuple(groups))


def _joined(line: Line, by: str, *figures: tuple[str, int]) -> str:
    return by.join(f"{line.quality[name]:.{digits}f}" for name, digits in figures if name in line.quality)


def _paper_rows(blocks: Sequence[Block]) -> list[tuple[str, ...]]:
    figures = {
        b.metric: [*b.others, *dict.fromkeys(line.paper for line in b.lines if line.paper is not None)] for b in blocks
    }
    titles = dict.fromkeys(figure.title for found in figures.values() for figure in found)
    return [
        (title, *(next((f"{f.value:.4f}" for f in figures[b.metric] if f.title == title), "") for b in blocks))
        for title in titles
    ]


def _compact_cell(line: Line) -> str:
    gain = gain_text(line.gains[0])
    return f"{line.mean:.4f} ({gain})" if gain else f"{line.mean:.4f}"


def _families(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    families = dict.fromkeys(line.card.family for line in lines)
    return [(family, [line for line in lines if line.card.family == family]) for family in families]


def gain_text(gain: Interval | None) -> str:
    """A gain in hundredths with half its interval, and a mark where the interval excludes zero.

    >>> gain_text(Interval(mean=0.0123, half=0.004, n=10))
    '+1.23 ± 0.40 ▲'
    >>> gain_text(Interval(mean=0.00001, half=0.000001, n=10))
    '+0.00 ± 0.00'
    """
    if gain is None:
        return ""
    mean = f"{100 * gain.mean:+.2f}"
    # A gain that is printed as zero is rounding dust (a shift of float32 scores can make ties), however steady.
    seen = gain.verdict if float(mean) else 0
    mark = {1: f" {BETTER}", -1: f" {WORSE}", 0: ""}[seen]
    half = "" if gain.half is None else f" ± {100 * gain.half:.2f}"
    return f"{mean}{half}{mark}"


def _ranges(seeds: Sequence[int]) -> str:
    """Seeds in few words.

    >>> _ranges((0, 1, 2, 5))
    '0-2, 5'
    """
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and parts[-1][-1] == seed - 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
