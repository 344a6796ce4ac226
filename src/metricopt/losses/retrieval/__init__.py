"""Losses of embeddings: what is alike must lie close."""

LOSSES: tuple[str, ...] = (
    "fast_ap",
    "supervised_contrastive",
    "multi_similarity",
    "retrieval_smooth_ap",
    "retrieval_recall",
)
