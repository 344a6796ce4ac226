"""Tables of mixed columns as tensors, and a network for them."""

from __future__ import annotations

from ....metrics.told_range import WIDE
from .class_labels import ClassLabels
from .encoder import TableEncoder
from .metric_in_units import metric_of_numbers
from .net import TableNet
from .raw_column import is_frame
from .table_model import TableModel
from .target_scale import TargetScale
from .train import Epoch, TableRows, TableTraining, train_table_net
from .weights import class_weights

__all__ = [
    "WIDE",
    "ClassLabels",
    "Epoch",
    "TableEncoder",
    "TableModel",
    "TableNet",
    "TableRows",
    "TableTraining",
    "TargetScale",
    "class_weights",
    "is_frame",
    "metric_of_numbers",
    "train_table_net",
]
