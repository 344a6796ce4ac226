"""Table 3 of the MetricOpt paper: A9A and CoverType."""

from __future__ import annotations

from collections.abc import Callable

from .._registry import Registry
from ..methods import METHODS
from .reference_methods import REFERENCES
from .spec import PaperFigure, TableSpec

TITLES = {"accuracy": 'accuracy (the paper\'s "JAC")', "jaccard": "Jaccard (true)", "mcr": "MCR", "f1": "F1"}


#: The rows of the paper's table: their names, the same in words, and our methods that do the same.
_PAPER_ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CE": ("cross-entropy", ("as_trained",)),
    "LO": ("Lovász-Softmax loss", ()),
    "CS": ("cost-sensitive loss", ()),
    "SL": ("learned surrogate loss", ()),
    "MO": ("MetricOpt", ("metricopt", "metricopt_adam", "metricopt_paper")),
}


def _figures(**values: float) -> tuple[PaperFigure, ...]:
    return tuple(
        PaperFigure(label=label, title=_PAPER_ROWS[label][0], value=value, beside=_PAPER_ROWS[label][1])
        for label, value in values.items()
    )


#: MetricOpt, Table 3, by (data set, metric).
PAPER = {
    ("a9a", "mcr"): _figures(CE=0.1520, SL=0.1502, MO=0.1369),
    ("a9a", "accuracy"): _figures(LO=0.8461, SL=0.8488, MO=0.8691),
    ("a9a", "f1"): _figures(CS=0.6823, SL=0.6866, MO=0.6934),
    ("covtype", "mcr"): _figures(CE=0.2149, SL=0.2198, MO=0.2057),
    ("covtype", "accuracy"): _figures(LO=0.7406, SL=0.7808, MO=0.7758),
    ("covtype", "f1"): _figures(CS=0.7695, SL=0.7898, MO=0.8013),
}


def full() -> TableSpec:
    """Everything: 10 seeds of both data sets under both samplers."""
    return TableSpec(
        title="Table 3: tabular data",
        data=("a9a", "covtype"),
        samplers=("balanced", "plain"),
        methods=(*METHODS, *REFERENCES),
        metrics=("mcr", "f1", "accuracy", "jaccard", "average_precision"),
        seeds=tuple(range(10)),
        titles=TITLES,
        paper=PAPER,
        source="MetricOpt (Huang et al., CVPR 2021), Table 3",
    )


def smoke() -> TableSpec:
    """The same machinery on data that need no download, within a minute."""
    return TableSpec(
        title="Table 3, smoke test",
        data=("synthetic", "breast_cancer"),
        samplers=("balanced",),
        methods=("as_trained", "loss_finetune", "threshold", "random_search", "metricopt", "boosted_trees_threshold"),
        metrics=("mcr", "f1", "accuracy"),
        seeds=(0, 1),
        calls=40,
        titles=TITLES,
    )


PRESETS: Registry[Callable[[], TableSpec]] = Registry("preset")
PRESETS.add("full", full)
PRESETS.add("smoke", smoke)
