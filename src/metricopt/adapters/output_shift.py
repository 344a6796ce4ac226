"""Per-class shift and one temperature of the final scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor, nn

from .._errors import AdapterError, ConfigError, NotFoldable
from .._types import Role
from .adapter import Adapter, Call
from .channels import CONVOLUTIONS, LINEAR_MAPS
from .fold import scaled_and_shifted
from .site import Site


@final
@dataclass(frozen=True, kw_only=True)
class OutputShift(Adapter):
    """`scores * exp(log_temperature) + shift`, one shift per class.

    Without `where` it sits on the output of the whole model, and its slots are then named
    `output_shift.shift` and `output_shift.log_temperature`. With `where` it sits on the last of the
    sites that match. Folding works where the model's output is the output of a Linear or a
    convolution; behind a sigmoid, say, it raises `NotFoldable`.

    Args:
        temperature: False leaves the temperature out.
        axis: the class axis of scores with three or more axes. By default the channels of a
            convolution, else the last axis. Scores of shape `(N,)` have one shift.

    >>> OutputShift().shapes(Site(name="", module=nn.Sequential(), output_shape=(8, 3)))
    {'shift': (3,), 'log_temperature': ()}
    """

    types: ClassVar[tuple[type[nn.Module], ...]] = (nn.Module,)
    roles: ClassVar[Mapping[str, Role]] = {"shift": "shift", "log_temperature": "temperature"}

    temperature: bool = True
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.axis == 0:
            raise ConfigError("OutputShift.axis must not be 0, the axis of the examples; give 1, -1 or None")

    def select(self, sites: Sequence[Site]) -> list[Site]:
        """The whole model, or the last of the sites to finish."""
        return sorted(sites, key=lambda site: site.order)[-1:]

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        if site.output_shape is None or not site.output_shape:
            raise AdapterError(
                f"output_shift: the output of {site.label} is not a tensor of scores. "
                "Name the layer that gives the scores, for example where={'output_shift': 'classifier'}."
            )
        shape = site.output_shape
        shift = {"shift": (1 if len(shape) == 1 else shape[self._class_axis(site, len(shape))],)}
        return {**shift, "log_temperature": ()} if self.temperature else dict(shift)

    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        scores, shift = call.output, params["shift"].to(call.output.dtype)
        if scores.dim() > 1:
            behind = scores.dim() - 1 - self._class_axis(site, scores.dim()) % scores.dim()
            shift = shift.reshape(-1, *[1] * behind)
        if self.temperature:
            scores = scores * params["log_temperature"].exp().to(scores.dtype)
        return scores + shift

    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        if not isinstance(site.module, LINEAR_MAPS):
            raise NotFoldable(
                f"output_shift: the output of {site.label} is not the untouched output of one Linear or convolution "
                "that runs once, so no weights hold the shift. Use the adapted model as it is, or let the model "
                "return raw scores."
            )
        shape = site.output_shape or ()
        channels = len(shape) - 1 - (len(site.module.kernel_size) if isinstance(site.module, CONVOLUTIONS) else 0)
        if len(shape) > 1 and self._class_axis(site, len(shape)) % len(shape) != channels:
            raise NotFoldable(
                f"output_shift: the class axis {self.axis} is not the channel axis of {site.label}; "
                "leave OutputShift.axis at None to fold."
            )
        shift = params["shift"]
        temperature = params["log_temperature"].double().exp() if self.temperature else shift.new_ones(()).double()
        return scaled_and_shifted(site.module, temperature.expand_as(shift), shift)

    def _class_axis(self, site: Site, dims: int) -> int:
        if self.axis is not None:
            if not -dims <= self.axis < dims:
                raise ConfigError(f"OutputShift.axis is {self.axis}, but the scores of {site.label} have {dims} axes")
            return self.axis
        linear_map = (site.source or site).module
        if isinstance(linear_map, CONVOLUTIONS):
            return -1 - len(linear_map.kernel_size)
        return -1
