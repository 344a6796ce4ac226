"""Losses with parameters of their own: a head that is trained along, and families that somebody else controls."""

LOSSES: tuple[str, ...] = (
    "large_margin_softmax",
    "learned_surrogate",
    "moew",
    "ala",
    "l2t_dlf",
)
