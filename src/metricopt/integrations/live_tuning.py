"""`optimize` on a model in the midst of its training: what both trainers' callbacks do."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, final, get_args

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of
from .._errors import ConfigError
from .._random import generator
from .._types import LossFunction
from ..job import Outcome, optimize
from ..job.adaptation import adapt
from ..metrics import as_metric
from .live_weights import check_takes, copy_into

#: Once, when the training is over, or between epochs.
When: TypeAlias = Literal["end", "epoch"]

_ARGUMENTS = inspect.signature(optimize).parameters
#: What a callback says itself.
_OURS = ("model", "metric", "train", "val", "loss")


@final
@dataclass(frozen=True, kw_only=True)
class LiveTuning:
    """What is wanted of a model in training, and when.

    Args:
        metric, loss: as for `optimize`.
        when: "end" or "epoch".
        every: of how many epochs the search follows one, where `when` is "epoch".
        fold: whether an accepted change goes into the model.
        options: further arguments of `optimize`.

    Raises:
        ConfigError: an argument cannot work.
    """

    metric: Any
    loss: str | LossFunction
    when: When
    every: int
    fold: bool
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("when", self.when, get_args(When))
        at_least("every", self.every, 1)
        for name in self.options:
            if name not in _ARGUMENTS or name in _OURS:
                known = [one for one in _ARGUMENTS if one not in _OURS]
                close = difflib.get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"optimize has no argument {name!r}"
                    + (f"; did you mean {close[0]!r}?" if close else f". There are: {', '.join(known)}")
                )
        as_metric(self.metric, **{name: self._option(name) for name in ("higher_is_better", "bounds", "reads")})

    def due(self, epochs: int) -> bool:
        """Whether the model is searched when `epochs` epochs are over."""
        return self.when == "epoch" and epochs > 0 and epochs % self.every == 0

    def rehearse(self, live: nn.Module, part: nn.Module, inputs: Tensor) -> None:
        """Try on a few inputs what a search would end with, so that what cannot work fails before the training.

        Raises:
            AdapterError: no adapter fits, or the weights it would change cannot be put into the model.
        """
        with _gradients(), _copyable():
            twin = copy.deepcopy(part).eval()
            device = next((weight.device for weight in twin.parameters()), torch.device("cpu"))
            how = {name: self._option(name) for name in ("adapters", "dim", "where")}
            adapted = adapt(twin, **how, probe=inputs.to(device))
            if self.fold:
                phi = torch.randn(adapted.spec.dim, generator=generator("rehearsal"))
                check_takes(live, part, adapted.merged(0.01 * phi.to(adapted.phi)))

    def search(self, live: nn.Module, part: nn.Module, *, train: Any, val: Any, epochs: int) -> Outcome:
        """Run `optimize` on `part` of the model; with `fold`, an accepted change is in the model afterwards."""
        options = {"quiet": True, **self.options}
        options.setdefault("device", next((weight.device for weight in part.parameters()), None))
        if self.when == "epoch" and options.get("run") is not None:
            options["run"] = Path(options["run"]) / f"epoch-{epochs}"
        with _gradients(), _copyable():
            outcome = optimize(part, metric=self.metric, loss=self.loss, train=train, val=val, **options)
        if self.fold and outcome.accepted:
            check_takes(live, part, outcome.model)
            copy_into(part, outcome.model)
        return outcome

    def _option(self, name: str) -> Any:
        return self.options.get(name, _ARGUMENTS[name].default)


def figures(outcome: Outcome) -> dict[str, float]:
    """What a trainer logs of an outcome."""
    return {
        "metricopt/before": outcome.before,
        "metricopt/after": outcome.after,
        "metricopt/accepted": float(outcome.accepted),
    }


@contextmanager
def _gradients() -> Iterator[None]:
    """Gradients as `optimize` needs them, whatever the trainer has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _copyable() -> Iterator[None]:
    """An error of `copy.deepcopy` says what to do."""
    try:
        yield
    except (RuntimeError, TypeError) as error:
        if "deepcopy" not in str(error) and "pickle" not in str(error):
            raise
        raise ConfigError(
            f"the model cannot be copied: {error}. It seems to hold more than layers, for example a loss that it "
            "keeps; clear that when an epoch ends, or name the network inside it with module="
        ) from error
