"""Recipes that build a problem: data, split, network, pre-training."""

from __future__ import annotations

from .datasets import DATASETS, Dataset, load_dataset
from .mlp import mlp
from .pretrain import Pretraining, pretrain
from .split import Indices, split
from .tabular import Materials, Rows, TabularTask


__all__ = [
    "DATASETS",
    "Dataset",
    "Indices",
    "Materials",
    "Pretraining",
    "Rows",
    "TabularTask",
    "load_dataset",
    "mlp",
    "pretrain",
    "split",
]
