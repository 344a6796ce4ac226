"""What n runs in lock-step left behind: the phis they visited and the utilities that were observed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from .._checks import at_least
from .._errors import CheckpointError, ConfigError, FingerprintMismatch
from .._phi import PhiSpec
from .._shown import shortened
from .._typed import Count, Least, Typed, from_plain, to_plain
from ..runtime import check_template, read_tensors, write_tensors

_KIND, _VERSION = "trajectories", 1
_MOST_NUMBERS = 1 << 40
_PHI_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class _Settings(Typed):
    """What a file says beside the tensors."""

    runs: Annotated[int, Least(1)]
    dim: Annotated[int, Least(1)]
    length: Count
    fingerprint: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runs * self.dim * max(self.length, 1) > _MOST_NUMBERS:
            raise ConfigError(f"{self.runs} runs of {self.length} phis of {self.dim} numbers fit into no file")


class Trajectories:
    """Append-only observations of n runs that advance together; a single run is n = 1.

    Args:
        runs: n, the number of runs.
        fingerprint: `PhiSpec.fingerprint` of the phi that the runs move.
        dim: d, the length of one phi.

    >>> runs = Trajectories(runs=2, fingerprint="none", dim=3)
    >>> runs.append(0, torch.zeros(2, 3), torch.tensor([0.5, 0.25]))
    >>> runs.append(1, torch.ones(2, 3))
    >>> tuple(runs.phis.shape), runs.steps.tolist(), runs.observed.sum().item()
    ((2, 2, 3), [0, 1], 2)
    """

    def __init__(self, *, runs: int, fingerprint: str, dim: int) -> None:
        self.runs = at_least("runs", runs, 1)
        self.dim = at_least("dim", dim, 1)
        self.fingerprint = fingerprint
        self._steps: list[int] = []
        self._phis: list[Tensor] = []
        self._utilities: list[Tensor] = []

    def __len__(self) -> int:
        """T, the number of appended steps."""
        return len(self._steps)

    def append(self, step: int, phis: Tensor, utilities: Tensor | None = None) -> None:
        """Add one step of all runs; nothing is added when an argument is refused.

        Args:
            step: number of the step, at least that of the step before.
            phis: `(n, d)`, copied.
            utilities: `(n,)` in [0, 1], NaN where a run was not observed; None where no run was.

        Raises:
            ConfigError: a decreasing step, a wrong shape or dtype, a phi that is not finite, a utility outside [0, 1].
        """
        at_least("step", step, self._steps[-1] if self._steps else 0)
        if tuple(phis.shape) != (self.runs, self.dim):
            raise ConfigError(f"phis must have shape {(self.runs, self.dim)}, got {tuple(phis.shape)}")
        if phis.dtype not in _PHI_DTYPES or (self._phis and phis.dtype != self._phis[0].dtype):
            wanted = self._phis[0].dtype if self._phis else "floating point"
            raise ConfigError(f"phis must be {wanted}, got {phis.dtype}; keep one dtype over all steps")
        if not bool(torch.isfinite(phis).all()):
            bad = (~torch.isfinite(phis).all(dim=1)).nonzero().flatten().tolist()
            raise ConfigError(f"phis of runs {bad} are not finite at step {step}; lower the learning rate")
        checked = self._checked(utilities)
        self._steps.append(step)
        self._phis.append(phis.detach().cpu().clone())
        self._utilities.append(checked)

    def _checked(self, utilities: Tensor | None) -> Tensor:
        if utilities is None:
            return torch.full((self.runs,), torch.nan, dtype=torch.float64)
        if tuple(utilities.shape) != (self.runs,):
            raise ConfigError(f"utilities must have shape {(self.runs,)}, got {tuple(utilities.shape)}")
        values = utilities.detach().to("cpu", torch.float64).clone()
        inside = torch.isnan(values) | ((values >= 0) & (values <= 1))
        if not bool(inside.all()):
            raise ConfigError(
                f"utilities must lie in [0, 1] or be NaN where not observed, got {values[~inside].tolist()}; "
                "pass raw metric values through Metric.utility first"
            )
        return values

    @property
    def phis(self) -> Tensor:
        """`(n, T, d)`, a copy."""
        return torch.stack(self._phis, dim=1) if self._phis else torch.zeros(self.runs, 0, self.dim)

    @property
    def utilities(self) -> Tensor:
        """`(n, T)` float64 with NaN where not observed, a copy."""
        if not self._utilities:
            return torch.zeros(self.runs, 0, dtype=torch.float64)
        return torch.stack(self._utilities, dim=1)

    @property
    def steps(self) -> Tensor:
        """`(T,)` int64."""
        return torch.tensor(self._steps, dtype=torch.int64)

    @property
    def observed(self) -> Tensor:
        """`(n, T)` bool: where a utility is known."""
        return ~torch.isnan(self.utilities)

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """The m observed phis `(m, d)` and their utilities `(m,)`, run by run."""
        observed = self.observed
        return self.phis[observed], self.utilities[observed]

    def select(self, runs: Sequence[int]) -> Trajectories:
        """The runs with these numbers, in this order."""
        index = torch.tensor(list(runs), dtype=torch.int64)
        if index.numel() == 0 or bool((index < 0).any()) or bool((index >= self.runs).any()):
            raise ConfigError(f"runs must be numbers from 0 to {self.runs - 1}, at least one; got {list(runs)}")
        return self._made(self._steps, [p[index] for p in self._phis], [u[index] for u in self._utilities])

    @staticmethod
    def stack(parts: Sequence[Trajectories]) -> Trajectories:
        """One set with the runs of all `parts`, which must share steps, dim, dtype and fingerprint."""
        if not parts:
            raise ConfigError("stack needs at least one set of trajectories, got none")
        first = parts[0]
        for other in parts[1:]:
            if other.fingerprint != first.fingerprint:
                raise FingerprintMismatch(
                    f"trajectories of phi {first.fingerprint} and of phi {other.fingerprint} cannot be stacked; "
                    "collect both from the same adapted architecture"
                )
            if other._steps != first._steps or other.dim != first.dim:
                raise ConfigError(
                    f"stacked trajectories must share dim and steps, got dim {first.dim} with {len(first)} steps and "
                    f"dim {other.dim} with {len(other)} steps; collect them with the same schedule"
                )
        phis = [torch.cat(group) for group in zip(*(part._phis for part in parts), strict=True)]
        utilities = [torch.cat(group) for group in zip(*(part._utilities for part in parts), strict=True)]
        return first._made(first._steps, phis, utilities, runs=sum(part.runs for part in parts))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to one safetensors file, atomically."""
        tensors = {"phis": self.phis, "utilities": self.utilities, "steps": self.steps}
        settings = _Settings(runs=self.runs, dim=self.dim, length=len(self), fingerprint=self.fingerprint)
        write_tensors(path, tensors, kind=_KIND, version=_VERSION, settings=to_plain(settings))

    @staticmethod
    def load(path: str | os.PathLike[str], *, spec: PhiSpec | None = None) -> Trajectories:
        """Read what `save` wrote; with `spec`, FingerprintMismatch unless it is the phi they were made for."""
        tensors, settings = read_tensors(path, kind=_KIND, version=_VERSION)
        known = from_plain(_Settings, settings, f"set of trajectories in {path}")
        runs, dim, length = known.runs, known.dim, known.length
        if spec is not None:
            spec.check_fingerprint(known.fingerprint, f"the file {path}")
        dtype = tensors["phis"].dtype if "phis" in tensors else torch.float32
        template = {
            "phis": torch.zeros(runs, length, dim, dtype=dtype, device="meta"),
            "utilities": torch.zeros(runs, length, dtype=torch.float64, device="meta"),
            "steps": torch.zeros(length, dtype=torch.int64, device="meta"),
        }
        check_template(path, tensors, template)
        loaded = Trajectories(runs=runs, fingerprint=known.fingerprint, dim=dim)
        try:
            for index, step in enumerate(tensors["steps"].tolist()):
                loaded.append(step, tensors["phis"][:, index], tensors["utilities"][:, index])
        except ConfigError as error:
            raise CheckpointError(f"{path} holds no trajectories: {shortened(error)}. Save it again.") from error
        return loaded

    def _made(
        self, steps: list[int], phis: list[Tensor], utilities: list[Tensor], *, runs: int | None = None
    ) -> Trajectories:
        count = runs if runs is not None else (len(phis[0]) if phis else self.runs)
        made = Trajectories(runs=count, fingerprint=self.fingerprint, dim=self.dim)
        made._steps, made._phis, made._utilities = list(steps), phis, utilities
        return made
