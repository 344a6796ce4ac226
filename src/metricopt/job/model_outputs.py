"""Models that return a mapping: the entry that counts is chosen, and what comes back is the plain model again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import nn

from .._errors import ConfigError
from ..adapters.site import Places
from ..workload import OUTPUT_KINDS

#: Classes whose outputs hold scores under this name, by the names of their bases, so that nothing is imported.
_WITH_LOGITS = {"PreTrainedModel", "PeftModel"}


@final
class OneOutput(nn.Module):
    """A model of whose outputs one entry counts."""

    def __init__(self, model: nn.Module, key: str) -> None:
        super().__init__()
        self.model = model
        self.key = key

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        found = self.model(*arguments, **keywords)
        if isinstance(found, Mapping) and self.key in found:
            return found[self.key]
        held = f"a mapping with {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise ConfigError(
            f"outputs={self.key!r} is neither a kind of outputs ({', '.join(OUTPUT_KINDS)}) nor an entry of what the "
            f"model returns, {held}"
        )


def with_one_output(model: nn.Module, outputs: str | None) -> tuple[nn.Module, str | None]:
    """The model with the entry of its outputs that `outputs` names, and the kind of outputs, None where it is open.

    Models of transformers, and those that peft wraps, give their logits without being asked.

    >>> with_one_output(nn.Linear(2, 1), "binary")
    (Linear(in_features=2, out_features=1, bias=True), 'binary')
    >>> type(with_one_output(nn.Linear(2, 1), "scores")[0]).__name__
    'OneOutput'
    """
    kind = outputs if outputs in OUTPUT_KINDS else None
    if outputs is not None and kind is None:
        return OneOutput(model, outputs), None
    if {base.__name__ for base in type(model).__mro__} & _WITH_LOGITS:
        return OneOutput(model, "logits"), kind
    return model, kind


def seen_within(model: nn.Module, where: Places) -> Any:
    """`where` with the names that modules of the model have inside of a `OneOutput`.

    >>> seen_within(OneOutput(nn.Linear(2, 1), "logits"), {"film": ("layer3.*", nn.Linear)})
    {'film': ('model.layer3.*', <class 'torch.nn.modules.linear.Linear'>)}
    """
    if not isinstance(model, OneOutput):
        return where
    if isinstance(where, Mapping):
        return {kind: seen_within(model, one) for kind, one in where.items()}
    if isinstance(where, tuple | list):
        return tuple(seen_within(model, one) for one in where)
    return f"model.{where}".removesuffix(".") if isinstance(where, str) else where


def plain(model: nn.Module) -> nn.Module:
    """The model inside, as it was given."""
    return model.model if isinstance(model, OneOutput) else model
