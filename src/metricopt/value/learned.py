"""A learned value function of scores, with the observations behind it: what travels from one model to the next."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from .._checks import finite_only
from .._digest import digest
from .._errors import CheckpointError, ConfigError, FingerprintMismatch
from .._shown import shown
from .._typed import Least, Most, Size, Typed, from_plain, to_plain
from ..profiles import Profile
from ..runtime import check_template, read_tensors, write_tensors
from .score_value import ScoreValue

_FILE = "learned_value.safetensors"
_KIND, _VERSION = "learned value function", 1
#: Nobody makes this many observations, or reads this many columns.
_MOST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Settings(Typed):
    """What a file says beside the tensors."""

    profile: str
    columns: Annotated[tuple[str, ...], Most(_MOST)]
    metric: str
    higher_is_better: bool
    kind: str
    width: int
    diagnostics: Mapping[str, Annotated[float, Size(1e300)]]
    count: Annotated[int, Least(2), Size(_MOST)]


@dataclass(frozen=True, kw_only=True)
class LearnedValue:
    """What `metricopt.learn_value` returns; give it to `optimize(..., value=)` for another model.

    It knows profiles of scores, not phi: it serves any architecture and any adapters, as long as the outputs are of
    the same kind.

    Args:
        profile: identity of the profile, see `Profile.identity`.
        columns: names of its numbers.
        families: `(K,)`, the number of each column's family.
        psi, utilities: `(m, K)` and `(m,)`: the profiles that were observed, and what the metric said.
        hyperparameters: of the Gaussian process.
        metric, higher_is_better: of the metric.
        kind, width: of the outputs: what `PROFILES` makes the profile from.
        diagnostics: how good it was on what it had not seen.
        rows: hashes of the examples that it was learned on, so that no acceptance test is made on them.
    """

    profile: str
    columns: Sequence[str] = field(repr=False)
    families: Tensor = field(repr=False)
    psi: Tensor = field(repr=False)
    utilities: Tensor = field(repr=False)
    hyperparameters: Tensor = field(repr=False)
    metric: str
    higher_is_better: bool
    kind: str = ""
    width: int = 1
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    rows: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagnostics", finite_only(self.diagnostics))
        columns, families = len(self.columns), int(self.families.max()) + 1 if len(self.families) else 0
        if self.families.shape != (columns,) or self.psi.shape != (len(self.utilities), columns) or not columns:
            raise ConfigError(
                f"observations must be profiles (m, {columns}) and utilities (m,), got {tuple(self.psi.shape)} and "
                f"{tuple(self.utilities.shape)}"
            )
        if len(self.utilities) < 2:
            raise ConfigError(f"a value function needs at least two observations, got {len(self.utilities)}")
        if self.hyperparameters.shape != (2 * families + 4,):
            raise ConfigError(
                f"{families} families of columns need {2 * families + 4} hyper-parameters, got "
                f"{tuple(self.hyperparameters.shape)}"
            )

    def __len__(self) -> int:
        return len(self.utilities)

    def __str__(self) -> str:
        """One line for a terminal."""
        told = f"value function for {self.metric}: {len(self.columns)} numbers of a profile, {len(self)} observations"
        rank = self.diagnostics.get("next_spearman")
        return told if rank is None else f"{told}, rank correlation {rank:.2f} with what it had not seen"

    @property
    def digest(self) -> str:
        """What tells it from another one."""
        return digest([self.psi, self.utilities, self.hyperparameters])

    @cached_property
    def function(self) -> ScoreValue:
        """profile -> expected utility and its spread."""
        value = ScoreValue(self.families, reads_phi=False)
        value.hyperparameters = self.hyperparameters.double().clone()
        return value.fit(self.psi, torch.zeros(len(self), 1), self.utilities, keep=True)

    def adapt(self, psi: Tensor, utilities: Tensor) -> LearnedValue:
        """A refit to old and new observations together; this one stays as it is.

        Raises:
            ConfigError: shapes that do not fit.
        """
        if psi.shape != (len(utilities), len(self.columns)) or utilities.dim() != 1:
            raise ConfigError(
                f"adapt needs profiles (k, {len(self.columns)}) and utilities (k,), got {tuple(psi.shape)} and "
                f"{tuple(utilities.shape)}"
            )
        both = torch.cat([self.psi, psi.to(self.psi)]), torch.cat([self.utilities, utilities.to(self.utilities)])
        value = ScoreValue(self.families, reads_phi=False).fit(both[0], torch.zeros(len(both[1]), 1), both[1])
        return replace(self, psi=both[0], utilities=both[1], hyperparameters=value.hyperparameters, diagnostics={})

    def check(self, profile: Profile | None, *, metric: str, higher_is_better: bool) -> None:
        """Raise where another profile, metric or direction is wanted."""
        if self.metric != metric:
            raise ConfigError(
                f"the value function was learned for the metric {shown(self.metric)}, but {metric!r} is wanted; "
                "learn one for it, or give the metric the same name if it is the same"
            )
        if self.higher_is_better != higher_is_better:
            raise ConfigError(
                f"the value function was learned for a metric whose {'higher' if self.higher_is_better else 'lower'} "
                "values are better, this one is the other way round; learn one for it"
            )
        if profile is None or profile.identity != self.profile:
            theirs = "outputs without a profile" if profile is None else f"{len(profile.columns)} columns"
            raise FingerprintMismatch(
                f"the value function reads another profile: its {len(self.columns)} columns begin with "
                f"{', '.join(self.columns[:3])}; this model has {theirs}. It serves models whose outputs are of the "
                "same kind, with as many classes and the same slices; learn one for this kind"
            )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write one file in `folder`, atomically."""
        path = Path(folder)
        tensors = {
            "psi": self.psi.double(),
            "utilities": self.utilities.double(),
            "families": self.families.long(),
            "hyperparameters": self.hyperparameters.double(),
            "rows": self.rows,
        }
        known = {each.name: getattr(self, each.name) for each in fields(_Settings) if each.name != "count"}
        settings = to_plain(_Settings(**known, count=len(self)))
        write_tensors(path / _FILE, tensors, kind=_KIND, version=_VERSION, settings=settings)
        return path

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> LearnedValue:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or not what its name says.
        """
        path = Path(folder)
        if not path.is_dir():
            raise CheckpointError(f"there is no folder {str(path)!r}; give one that LearnedValue.save wrote")
        file = path / _FILE
        tensors, settings = read_tensors(file, kind=_KIND, version=_VERSION)
        known = vars(from_plain(_Settings, settings, f"value function in {file}")).copy()
        count, columns = known.pop("count"), len(known["columns"])
        families = tensors.get("families", torch.zeros(0, dtype=torch.int64))
        if families.dtype != torch.int64 or families.shape != (columns,) or not _is_numbering(families):
            raise CheckpointError(f"{file} has families that do not number its {columns} columns. Save it again.")
        size = 2 * (int(families.max()) + 1) + 4
        template = {
            "psi": torch.zeros(count, columns, dtype=torch.float64, device="meta"),
            "utilities": torch.zeros(count, dtype=torch.float64, device="meta"),
            "families": torch.zeros(columns, dtype=torch.int64, device="meta"),
            "hyperparameters": torch.zeros(size, dtype=torch.float64, device="meta"),
            "rows": torch.zeros(tensors["rows"].numel() if "rows" in tensors else 0, dtype=torch.int64, device="meta"),
        }
        check_template(file, tensors, template)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise CheckpointError(f"{file} holds numbers that are not finite. Save it again.")
        return LearnedValue(**known, **tensors)  # type: ignore[arg-type]


def _is_numbering(families: Tensor) -> bool:
    """Whether 0, 1, 2, ... all occur."""
    return len(families) > 0 and families.unique().tolist() == list(range(int(families.max()) + 1))
