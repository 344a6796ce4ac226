"""What is wanted: a function of the outputs that gives one number, and the direction in which it is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import one_of
from .._errors import ConfigError, MetricError, MetricOptError
from .._scores import by_position, flatten_binary, score_kind, to_labels, to_probabilities
from .._types import RESAMPLINGS, Reads, Resampling
from .contained import contained
from .judged import Judged, takes_beside

READS: tuple[str, ...] = ("scores", "probabilities", "labels", "model")

#: Rounding of float64 arithmetic that lands this far outside the bounds counts as the bound itself.
DUST = 1e-9
#: The same for a float32 tensor: four units in the last place of 1.0.
DUST_FLOAT32 = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Metric:
    """A black box that rates outputs against targets, with its direction and its bounds.

    utility = (raw - low) / (high - low), or 1 minus that where lower is better. It is the only place of the
    package that knows directions.

    Args:
        fn: `(outputs, targets) -> number`, or `(model) -> number` with reads="model"; with a third argument it is also
            told what stands beside the targets. For binary problems outputs and targets arrive flat, `(N,)`. It must
            not change its arguments.
        name: how the metric is called in tables and messages.
        higher_is_better: there is no default, on purpose.
        bounds: the finite (low, high) that every value lies in.
        reads: what `fn` is handed: raw "scores", "probabilities", hard "labels", or the whole "model".
        resampling: how its examples may be drawn anew to see how much chance there is in a gain: "rows" with
            replacement; "sets", half of them and each at most once, where a duplicate would change the value
            (retrieval, detection, anything by group); "none". None decides by the kind of outputs.

    Raises:
        ConfigError: where a field has a value that cannot work.

    >>> wrong = Metric(lambda p, t: (p != t).float().mean(), name="mcr", higher_is_better=False, reads="labels")
    >>> raw = wrong(torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0]))
    >>> raw, wrong.utility(raw), wrong.raw(0.75)
    (0.25, 0.75, 0.25)
    """

    fn: Callable[..., Any]
    _: KW_ONLY
    name: str
    higher_is_better: bool
    bounds: tuple[float, float] = (0.0, 1.0)
    reads: Reads = "scores"
    resampling: Resampling | None = None

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise ConfigError(f"a Metric needs a callable, got {_short(self.fn)}; pass the function itself")
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name must be a non-empty string, got {self.name!r}")
        if not isinstance(self.higher_is_better, bool):
            raise ConfigError(
                f"higher_is_better of metric {self.name!r} must be True or False, got {self.higher_is_better!r}"
            )
        one_of("reads", self.reads, READS)
        if self.resampling is not None:
            one_of("resampling", self.resampling, RESAMPLINGS)
        object.__setattr__(self, "bounds", checked_bounds(self.name, self.bounds))

    def __call__(self, outputs: Any, targets: Any) -> float:
        """The raw value of `outputs` (raw scores, see `_scores.py`) against `targets`, or `Judged`.

        Raises:
            MetricError: `fn` raised, changed its arguments, or did not return one number inside the bounds.
        """
        if self.reads == "model":
            raise ConfigError(
                f"metric {self.name!r} reads the model, but was called with outputs; use metric.measure_model(model)"
            )
        beside: tuple[Any, ...] = ()
        if isinstance(targets, Judged):
            targets, beside = targets.targets, (targets.beside,) if takes_beside(self.fn) else ()
        prepared, aligned = self._prepare(as_tensor(outputs), as_tensor(targets))
        before = _versions(prepared, aligned)
        raw = self._ask(prepared, aligned, *beside)
        if _versions(prepared, aligned) != before:
            raise MetricError(
                f"metric {self.name!r} changed its arguments in place, so later calls would see other data; "
                "let it work on copies (tensor.clone())"
            )
        return self.checked(raw)

    def measure_model(self, model: nn.Module) -> float:
        """The raw value of a whole `model`, for metrics with reads="model".

        Raises:
            MetricError: as for a call.
        """
        if self.reads != "model":
            raise ConfigError(
                f"metric {self.name!r} reads {self.reads}, not the model; call metric(outputs, targets), "
                'or make it with reads="model"'
            )
        return self.checked(self._ask(model))

    def utility(self, raw: float) -> float:
        """A raw value as a number in [0, 1], 1 is best; raises MetricError outside the bounds."""
        low, high = self.bounds
        share = (self.checked(raw) - low) / (high - low)
        return share if self.higher_is_better else 1.0 - share

    def raw(self, utility: float) -> float:
        """The inverse of `utility`. An estimate outside [0, 1] maps outside the bounds, so that it can be shown."""
        if not math.isfinite(utility):
            raise ConfigError(f"utility must be a finite number, got {utility!r}")
        low, high = self.bounds
        return low + (utility if self.higher_is_better else 1.0 - utility) * (high - low)

    def checked(self, value: object) -> float:
        """`value` as a float inside the bounds; raises MetricError that says what came back."""
        number = self._one_number(value)
        if not math.isfinite(number):
            raise MetricError(
                f"metric {self.name!r} returned {number}, which cannot be compared; make it return a finite number "
                "(decide what an empty or one-class input is worth)"
            )
        low, high = self.bounds
        dust = DUST * (high - low)
        if getattr(value, "dtype", None) in (torch.float32, np.float32):
            dust = max(dust, DUST_FLOAT32 * max(abs(low), abs(high)))
        if not low - dust <= number <= high + dust:
            raise MetricError(
                f"metric {self.name!r} returned {number!r}, outside its bounds ({low}, {high}); values are never "
                "clipped: correct the function, or state the true range with bounds=(low, high)"
            )
        return min(max(number, low), high)

    def _one_number(self, value: object) -> float:
        """One real number out of a Python, NumPy or torch scalar."""
        kind = type(value).__name__
        if isinstance(value, Tensor | np.ndarray):
            if math.prod(value.shape) != 1:
                raise MetricError(
                    f"metric {self.name!r} returned a {kind} of shape {tuple(value.shape)}; it must return one number: "
                    "reduce it, for example with .mean()"
                )
            value = value.item()
        if isinstance(value, Real | np.bool_):
            return float(value)
        if value is None:
            raise MetricError(f"metric {self.name!r} returned None; does the function end without a return?")
        raise MetricError(f"metric {self.name!r} returned {_short(value)}; it must return one real number")

    def _ask(self, *arguments: Any) -> object:
        """Call `fn`; whatever it raises comes back as a MetricError with the cause chained."""
        try:
            with torch.no_grad(), nullcontext() if _is_ours(self.fn) else contained():
                return cast(object, self.fn(*arguments))
        except MetricOptError:
            raise
        except SystemExit as error:
            raise MetricError(
                f"metric {self.name!r} ended the program (sys.exit({error.code!r})); let it return a number, or raise"
            ) from error
        except Exception as error:
            if isinstance(error, TypeError) and len(arguments) == 2 and takes_beside(self.fn):
                raise MetricError(
                    f"metric {self.name!r} needs a third argument, and val has nothing beside its targets; give "
                    "val=(inputs, targets, beside)"
                ) from error
            raise MetricError(
                f"metric {self.name!r} raised {type(error).__name__}: {error}. It was called with "
                f"{', '.join(_describe(a) for a in arguments)} (reads={self.reads!r}); correct the function, "
                "or say with reads= what it expects"
            ) from error

    def _prepare(self, outputs: Any, targets: Any) -> tuple[Any, Any]:
        """What `fn` reads, made from raw scores; binary scores and targets become `(N,)`."""
        if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
            if self.reads == "scores":
                return outputs, targets
            raise ConfigError(
                f"metric {self.name!r} reads {self.reads}, which are made from tensors of scores and targets, but got "
                f'{type(outputs).__name__} and {type(targets).__name__}; use reads="scores" to get them as they are'
            )
        outputs, targets = outputs.detach(), targets.detach()
        self._refuse_nan(outputs)
        if self.reads != "scores":
            outputs, targets = by_position(outputs, targets)
        try:
            kind = score_kind(outputs, targets)
        except ConfigError:
            if self.reads == "scores":
                return outputs, targets
            raise
        if kind == "binary":
            outputs, targets = flatten_binary(outputs, targets)
        if self.reads == "probabilities":
            outputs = to_probabilities(outputs, kind)
        elif self.reads == "labels":
            outputs = to_labels(outputs, kind)
        return outputs, targets

    def _refuse_nan(self, outputs: Tensor) -> None:
        # The sum is the cheap test; infinities may cancel to NaN in it, so only then every value is looked at.
        if not outputs.is_floating_point():
            return
        if math.isnan(float(outputs.sum())) and bool(outputs.isnan().any()):
            raise MetricError(
                f"the outputs handed to metric {self.name!r} hold {int(outputs.isnan().sum())} NaN among "
                f"{outputs.numel()} values; the model has diverged: take smaller steps, or look at its inputs"
            )


def _is_ours(fn: Any) -> bool:
    """Whether it is a function of the library of metrics, which does nothing but return a number."""
    return str(getattr(getattr(fn, "func", fn), "__module__", "")).startswith("metricopt.metrics.library.")


def checked_bounds(name: str, bounds: object) -> tuple[float, float]:
    """Two finite numbers, low < high; raises ConfigError that names the metric."""
    try:
        low, high = (float(b) for b in cast("tuple[float, float]", bounds))
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(
            f"bounds of metric {name!r} must be two finite numbers (low, high) with low < high, got {bounds!r}; "
            "utility in [0, 1] is made from them, so an open range needs the range that you expect"
        )
    return low, high


def as_tensor(value: Any) -> Any:
    """A numeric NumPy array as a tensor, over the same memory where torch can; everything else as it is."""
    if not (isinstance(value, np.ndarray) and value.dtype.kind in "biufc"):
        return value
    # Torch takes neither negative strides nor read-only memory (memory maps) without a warning.
    shared = value.flags.writeable and all(stride >= 0 for stride in value.strides)
    return torch.as_tensor(value if shared else value.copy())


def _versions(*arguments: Any) -> list[int]:
    """How often each tensor was written to; inference tensors do not count."""
    return [a._version for a in arguments if isinstance(a, Tensor) and not a.is_inference()]


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return type(value).__name__


def _short(value: object) -> str:
    text = repr(value)
    return f"a {type(value).__name__}: {text if len(text) <= 60 else text[:57] + '...'}"
