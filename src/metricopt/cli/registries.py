"""`metricopt metrics`, `methods`, `losses`: what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the listing commands."""
    app.command("metrics")(metrics)
    app.command("methods")(methods)
    app.command("losses")(losses)


def metrics() -> None:
    """List the metrics of the library, and the short names of scikit-learn's metrics of numbers."""
    from ..metrics import ALIASES, METRICS, SHORT_NAMES

    others = {name: [a for a, target in ALIASES.items() if target == name] for name in METRICS}
    rows = [
        [name, card.title, _better(card.higher_is_better), ", ".join(card.kinds), ", ".join(others[name])]
        for name, card in ((name, entry.card) for name, entry in METRICS.items())
    ]
    rows += [
        [name, short.title, _better(short.higher_is_better), "numbers", short.scorer if short.scorer != name else ""]
        for name, short in SHORT_NAMES.items()
    ]
    _print(["name", "what it is", "better", "for", "also called"], rows)
    typer.echo(
        "All scorers of scikit-learn are metrics too. One that is named neg_... is shown without its sign, as the error "
        "itself: lower is better."
    )


def methods() -> None:
    """List the methods: ours, the rivals, the controls, the ablations, and the outside references of tables."""
    from ..bench.reference_methods import REFERENCES
    from ..methods import METHODS

    cards = [(name, entry.card, entry.card.adapters) for name, entry in METHODS.items()]
    cards += [(name, entry.card, "") for name, entry in REFERENCES.items()]
    _print(
        ["name", "what it is", "family", "adapters", "needs"],
        ([name, card.title, card.family, adapters, card.extra or ""] for name, card, adapters in cards),
    )


def losses(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")] = False,
) -> None:
    """List the losses: what they aim at, what they cost, where they come from."""
    from ..losses import LOSSES, page

    if markdown:
        typer.echo(page.markdown(), nl=False)
        return
    _print(
        ["name", "aims at", "cost", "paper"],
        (
            [name, ", ".join(card.aims_at), card.cost, card.paper]
            for name, card in ((name, entry.card) for name, entry in LOSSES.items())
        ),
    )


def _better(higher: bool) -> str:
    return "higher" if higher else "lower"


def _print(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table()
    for name in header:
        grid.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in rows:
        grid.add_row(*row)
    Console(highlight=False, markup=False).print(grid)
