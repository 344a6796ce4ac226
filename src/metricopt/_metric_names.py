"""What metrics are called: the names of the library, others for the same, and those that losses may aim at."""

from __future__ import annotations

import re
from typing import Any

#: Other names of the very same metric: they are taken wherever its own name is.
#: The column "JAC" of the MetricOpt paper's Table 3 holds accuracy.
ALIASES = {
    **dict.fromkeys(("misclassification_rate", "error_rate"), "mcr"),
    "paper_jac": "accuracy",
    **dict.fromkeys(("positive_predictive_value", "ppv"), "precision"),
    **dict.fromkeys(("sensitivity", "true_positive_rate", "tpr"), "recall"),
    **dict.fromkeys(("true_negative_rate", "tnr"), "specificity"),
    **dict.fromkeys(("fpr", "fall_out"), "false_positive_rate"),
    **dict.fromkeys(("gmean", "geometric_mean"), "g_mean"),
    "matthews_corrcoef": "mcc",
    "cohen_kappa": "kappa",
    "roc_auc": "auroc",
}

#: What losses may aim at, and metrics that are near enough to it for the same losses: averages of it, estimates of the
#: same area. As `canonical` leaves their names. The names of the metric library come first.
AIMS: dict[str, tuple[str, ...]] = {
    "mcr": ("error", "zero_one", "hamming_distance", "hamming"),
    "accuracy": ("exact_match",),
    "f1": ("dice", "micro_f1", "macro_f1"),
    "f_beta": ("fbeta",),
    "jaccard": ("iou", "mean_iou", "miou", "jaccard_similarity"),
    "precision": (),
    "recall": (),
    "specificity": (),
    "false_positive_rate": (),
    "selection_rate": (),
    "g_mean": (),
    "balanced_accuracy": ("balanced_acc", "macro_recall"),
    "mcc": ("matthews_corr_coef",),
    "kappa": (),
    "auroc": ("auc", "auc_roc", "aucroc"),
    "average_precision": ("ap", "mean_average_precision", "map", "aucpr", "auc_pr", "auprc", "pr_auc"),
    "recall_at_k": ("top_k_accuracy", "hit_rate"),
    "precision_at_recall": ("precision_at_fixed_recall",),
    "youden_j": ("informedness", "true_skill_statistic", "tss"),
    "cost": ("expected_cost", "average_cost"),
    "log_loss": ("neg_log_loss", "nll", "cross_entropy"),
    "ndcg": ("normalized_dcg",),
    "spearman": ("spearmanr", "spearman_corr_coef"),
    "partial_auroc": ("pauc", "partial_auc"),
    "mean_squared_error": (
        "mse",
        "neg_mean_squared_error",
        "rmse",
        "root_mean_squared_error",
        "neg_root_mean_squared_error",
    ),
    "mean_absolute_error": ("mae", "neg_mean_absolute_error", "median_absolute_error"),
    "mean_pinball_loss": ("pinball",),
    "r2": ("explained_variance",),
    "map_at_r": ("mean_average_precision_at_r",),
}

#: One metric under two names, since the library has both directions of it.
SAME = dict.fromkeys(("accuracy", "mcr"), ("accuracy", "mcr"))

_CANONICAL = ALIASES | {other: name for name, others in AIMS.items() for other in (name, *others)}
_KINDS = re.compile(r"^(binary|multiclass|multilabel|retrieval)_|_(score|index|metric|coefficient)$")
_AVERAGE = re.compile(r"^(micro|macro|weighted)_|_(micro|macro|weighted)$")
#: Whole names of which the average is no option.
_CANONICAL_AVERAGES = ("macro_recall",)
_AVERAGES = re.compile(r"_(macro|micro|weighted|samples|ovr|ovo|ovr_weighted|ovo_weighted)$")


def canonical(name: str) -> str:
    """The name that cards use for the metric called `name`; a name that is not known comes back tidied.

    >>> [canonical(name) for name in ("f_beta(beta=2.0)", "BinaryF1Score", "roc_auc_ovr", "jaccard_score", "profit")]
    ['f_beta', 'f1', 'auroc', 'jaccard', 'profit']
    """
    bare = name.partition("(")[0].strip()
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower().replace(" ", "_").replace("-", "_")
    for candidate in (snake, _AVERAGES.sub("", snake)):
        while True:
            if candidate in _CANONICAL:
                return _CANONICAL[candidate]
            shorter = _KINDS.sub("", candidate, count=1)
            if shorter == candidate:
                break
            candidate = shorter
    return snake


def options_in(name: str) -> dict[str, Any]:
    """The options that a metric shows in its name.

    >>> options_in("f_beta(beta=2.0, average=micro)"), options_in("recall_at_k(k=5)"), options_in("profit")
    ({'beta': 2.0, 'average': 'micro'}, {'k': 5}, {})
    >>> options_in("f1_weighted"), options_in("macro_recall")
    ({'average': 'weighted'}, {})
    """
    found: dict[str, Any] = {}
    average = _AVERAGE.search(name.partition("(")[0])
    if average and name not in _CANONICAL_AVERAGES:
        found["average"] = average[1] or average[2]
    inside = name.partition("(")[2].removesuffix(")")
    for key, text in re.findall(r"(\w+)=([^,]+)", inside):
        found[key] = _value(text.strip())
    return found


def _value(text: str) -> int | float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
