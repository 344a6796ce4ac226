"""`metricopt metrics`, `methods`, `losses`: what there is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from .._errors import ConfigError
from .grid import Column, print_grid

JsonList = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")]


def add_to(app: typer.Typer) -> None:
    """Register the listing commands."""
    app.command("metrics")(metrics)
    app.command("methods")(methods)
    app.command("losses")(losses)


def metrics(as_json: JsonList = False) -> None:
    """List the metrics of the library, and the short names of scikit-learn's metrics of numbers."""
    from ..metrics import METRICS, SHORT_NAMES

    others = {name: [a for a, target in METRICS.aliases.items() if target == name] for name in METRICS}
    found = [
        _metric(name, card.title, card.higher_is_better, card.kinds, others[name])
        for name, card in ((name, entry.card) for name, entry in METRICS.items())
    ]
    found += [
        _metric(name, short.title, short.higher_is_better, ["numbers"], [short.scorer] if short.scorer != name else [])
        for name, short in SHORT_NAMES.items()
    ]
    if as_json:
        _print_json(found)
        return
    columns = {"name": "name", "title": "what it is", "better": "better", "for": "for", "also_called": "also called"}
    _print(columns, found, spare=("also_called",))
    typer.echo(
        "All scorers of scikit-learn are metrics too. One that is named neg_... is shown without its sign, as the "
        "error itself: lower is better."
    )


def _metric(name: str, title: str, higher: bool, kinds: Sequence[str], others: Sequence[str]) -> dict[str, Any]:
    better = "higher" if higher else "lower"
    return {"name": name, "title": title, "better": better, "for": list(kinds), "also_called": list(others)}


def methods(as_json: JsonList = False) -> None:
    """List the methods: ours, the rivals, the controls, the ablations, and the outside references of tables."""
    from ..methods import METHODS

    cards = [(name, entry.card, entry.card.adapters) for name, entry in METHODS.items()]
    found = [
        {"name": name, "title": card.title, "family": card.family, "adapters": adapters or None, "needs": card.extra}
        for name, card, adapters in cards
    ]
    if as_json:
        _print_json(found)
        return
    heads = {"name": "name", "title": "what it is", "family": "family", "adapters": "adapters", "needs": "needs"}
    _print(heads, found, spare=("adapters",))


def losses(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of the documentation.")] = False,
    as_json: JsonList = False,
) -> None:
    """List the losses: what they aim at, what they cost, where they come from."""
    from ..losses import LOSSES, page

    if markdown and as_json:
        raise ConfigError("--markdown and --json are two ways to print the losses; choose one")
    if markdown:
        typer.echo(page.markdown(), nl=False)
        return
    found = [
        {"name": name, "title": card.title, "aims_at": list(card.aims_at), "cost": card.cost, "paper": card.paper}
        for name, card in ((name, entry.card) for name, entry in LOSSES.items())
    ]
    if as_json:
        _print_json(found)
        return
    _print({"name": "name", "aims_at": "aims at", "cost": "cost", "paper": "paper"}, found, spare=("cost",))


def _print_json(found: Sequence[Mapping[str, Any]]) -> None:
    typer.echo(json.dumps(found, allow_nan=False))


def _print(heads: Mapping[str, str], found: Sequence[Mapping[str, Any]], *, spare: Sequence[str]) -> None:
    """A table of some fields; those in `spare` are left out of a narrow one, in this order."""
    order = {key: len(spare) - at for at, key in enumerate(spare)}
    columns = [Column(head, whole=key == "name", spare=order.get(key, 0)) for key, head in heads.items()]
    print_grid(columns, [[_cell(each[key]) for key in heads] for each in found])


def _cell(value: str | list[str] | None) -> str:
    return ", ".join(value) if isinstance(value, list) else value or ""
