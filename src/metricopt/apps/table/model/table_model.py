"""Encoder, network and targets together: from a table to predictions, saved as one file."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from typing import Any, final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...._errors import CheckpointError, ConfigError
from ...._shown import shortened
from ...._typed import Typed, from_plain, to_plain
from ....runtime import check_template, read_tensors, write_tensors
from .class_labels import ClassLabels
from .encoder import TableEncoder
from .net import TableNet
from .target_scale import TargetScale

_KIND = "table model"
_VERSION = 1
#: Rows that are computed at once.
_BLOCK = 8192


@dataclass(frozen=True, kw_only=True)
class _Classes(Typed):
    classes: ClassLabels


@dataclass(frozen=True, kw_only=True)
class _Settings(Typed):
    """What a file says beside the weights."""

    encoder: TableEncoder
    network: TableNet
    target: _Classes | TargetScale


@final
@dataclass(frozen=True, kw_only=True)
class TableModel:
    """A trained network with all that is needed to apply it to a table.

    Args:
        encoder: from a table to `(N, F)`.
        shape: of the network.
        network: float32, as it was trained (for a regression: in standard deviations of the target).
        target: the classes, or the scale of the numbers.
    """

    encoder: TableEncoder
    shape: TableNet
    network: nn.Sequential = field(repr=False)
    target: ClassLabels | TargetScale

    def __post_init__(self) -> None:
        wanted = len(self.target) if isinstance(self.target, ClassLabels) and len(self.target) > 2 else 1
        if self.shape.features != self.encoder.width or self.shape.outputs != wanted:
            raise ConfigError(
                f"a table model needs a network from {self.encoder.width} features to {wanted} outputs, got "
                f"{self.shape.features} to {self.shape.outputs}"
            )

    def module(self) -> nn.Sequential:
        """The network to deploy: float64, in evaluation mode, numbers in the units of the targets."""
        if isinstance(self.target, TargetScale):
            return self.target.in_units(self.network).eval()
        return copy.deepcopy(self.network).double().eval()

    def outputs(self, table: Any) -> Tensor:
        """Scores `(N,)` of two classes or `(N, K)` of more, or predicted numbers `(N,)`, float64.

        Raises:
            DataError: the table does not have the columns that the encoder was fitted on.
        """
        encoded, module = self.encoder.transform(table), self.module()
        # In double precision a row's score does not depend on which rows are computed beside it.
        with torch.no_grad():
            out = torch.cat([module(block.double()) for block in encoded.split(_BLOCK)])
        return out[:, 0] if out.shape[1] == 1 else out

    def predict(self, table: Any) -> NDArray[Any]:
        """Class labels or numbers, `(N,)`."""
        outputs = self.outputs(table)
        if isinstance(self.target, TargetScale):
            return outputs.numpy()
        return self.target.decode(outputs.argmax(dim=1) if outputs.dim() == 2 else (outputs > 0).long())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file; nothing is pickled."""
        target = _Classes(classes=self.target) if isinstance(self.target, ClassLabels) else self.target
        settings = to_plain(_Settings(encoder=self.encoder, network=self.shape, target=target))
        write_tensors(path, self.network.state_dict(), kind=_KIND, version=_VERSION, settings=settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or not a table model.
        """
        tensors, settings = read_tensors(path, kind=_KIND, version=_VERSION)
        try:
            saved = from_plain(_Settings, settings, "table model")
            # A network of meta tensors costs nothing, however large a damaged file says it is.
            with torch.device("meta"):
                network = saved.network.layers()
            check_template(path, tensors, network.state_dict())
            # Copies: what comes out of a file need not lie where kernels want it, which could cost the last bit.
            network.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)
            target = saved.target.classes if isinstance(saved.target, _Classes) else saved.target
            return cls(encoder=saved.encoder, shape=saved.network, network=network.eval(), target=target)
        except (CheckpointError, ConfigError) as error:
            raise CheckpointError(f"{path} does not fit together: {shortened(error)}") from error
