"""Learn utility: as a function of profiles of scores, or of phi from what runs left behind (paper section 3.1)."""

from .fit import FitConfig, FitReport, fit
from .frozen import FrozenValue
from .gaussian_process import Hyperparameters, Interpolation, interpolate
from .learned import LearnedValue
from .learned_loss import LearnedLoss
from .network import ValueFunction
from .quality import Quality, quality
from .reading import Part, Reading, read_metric
from .reptile import PAPER_REPTILE, ReptileConfig, ReptileReport, reptile
from .score_value import ScoreValue
from .trajectory import Trajectories

__all__ = [
    "PAPER_REPTILE",
    "FitConfig",
    "FitReport",
    "FrozenValue",
    "Hyperparameters",
    "Interpolation",
    "LearnedLoss",
    "LearnedValue",
    "Part",
    "Quality",
    "Reading",
    "ReptileConfig",
    "ReptileReport",
    "ScoreValue",
    "Trajectories",
    "ValueFunction",
    "fit",
    "interpolate",
    "quality",
    "read_metric",
    "reptile",
]
