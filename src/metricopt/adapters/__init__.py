"""How phi enters a model: adapters at sites, one vector for all of them."""

from __future__ import annotations

from .adapted_model import AdaptedModel
from .adapter import Adapter, Call
from .attach import attach
from .input_bias import InputBias
from .output_shift import OutputShift
from .probe import find_sites
from .projection import Projected
from .site import Site

__all__ = [
    "AdaptedModel",
    "Adapter",
    "Call",
    "InputBias",
    "OutputShift",
    "Projected",
    "Site",
    "attach",
    "find_sites",
]
