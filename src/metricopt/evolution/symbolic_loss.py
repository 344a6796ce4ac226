"""A formula as an ordinary loss: it trains any model, joins the catalogue, and saves to a few hundred bytes."""

from __future__ import annotations

import os
from typing import Any, final

from torch import Tensor

from .._checks import one_of
from .._errors import CheckpointError, ConfigError
from .._metric_names import canonical as aim_of
from .._scores import score_kind
from ..losses import Card, LossEntry
from ..losses.card import TargetKind
from ..losses.full_precision import full_precision
from ..runtime import read_sealed, write_sealed
from .formula import Formula, checked
from .loss_population import OUTPUTS, Outputs, encoded, predictions
from .text import from_plain, parse, to_latex

_KIND, _VERSION = "metricopt evolved loss", 1


@final
class SymbolicLoss:
    """`(scores, targets) -> scalar`: the formula of each score and target, summed over classes, mean over examples.

    f(x) is the probability of a class or a label, y is 1 for what is right and 0 else; of values both are the numbers
    themselves.

    Args:
        formula: a `Formula` or its text.
        outputs: what the scores of a model stand for: "values", or "binary", "multiclass", "multilabel" (which are told
            apart by shape when it is called).
        name: what it is called.
        metric: name of the metric that it was bred for, if any.

    Raises:
        ConfigError: the formula cannot be read, or lacks y or f(x).

    >>> import torch
    >>> loss = SymbolicLoss("square(y - f(x))", "binary")
    >>> float(loss(torch.zeros(4), torch.tensor([0, 1, 1, 0]))), loss
    (0.25, SymbolicLoss('square(y - f(x))', 'binary'))
    """

    def __init__(
        self, formula: Formula | str, outputs: Outputs, *, name: str = "evolved", metric: str | None = None
    ) -> None:
        self.formula = checked(parse(formula) if isinstance(formula, str) else formula)
        one_of("outputs", outputs, OUTPUTS)
        if not self.formula.is_loss:
            raise ConfigError(
                f"a loss needs both y and f(x), but {str(self.formula)!r} has not; it could train nothing"
            )
        self.outputs, self.name, self.metric = outputs, name, metric
        self.__name__ = name

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        return _value(scores, targets, self)

    def __repr__(self) -> str:
        return f"SymbolicLoss({str(self.formula)!r}, {self.outputs!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolicLoss) and other.to_plain() == self.to_plain()

    def __hash__(self) -> int:
        return hash((self.formula, self.outputs))

    @property
    def latex(self) -> str:
        """The formula for a paper."""
        return to_latex(self.formula.rounded())

    def entry(self) -> LossEntry:
        """For `LOSSES.add`: then it is known by name, to `get_loss`, `for_metric` and `optimize`."""
        kinds: tuple[TargetKind, ...] = (self.outputs,)
        card = Card(
            name=self.name,
            title=f"Evolved: {self.formula.rounded()}",
            targets=kinds,
            aims_at=() if self.metric is None else (aim_of(self.metric),),
            cost="O(n)",
            paper="found here by evolution, after Raymond et al., TPAMI 2023",
            tier="contrib",
            ordered=False,
        )

        def evolved(scores: Tensor, targets: Tensor) -> Tensor:
            return self(scores, targets)

        return LossEntry(card=card, loss=evolved)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "formula": str(self.formula),
            "outputs": self.outputs,
            "name": self.name,
            "metric": self.metric,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON; `SymbolicLoss.load` reads it. Raises WriteFailed."""
        write_sealed(path, {"kind": _KIND, "version": _VERSION, **self.to_plain()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SymbolicLoss:
        """What `save` wrote. Nothing in the file is executed.

        Raises: CheckpointError where there is no such file or it is something else.
        """
        try:
            found = read_sealed(path)
        except FileNotFoundError:
            raise CheckpointError(f"there is no {os.fspath(path)!r}; give the file that save() wrote") from None
        if (found.get("kind"), found.get("version")) != (_KIND, _VERSION):
            raise CheckpointError(f"{os.fspath(path)!r} holds no evolved loss of this version; save it again")
        return cls.from_plain(found, where=os.fspath(path))

    @classmethod
    def from_plain(cls, value: dict[str, Any], *, where: str = "a saved loss") -> SymbolicLoss:
        """What `to_plain` wrote. Raises CheckpointError."""
        name, metric = value.get("name"), value.get("metric")
        if not isinstance(name, str) or not isinstance(metric, str | None) or not isinstance(value.get("outputs"), str):
            raise CheckpointError(f"{where!r} lacks the name, the outputs or the metric of a loss; save it again")
        try:
            return cls(_read(value.get("formula")), value["outputs"], name=name, metric=metric)
        except ConfigError as error:
            raise CheckpointError(f"{where!r} holds no loss that can be used: {error}") from None


def _read(formula: object) -> Formula:
    """Text, or nested lists."""
    return parse(formula) if isinstance(formula, str) else from_plain(formula)


@full_precision
def _value(scores: Tensor, targets: Tensor, loss: SymbolicLoss) -> Tensor:
    outputs: Outputs = loss.outputs
    if outputs == "values":
        if scores.numel() != targets.numel():
            raise ConfigError(
                f"values of shape {tuple(scores.shape)} do not go with targets of shape {tuple(targets.shape)}; give "
                "as many of both"
            )
    else:
        outputs = score_kind(scores, targets)
    wide = scores[:, None] if scores.dim() == 1 else scores
    y = encoded(targets, outputs, wide.shape[-1]).to(wide.dtype)
    value = loss.formula(y, predictions(wide, outputs))
    return value.expand_as(wide).sum(-1).mean()
