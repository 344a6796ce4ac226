"""Losses of embeddings: what is alike must lie close."""

LOSSES: tuple[str, ...] = ()
