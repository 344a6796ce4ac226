"""The page of the documentation that lists the losses, made from their cards."""

from __future__ import annotations

from itertools import groupby

from .card import Card
from .catalogue import LOSSES

HEADER = """# Losses

Differentiable stand-ins for metrics, all `(scores, targets) -> scalar`, lower is better, mean over examples where the
loss is a mean. Scores are raw: logits or similarities, no sigmoid or softmax in front.
`metricopt.get_loss(name, **options)` makes one, `metricopt.losses.for_metric(metric)` lists those aimed at a metric,
best first. `metricopt.losses.anyloss(formula)` builds one from a formula over the confusion matrix. To write your own,
see [own-loss.md](own-loss.md).

*Made from the cards by `metricopt losses --markdown > docs/losses.md`; do not edit.*
"""

COLUMNS = ("name", "what it is", "for", "aims at", "cost", "notes", "paper")


def markdown() -> str:
    """The whole page: a table for each group of losses."""
    parts = [HEADER]
    for group, names in groupby(LOSSES, key=LOSSES.group):
        rows = [COLUMNS, ("---",) * len(COLUMNS), *(row(LOSSES[name].card) for name in names)]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
        parts.append(f"## {group.capitalize()}\n\n{table}\n")
    return "\n".join(parts)


def row(card: Card) -> tuple[str, ...]:
    """One loss as cells of the table."""
    return (
        f"`{card.name}`",
        card.title.replace("|", "\\|"),
        ", ".join(card.targets),
        ", ".join(card.aims_at),
        card.cost,
        "; ".join(notes(card)),
        card.paper.replace("|", "\\|"),
    )


def notes(card: Card) -> list[str]:
    """What sets this loss apart from a plain differentiable function of scores."""
    found = []
    if card.reads != "scores":
        found.append(f"reads {card.reads}")
    if card.stateful:
        found.append("owns a state")
    if card.needs:
        found.append("needs " + ", ".join(card.needs))
    if card.gradient == "surrogate":
        found.append("gradient is not the derivative")
    if not card.vmap:
        found.append("not under vmap")
    if card.wraps:
        found.append(f"wraps {card.wraps}")
    if card.tier == "contrib":
        found.append("contrib")
    return found
