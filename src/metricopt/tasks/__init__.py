"""Recipes that build a problem: data, split, network, pre-training, and an outside reference."""

from __future__ import annotations

from .build_problem import adapter_set, build_problem, build_workload
from .datasets import DATASETS, Dataset, load_dataset
from .pretrain import Pretraining, pretrain
from .tabular import Materials, Rows, TabularTask, mlp

__all__ = [
    "DATASETS",
    "Dataset",
    "Materials",
    "Pretraining",
    "Rows",
    "TabularTask",
    "adapter_set",
    "build_problem",
    "build_workload",
    "load_dataset",
    "mlp",
    "pretrain",
]
