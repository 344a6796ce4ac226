"""Losses made from a soft confusion matrix."""

LOSSES: tuple[str, ...] = ("soft_f_beta",)
