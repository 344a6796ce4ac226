"""New losses: formulas found by evolution, their constants tuned by gradients through training, for any metric."""

from __future__ import annotations

from .candidate import Candidate
from .canonical import canonical, simplified
from .formula import Formula
from .learners import BaseTask, Learners, initial, taught, turned
from .local_search import folded, tuned, weight_slopes
from .loss_population import FormulaLosses, LossPopulation, Outputs, PlainLosses, flat
from .operators import OPERATORS, Operator, add_operator
from .rivals import NeuralLosses, gp_lfl, neural_loss, random_formulas, taylor, taylor_glo
from .search import KNOWN, SCALES, Final, finals, generations
from .settings import PRESETS, EvolutionSettings
from .state import FATES, Generation, SearchState
from .symbolic_loss import SymbolicLoss
from .text import parse, to_latex, to_text

__all__ = [
    "FATES",
    "KNOWN",
    "OPERATORS",
    "PRESETS",
    "SCALES",
    "BaseTask",
    "Candidate",
    "EvolutionSettings",
    "Final",
    "Formula",
    "FormulaLosses",
    "Generation",
    "Learners",
    "LossPopulation",
    "NeuralLosses",
    "Operator",
    "Outputs",
    "PlainLosses",
    "SearchState",
    "SymbolicLoss",
    "add_operator",
    "canonical",
    "finals",
    "flat",
    "folded",
    "generations",
    "gp_lfl",
    "initial",
    "neural_loss",
    "parse",
    "random_formulas",
    "simplified",
    "taught",
    "taylor",
    "taylor_glo",
    "to_latex",
    "to_text",
    "tuned",
    "turned",
    "weight_slopes",
]
