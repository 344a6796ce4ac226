"""What is to be known about a loss without calling it, and the door through which it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, cast, get_args

from torch import Tensor

from .._checks import one_of
from .._errors import ConfigError
from .._scores import by_position
from .._types import LossFunction

#: Kinds of targets: labels as in `_scores.py`; "ranking" is relevance >= 0 for one list `(n,)` or rows of lists
#: `(rows, n)`; "retrieval" is instance labels `(N,)` for embeddings `(N, D)`; "values" are numbers.
TargetKind = Literal["binary", "multiclass", "multilabel", "ranking", "retrieval", "values"]
Reads = Literal["scores", "embeddings"]
Tier = Literal["core", "contrib"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """One loss in words; it feeds the command line, the documentation and the contract tests.

    Args:
        name: its name in the catalogue, which is also the name of its file.
        title: one line.
        reads: raw "scores", or "embeddings" (the features in front of the last layer).
        targets: the kinds of targets that it is defined for.
        aims_at: names of the metrics that it stands in for, the most direct first (`_metric_names.AIMS` has them all).
        cost: time of one call, n being the examples of a batch: "O(n)", "O(n log n)".
        stateful: whether it owns tensors that change or are learned; then it is a module.
        paper: where it comes from.
        tier: "core" is kept stable, "contrib" may change.
        wraps: the library whose implementation does the work, None where it is our own.
        gradient: "exact" where it is the derivative of the value (almost everywhere), "surrogate" where it is
            another direction on purpose, as for ranks, whose derivative is zero.
        monotone: whether a higher score for what is right (a positive, the target class) never raises the value: for
            all kinds of targets, for none, or for those named.
        ordered: whether right scores have a lower value than random ones, and those than reversed ones; a
            learned loss need not.
        bounds: the range of its values, None where they have none.
        vmap: whether it runs under `torch.func.vmap`.
        needs: options without a default, with values that fit 3 classes and 4 features.
        by_aim: options to be set for some of `aims_at`, where one loss serves several metrics.
    """

    name: str
    title: str
    reads: Reads = "scores"
    targets: tuple[TargetKind, ...]
    aims_at: tuple[str, ...]
    cost: str
    stateful: bool = False
    paper: str
    tier: Tier = "core"
    wraps: str | None = None
    gradient: Literal["exact", "surrogate"] = "exact"
    monotone: bool | tuple[TargetKind, ...] = False
    ordered: bool = True
    bounds: tuple[float, float] | None = None
    vmap: bool = True
    needs: Mapping[str, object] = field(default_factory=dict)
    by_aim: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ConfigError(f"the card of loss {self.name!r} names no kind of targets; name at least one")
        for kind in self.targets:
            one_of("targets", kind, get_args(TargetKind))
        one_of("reads", self.reads, get_args(Reads))
        one_of("tier", self.tier, get_args(Tier))
        one_of("gradient", self.gradient, ("exact", "surrogate"))
        strange = sorted(set(self.by_aim) - set(self.aims_at))
        if strange:
            raise ConfigError(f"by_aim of loss {self.name!r} names {', '.join(strange)}, which it does not aim at")
        if not self.cost.startswith("O("):
            raise ConfigError(f"the cost of loss {self.name!r} must look like 'O(n log n)', got {self.cost!r}")

    def monotone_for(self, kind: TargetKind) -> bool:
        """Whether `monotone` holds for targets of this kind."""
        return self.monotone if isinstance(self.monotone, bool) else kind in self.monotone


@dataclass(frozen=True, kw_only=True)
class LossEntry:
    """A card and the loss: a function `(scores, targets, *, options) -> scalar`, or a module class with options.

    Args:
        card: what is to be known about it.
        loss: the function or the class.
        bound: options that are set already; those given to `factory` win.
    """

    card: Card
    loss: Callable[..., Any]
    bound: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The options by name, in order."""
        parameters = inspect.signature(self.loss).parameters.values()
        return {p.name: p for p in parameters if self.card.stateful or p.kind is p.KEYWORD_ONLY}

    def factory(self, **options: Any) -> LossFunction:
        """The loss with its options set: `(scores, targets) -> scalar`.

        Raises:
            ConfigError: an option is unknown or missing.
        """
        chosen = {**self.bound, **options}
        known = self.options
        unknown = sorted(set(chosen) - set(known))
        missing = [name for name, p in known.items() if p.default is p.empty and name not in chosen]
        if unknown or missing:
            raise ConfigError(
                f"loss {self.card.name!r} takes the options {', '.join(known) or 'none'}; "
                f"got unknown {unknown or 'none'}, missing {missing or 'none'}"
            )
        if self.card.stateful:
            return cast(LossFunction, self.loss(**chosen))
        of_classes = self.card.reads == "scores" and not {"binary", "multiclass"}.isdisjoint(self.card.targets)
        return partial(_of_positions, self.loss, **chosen) if of_classes else partial(self.loss, **chosen)


def _of_positions(loss: Callable[..., Tensor], scores: Tensor, targets: Tensor, **options: Any) -> Tensor:
    """A class for each position, of an image or a text, is a row with one."""
    return loss(*by_position(scores, targets), **options)
