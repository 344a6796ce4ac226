"""Losses of values: how far a prediction lies from its target."""

# Where two aim at a metric alike, the first here comes first.
LOSSES: tuple[str, ...] = ("mse", "mae", "huber", "quantile")
#: All of them are formulas of one difference.
FILES = dict.fromkeys(LOSSES, "differences")
