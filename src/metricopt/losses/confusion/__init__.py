"""Losses made from a soft confusion matrix."""

LOSSES: tuple[str, ...] = (
    "anyloss_accuracy",
    "anyloss_f_beta",
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
