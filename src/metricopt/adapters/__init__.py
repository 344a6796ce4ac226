"""How phi enters a model: adapters at sites, one vector for all of them."""

from __future__ import annotations

from .adapted_model import AdaptedModel
from .adapter import Adapter, Call
from .attach import attach
from .cards import ADAPTERS, AdapterCard
from .conditional_norm import ConditionalNorm
from .film import Film
from .input_bias import InputBias
from .lora import LoRA
from .output_shift import OutputShift
from .probe import find_sites
from .projection import Projected
from .site import Site

__all__ = [
    "ADAPTERS",
    "AdaptedModel",
    "Adapter",
    "AdapterCard",
    "Call",
    "ConditionalNorm",
    "Film",
    "InputBias",
    "LoRA",
    "OutputShift",
    "Projected",
    "Site",
    "attach",
    "find_sites",
]
