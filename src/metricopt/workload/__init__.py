"""An adapted model and its data: expensive, shared, and without a metric."""

from __future__ import annotations

from .examples import Examples, as_examples
from .kinds import OUTPUT_KINDS, OutputKind, output_kind
from .nests import concatenated, member, rows_of, take
from .phi_scale import default_phi_scale
from .resampling import few_classes, resample, resampling_of, spread_factor
from .stream import Stream
from .streamed import StreamedWorkload
from .tensors import TensorWorkload
from .training_loss import TrainingLoss
from .workload import Workload

__all__ = [
    "OUTPUT_KINDS",
    "Examples",
    "OutputKind",
    "Stream",
    "StreamedWorkload",
    "TensorWorkload",
    "TrainingLoss",
    "Workload",
    "as_examples",
    "concatenated",
    "default_phi_scale",
    "few_classes",
    "member",
    "output_kind",
    "resample",
    "resampling_of",
    "rows_of",
    "spread_factor",
    "take",
]
