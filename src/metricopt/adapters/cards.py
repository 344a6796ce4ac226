"""One card per adapter: what it is, for the command line, the docs and the tests."""

from __future__ import annotations

from dataclasses import dataclass

from .._registry import Registry
from .adapter import Adapter
from .conditional_norm import ConditionalNorm
from .film import Film
from .input_bias import InputBias
from .lora import LoRA
from .output_shift import OutputShift


@dataclass(frozen=True, kw_only=True)
class AdapterCard:
    """What a registered adapter is.

    `sites` says where it goes by default, `phi` how many numbers it has there, `folds` into what.
    """

    name: str
    adapter: type[Adapter]
    summary: str
    sites: str
    phi: str
    folds: str
    paper: str = ""


ADAPTERS: Registry[AdapterCard] = Registry("adapter")


def _register(adapter: type[Adapter], *, summary: str, sites: str, phi: str, folds: str, paper: str = "") -> None:
    name = adapter.kind()
    ADAPTERS.add(
        name,
        AdapterCard(name=name, adapter=adapter, summary=summary, sites=sites, phi=phi, folds=folds, paper=paper),
    )


_register(
    InputBias,
    summary="a fixed random projection from phi to the bias of the first layer",
    sites="the first Linear or convolution to run",
    phi="dim",
    folds="the bias of that layer",
    paper='MetricOpt 2021, "dynamic biases at the input layer"; CAVIA 2019',
)
_register(
    OutputShift,
    summary="a shift per class and one temperature of the final scores",
    sites="the output of the whole model",
    phi="classes + 1",
    folds="the last Linear or convolution, if the model returns its output untouched",
)
_register(
    Film,
    summary="a gain and a shift per channel",
    sites="every Linear, convolution and norm",
    phi="2 per channel",
    folds="weight and bias of the module",
    paper="FiLM 2018; MetricOpt 2021",
)
_register(
    ConditionalNorm,
    summary="offsets of a norm's affine weight and bias",
    sites="every batch, layer and group norm",
    phi="2 per channel",
    folds="the affine weight and bias of the norm",
    paper="conditional batch norm 2017; MetricOpt 2021",
)
_register(
    LoRA,
    summary="a low-rank offset of a weight, with a fixed random first factor",
    sites="every Linear and convolution",
    phi="rank per output channel",
    folds="the weight of the module",
    paper="LoRA 2022",
)
