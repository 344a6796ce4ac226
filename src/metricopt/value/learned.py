"""A value function with the observations that it was learned from: what travels from one model to the next."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._errors import CheckpointError, ConfigError, FingerprintMismatch
from .._random import generator
from ..runtime import check_template, read_tensors, shown, write_tensors
from .fit import FitConfig, fit_points
from .network import ValueFunction

_FUNCTION, _POINTS = "value.safetensors", "observations.safetensors"
_KIND, _VERSION = "observations", 1


@dataclass(frozen=True, kw_only=True)
class LearnedValue:
    """What `metricopt.learn_value` returns; give it to `optimize(..., value=)` for the next model of the family.

    Args:
        function: phi -> estimated utility.
        phis, utilities: `(m, d)` and `(m,)`, what was observed.
        metric: the name of the metric.
        diagnostics: how good the function is on what it had not seen.
        rows: hashes of the examples that it was learned on, so that no acceptance test is made on them.

    >>> value = ValueFunction(3, generator=torch.Generator().manual_seed(0)).eval()
    >>> learned = LearnedValue(function=value, phis=torch.zeros(4, 3), utilities=torch.zeros(4), metric="f1")
    >>> len(learned.adapt(torch.randn(8, 3), torch.linspace(0, 1, 8)))
    12
    """

    function: ValueFunction = field(repr=False)
    phis: Tensor = field(repr=False)
    utilities: Tensor = field(repr=False)
    metric: str
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    rows: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64), repr=False)

    def __post_init__(self) -> None:
        if self.phis.shape != (len(self.utilities), self.function.dim) or self.utilities.dim() != 1:
            raise ConfigError(
                f"observations must be phis (m, {self.function.dim}) and utilities (m,), got {tuple(self.phis.shape)} "
                f"and {tuple(self.utilities.shape)}"
            )

    def __len__(self) -> int:
        return len(self.utilities)

    def __str__(self) -> str:
        """One line for a terminal."""
        told = f"value function for {self.metric}: {self.function.dim} numbers of phi, {len(self)} observations"
        rank = self.diagnostics.get("last_spearman")
        return told if rank is None else f"{told}, rank correlation {rank:.2f} with what it had not seen"

    def adapt(self, phis: Tensor, utilities: Tensor, *, config: FitConfig | None = None, seed: int = 0) -> LearnedValue:
        """A refit to old and new observations together; this one stays as it is.

        Another model starts from another level of the metric, so the old utilities are moved by the mean error of the
        old estimates on the new observations: what is kept of them is where the metric rises and falls.

        Args:
            phis, utilities: `(k, d)` and `(k,)`, observed on the new model, such as `outcome.observations`.
            config: of the fit; gentle by default.
            seed: of its batches.

        Raises:
            ConfigError: shapes that do not fit, or fewer than two observations in all.
        """
        if phis.shape != (len(utilities), self.function.dim) or utilities.dim() != 1:
            raise ConfigError(
                f"adapt needs phis (k, {self.function.dim}) and utilities (k,), got {tuple(phis.shape)} and "
                f"{tuple(utilities.shape)}"
            )
        if len(self) + len(utilities) < 2:
            raise ConfigError(f"adapt needs at least two observations, got {len(self) + len(utilities)}")
        function = copy.deepcopy(self.function).eval()
        with torch.no_grad():
            estimates = function(phis.to(function.head_weight))[0].double()
        moved = float((utilities.double() - estimates).mean()) if len(utilities) else 0.0
        every_phi = torch.cat([self.phis, phis.to(self.phis)])
        every_utility = torch.cat([self.utilities.double() + moved, utilities.double()])
        settings = config or FitConfig(steps=300, batch=min(128, len(every_utility)))
        fit_points(function, every_phi, every_utility, 0.01, config=settings, generator=generator(seed, "adapt"))
        return replace(self, function=function, phis=every_phi, utilities=every_utility, diagnostics={})

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the function and the observations to two files in `folder`, each atomically."""
        path = Path(folder)
        self.function.save(path / _FUNCTION)
        tensors = {"phis": self.phis, "utilities": self.utilities.double(), "rows": self.rows}
        settings = {
            "metric": self.metric,
            "fingerprint": self.function.fingerprint,
            "diagnostics": dict(self.diagnostics),
            "count": len(self),
            "function": _digest_of_function(self.function),
        }
        write_tensors(path / _POINTS, tensors, kind=_KIND, version=_VERSION, settings=settings)
        return path

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> LearnedValue:
        """Read what `save` wrote.

        Raises:
            CheckpointError: a file is missing, damaged, or not what its name says.
            FingerprintMismatch: the two files belong to different phis.
        """
        path = Path(folder)
        if not path.is_dir():
            raise CheckpointError(f"there is no folder {str(path)!r}; give one that LearnedValue.save wrote")
        function = ValueFunction.load(path / _FUNCTION)
        tensors, settings = read_tensors(path / _POINTS, kind=_KIND, version=_VERSION)
        metric, count, diagnostics = _checked(path, settings)
        template = {
            "phis": torch.zeros(count, function.dim, dtype=_dtype(tensors), device="meta"),
            "utilities": torch.zeros(count, dtype=torch.float64, device="meta"),
            "rows": torch.zeros(tensors["rows"].numel() if "rows" in tensors else 0, dtype=torch.int64, device="meta"),
        }
        check_template(path / _POINTS, tensors, template)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise CheckpointError(f"{path / _POINTS} holds numbers that are not finite. Save it again.")
        if settings.get("fingerprint") != function.fingerprint:
            raise FingerprintMismatch(
                f"the two files in {path} belong to different phis, {shown(settings.get('fingerprint'))} and "
                f"{shown(function.fingerprint)}; save the value function again"
            )
        if settings.get("function") != _digest_of_function(function):
            raise CheckpointError(
                f"the two files in {path} were not saved together: saving was stopped half-way, or one of them was "
                "replaced. Save the value function again."
            )
        return LearnedValue(function=function, metric=metric, diagnostics=diagnostics, **tensors)


def _dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """That of the saved phis, if they may have it."""
    dtype = tensors["phis"].dtype if "phis" in tensors else None
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _digest_of_function(function: ValueFunction) -> str:
    """Sixteen hex digits over weights and scales: which function the observations beside it belong to."""
    total = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(function.state_dict().items()):
        total.update(name.encode() + tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _checked(path: Path, settings: Mapping[str, Any]) -> tuple[str, int, dict[str, float]]:
    metric, count, diagnostics = (settings.get(name) for name in ("metric", "count", "diagnostics"))
    sound = isinstance(metric, str) and type(count) is int and 0 <= count <= 1 << 24 and isinstance(diagnostics, dict)
    figures = diagnostics.values() if isinstance(diagnostics, dict) else ()
    if not sound or not all(type(figure) in (int, float) and abs(figure) < 1e300 for figure in figures):
        raise CheckpointError(
            f"{path / _POINTS} has settings that describe no observations: {shown(settings)}. Save it again."
        )
    assert isinstance(metric, str) and isinstance(count, int) and isinstance(diagnostics, dict)
    return metric, count, {str(name): float(figure) for name, figure in diagnostics.items()}
