"""Losses of one example at a time: cross-entropy and what is built on it, and the Lovász extensions."""

LOSSES: tuple[str, ...] = (
    "cross_entropy",
    "focal",
    "class_balanced",
    "logit_adjusted",
    "lovasz_softmax",
    "lovasz_hinge",
)
