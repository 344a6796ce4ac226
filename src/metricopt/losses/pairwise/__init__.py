"""Losses over pairs of a positive and a negative, and areas under curves."""

LOSSES: tuple[str, ...] = ("auroc_squared_hinge", "auroc_hinge", "auroc_logistic", "auc_margin", "aucpr")
