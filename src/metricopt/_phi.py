"""The layout of phi: which slice of the flat vector belongs to which named parameter."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ._errors import ConfigError, FingerprintMismatch
from ._types import Role


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One named parameter inside phi, and the part that it plays: whoever needs a shift looks for the role, not the
    name."""

    name: str
    shape: tuple[int, ...]
    role: Role = "other"

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class PhiSpec:
    """The ordered slots of phi, and what they were made for.

    `origin` is free text that describes where the slots come from (adapter settings, site names and
    shapes, projection seed). Two specs with equal fingerprints give phi the same meaning, so a value
    function or a trajectory may travel between them.

    >>> spec = PhiSpec(slots=(Slot(name="shift", shape=(2,)), Slot(name="film", shape=(2, 3))))
    >>> spec.dim
    8
    >>> {name: tuple(t.shape) for name, t in spec.split(torch.zeros(5, 8)).items()}
    {'shift': (5, 2), 'film': (5, 2, 3)}
    """

    slots: tuple[Slot, ...]
    origin: str = ""

    def __post_init__(self) -> None:
        names = [slot.name for slot in self.slots]
        if not names:
            raise ConfigError("a PhiSpec needs at least one slot, got none; give at least one adapter site")
        if len(set(names)) != len(names):
            raise ConfigError(f"slot names must be unique, got {names}; rename one of the duplicates")

    @property
    def dim(self) -> int:
        return sum(slot.numel for slot in self.slots)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over names, shapes and origin."""
        text = json.dumps([[(s.name, s.shape) for s in self.slots], self.origin])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def slice_of(self, name: str) -> slice:
        """The range of phi that holds slot `name`; raises ConfigError with the known names."""
        start = 0
        for slot in self.slots:
            if slot.name == name:
                return slice(start, start + slot.numel)
            start += slot.numel
        raise ConfigError(f"phi has no slot {name!r}; its slots are {[s.name for s in self.slots]}")

    def with_role(self, role: Role) -> list[Slot]:
        """The slots of that role, in order."""
        return [slot for slot in self.slots if slot.role == role]

    def split(self, phi: Tensor) -> dict[str, Tensor]:
        """`(..., dim)` to `{name: (..., *shape)}`; views, so gradients flow back to phi."""
        self.check(phi)
        parts = torch.split(phi, [slot.numel for slot in self.slots], dim=-1)
        return {
            slot.name: part.reshape((*phi.shape[:-1], *slot.shape))
            for slot, part in zip(self.slots, parts, strict=True)
        }

    def join(self, named: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `split`: `{name: (..., *shape)}` to `(..., dim)`."""
        expected = {slot.name for slot in self.slots}
        if set(named) != expected:
            raise ConfigError(f"join needs exactly the slots {sorted(expected)}, got {sorted(named)}")
        parts = []
        for slot in self.slots:
            tensor = named[slot.name]
            lead = tensor.shape[: tensor.dim() - len(slot.shape)]
            if tuple(tensor.shape[len(lead) :]) != slot.shape:
                raise ConfigError(f"slot {slot.name!r} has shape {slot.shape}, got {tuple(tensor.shape)}")
            parts.append(tensor.reshape(*lead, slot.numel))
        return torch.cat(parts, dim=-1)

    def check(self, phi: Tensor) -> None:
        """Raise ConfigError unless the last dimension of `phi` is `dim`."""
        if phi.dim() == 0 or phi.shape[-1] != self.dim:
            raise ConfigError(f"phi must end in dimension {self.dim}, got shape {tuple(phi.shape)}")

    def check_fingerprint(self, fingerprint: str, what: str) -> None:
        """Raise FingerprintMismatch unless `fingerprint` is this spec's."""
        if fingerprint != self.fingerprint:
            raise FingerprintMismatch(
                f"{what} was made for a phi with fingerprint {fingerprint}, but this model's phi has "
                f"{self.fingerprint} ({self.dim} numbers in slots {[s.name for s in self.slots]}). "
                "Attach the same adapters to the same architecture, or learn a new one."
            )
