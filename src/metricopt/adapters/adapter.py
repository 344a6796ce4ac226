"""What every adapter does: choose sites, name its parameters, change an output, fold into weights."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._errors import AdapterError
from .._types import Role
from .site import Site


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a module: what went in and what came out before this adapter."""

    output: Tensor
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None

    @property
    def input(self) -> Tensor:
        """The first input, however it was passed."""
        value = self.args[0] if self.args else next(iter((self.kwargs or {}).values()), None)
        if not isinstance(value, Tensor):
            raise AdapterError(f"the first input of an adapted module must be a tensor, got {type(value).__name__}")
        return value


@dataclass(frozen=True, kw_only=True)
class Adapter(ABC):
    """A way for phi to enter a module. Stateless: parameters and constants are handed in.

    Parameters are offsets, so zeros are the identity. Subclasses are final, frozen and keyword-only.
    """

    #: Module types that this adapter can be put on.
    types: ClassVar[tuple[type[nn.Module], ...]]
    #: What each named parameter does.
    roles: ClassVar[Mapping[str, Role]] = {}
    #: True where `apply` needs the input of the site, not only its output.
    reads_input: ClassVar[bool] = False

    @classmethod
    def kind(cls) -> str:
        """The name in slot names and in the registry: the class name in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def select(self, sites: Sequence[Site]) -> list[Site]:
        """Which of the candidate sites it takes; here all of them."""
        return list(sites)

    @abstractmethod
    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        """The named parameters at this site and their shapes."""

    def constants(self, site: Site, generator: torch.Generator) -> dict[str, Tensor]:
        """Frozen tensors of this site, float32 on the CPU; here none."""
        return {}

    @abstractmethod
    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        """The new output of the site, in the dtype of the old one; zeros give the old one."""

    @abstractmethod
    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        """A new module of the same class whose own weights do what `apply` did.

        Raises:
            NotFoldable: no weights of this class give the same function.
        """
