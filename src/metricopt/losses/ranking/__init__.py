"""Losses of the order of lists: ranks, average precision, NDCG, correlation."""

LOSSES: tuple[str, ...] = (
    "smooth_ap",
    "ndcg_lambda",
    "blackbox_ap",
    "blackbox_recall",
    "error_driven_ap",
    "soap",
    "soft_spearman",
)
