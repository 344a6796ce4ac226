"""Losses of a whole confusion matrix: from soft counts, or extensions of a set function."""

# Where two aim at a metric alike, the first here comes first: see section 5 of the lab notes.
LOSSES: tuple[str, ...] = (
    "anyloss_accuracy",
    "anyloss_f_beta",
    "lovasz_hinge",
    "lovasz_softmax",
    "anyloss_jaccard",
    "anyloss_balanced_accuracy",
    "anyloss_g_mean",
    "anyloss_youden_j",
    "anyloss_mcc",
    "anyloss_kappa",
    "anyloss_precision_at_recall",
    "anyloss_cost",
    "soft_f_beta",
    "sigmoid_f1",
    "cost_sensitive_f",
    "score_oriented",
)

#: Losses that share a file, a table of formulas: its `ENTRIES` has them by name.
FILES: dict[str, str] = {
    name: "anyloss_metrics" for name in LOSSES if name.startswith("anyloss_") and name != "anyloss_precision_at_recall"
}
