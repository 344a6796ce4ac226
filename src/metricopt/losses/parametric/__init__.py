"""Families of losses with parameters of their own, to be set by whoever controls them."""

LOSSES: tuple[str, ...] = ()
