"""What a model's outputs are: said by the user, or beyond doubt."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from .._checks import one_of
from .._errors import ConfigError
from .._scores import class_axis

#: Labels by the sign of one score; by the largest of several; by the sign of each of several; real numbers; points
#: whose distances count; detections; a class for each position (pixel, token); the order of the documents of a query,
#: one list an example; anything else, which only the metric reads.
OutputKind: TypeAlias = Literal[
    "binary", "multiclass", "multilabel", "values", "embeddings", "boxes", "positions", "lists", "other"
]
OUTPUT_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)


def output_kind(outputs: Any, targets: Any, *, declared: str | None = None, labels: Tensor | None = None) -> OutputKind:
    """The kind of `outputs`; nothing is guessed where several readings fit.

    Args:
        outputs: of the model, for a few examples.
        targets: of the same examples.
        declared: what the user says they are.
        labels: all targets at hand, to see how many classes occur; by default `targets`.

    Raises:
        ConfigError: several readings fit, or `declared` does not fit.

    >>> output_kind(torch.zeros(3, 1), torch.tensor([0.0, 1.0, 1.0]))
    'binary'
    >>> output_kind(torch.zeros(3, 64), torch.tensor([0, 7, 19]))
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: the model gives 64 numbers, but only 3 different labels up to 19 ...
    """
    found = targets if labels is None else labels
    if declared is not None:
        return _declared(declared, outputs, targets, found)
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or not outputs.is_floating_point():
        return "other"
    if _flat(outputs) and _flat(targets):
        return "binary" if _are_labels(found, 2) else "values"
    if outputs.dim() == 2 and _flat(targets):
        return _classes_or_points(outputs.shape[1], found)
    if outputs.shape == targets.shape:
        return "multilabel" if outputs.dim() == 2 and _are_labels(found, 2) else "values"
    return "other" if class_axis(outputs, targets) is None else "positions"


def check_labels(kind: OutputKind, targets: Tensor, outputs: Tensor, name: str) -> None:
    """Raise ConfigError where labels are numbered otherwise than scores are: from 1, or -1 and 1; or are not there."""
    if bool(targets.isnan().any()) if targets.is_floating_point() else False:
        at = int(targets.reshape(len(targets), -1).isnan().any(dim=1).nonzero()[0, 0])
        raise ConfigError(
            f"the targets of {name} hold NaN, the first one in row {at} (counted from 0); leave these rows out, or "
            "fill in what is known"
        )
    if kind == "multiclass" and _whole(targets):
        low, high, classes = int(targets.min()), int(targets.max()), outputs.shape[1]
        if (low, high) == (1, classes):
            raise ConfigError(
                f"the labels of {name} run from 1 to {classes}, but scores are counted from 0: give targets - 1"
            )
        if low < 0 or high >= classes:
            raise ConfigError(
                f"the labels of {name} run from {low} to {high}, but the model has {classes} scores for the classes 0 "
                f"to {classes - 1}; number the classes from 0, or give a model with a score for each"
            )


def is_minus_one(targets: Any) -> bool:
    """Whether labels are -1 and 1."""
    return isinstance(targets, Tensor) and bool(((targets == -1) | (targets == 1)).all() & (targets == -1).any())


def _classes_or_points(classes: int, labels: Tensor) -> OutputKind:
    if not _whole(labels):
        return "other"
    different = len(labels.unique())
    high = int(labels.max())
    if high == classes - 1 or 2 * different >= classes or (high == classes and int(labels.min()) == 1):
        return "multiclass"
    raise ConfigError(
        f"the model gives {classes} numbers, but only {different} different labels up to {high} occur: these may be "
        f"points whose distances count, or the scores of a classifier with {classes} classes. "
        'Please say outputs="embeddings" or outputs="multiclass"'
    )


def _declared(declared: str, outputs: Any, targets: Any, labels: Any) -> OutputKind:
    one_of("outputs", declared, OUTPUT_KINDS)
    kind = next(one for one in OUTPUT_KINDS if one == declared)
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else None
    wide = shape is not None and len(shape) == 2 and shape[1] > 1
    fits = {
        "binary": shape is not None and _flat(outputs),
        "multiclass": wide and isinstance(targets, Tensor) and _flat(targets),
        "multilabel": wide and isinstance(targets, Tensor) and tuple(targets.shape) == shape,
        "values": shape is not None,
        "embeddings": shape is not None and len(shape) == 2,
        "lists": shape is not None and isinstance(targets, Tensor) and _same_lists(shape, tuple(targets.shape)),
        "positions": shape is not None and len(shape) > 2,
    }
    if not fits.get(kind, True):
        what = f"shape {shape}" if shape is not None else f"a {type(outputs).__name__}"
        raise ConfigError(
            f"outputs={declared!r} does not go with outputs of {what} and these targets; see OUTPUT_KINDS"
        )
    return kind


def _same_lists(outputs: tuple[int, ...], targets: tuple[int, ...]) -> bool:
    """A score for each document, and its relevance."""
    return len(targets) == 2 and outputs in (targets, (*targets, 1))


def _flat(tensor: Tensor) -> bool:
    return tensor.dim() == 1 or (tensor.dim() == 2 and tensor.shape[1] == 1)


def _whole(labels: Tensor) -> bool:
    return not labels.is_floating_point() or bool((labels == labels.round()).all())


def _are_labels(targets: Tensor, classes: int) -> bool:
    return bool(_whole(targets) and (targets >= 0).all() and (targets < classes).all())


def labels_of(targets: Any) -> Tensor:
    """Targets as a tensor on the CPU, or an empty one."""
    return targets.detach().cpu() if isinstance(targets, Tensor) else torch.zeros(0)
