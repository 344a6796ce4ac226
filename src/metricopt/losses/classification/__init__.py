"""Losses of one example at a time: cross-entropy and what is built on it."""

# Where two aim at a metric alike, the first here comes first: see section 5 of the lab notes.
LOSSES: tuple[str, ...] = (
    "cross_entropy",
    "focal",
    "class_balanced",
    "logit_adjusted",
    "label_smoothing",
    "sparse_label_smoothing",
)
#: Files that hold several.
FILES = {"label_smoothing": "smoothing", "sparse_label_smoothing": "smoothing"}
