"""What the scores of the model as it was given, and its data, say before the metric is asked for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import DataError
from .._random import generator
from ..adapters.probe import invoke
from ..workload import Examples, Stream
from ..workload.nests import mapped
from .same_rows import leaked

#: So many examples of train are looked at: they are drawn in mini-batches, and one bad one is met sooner or later.
MOST_OF_TRAIN = 4096
#: With fewer scores between 0 and 1 chance may have put them there.
_ENOUGH_SCORES = 100
#: Tables of few values hold equal rows by nature; beyond this share the model was trained on what it is judged by.
_MOST_TRAINED_ON = 0.9
#: Rows of a stream are dear, so that only some of them are read, and the share is an estimate.
_STREAMED, _MOST_ESTIMATED = 2048, 0.6


def check_finite(
    scores: Any, examples: Examples | Stream, name: str, *, whole: Examples | Stream | None = None
) -> None:
    """Raise DataError where a score is NaN or infinite.

    Args:
        scores: `(N, ...)`, of the model as it was given.
        examples: `(N, ...)`, that the scores are of.
        name: of the argument that they come from.
        whole: all examples of that argument, if `examples` are a part: the message then counts in these.

    >>> rows = Examples(inputs=torch.tensor([[1.0], [torch.nan]]), targets=torch.zeros(2))
    >>> check_finite(rows.inputs, rows, "val")
    Traceback (most recent call last):
    ...
    metricopt._errors.DataError: ... of 1 of the 2 examples looked at in val are NaN or infinite, the first one ...
    """
    if not isinstance(scores, Tensor):
        return
    bad = ~scores.isfinite().reshape(len(scores), -1).all(dim=1)
    if not bool(bad.any()):
        return
    at = bad.nonzero()[:, 0].cpu()
    broken = ~_all_finite(examples.take(at))
    first = int(at[0])
    if whole is not None:
        found = (whole.hashes == examples.hashes[first]).nonzero()
        first = int(found[0, 0]) if len(found) else first
    if bool(broken.any()):
        count = int(broken.sum())
        why = f"the inputs of {count} of them hold NaN or infinities; fill them in, or leave these examples out"
    else:
        why = (
            "their inputs are finite, so the model makes them; look at its weights, "
            "and mask by a large negative number in place of -inf"
        )
    raise DataError(
        f"the model's scores of {len(at)} of the {len(scores)} examples looked at in {name} are NaN or infinite, "
        f"the first one at row {first} (counted from 0): {why}"
    )


def _all_finite(examples: Examples | Stream) -> Tensor:
    """`(N,)`: whether all real numbers of an example are finite."""
    if isinstance(examples, Stream):
        return torch.cat([_all_finite(Examples(inputs=rows[0], targets=rows[1])) for rows in examples.batches()])
    count = len(examples)
    found = torch.ones(count, dtype=torch.bool)

    def look(tensor: Tensor) -> None:
        if tensor.is_floating_point():
            found.logical_and_(tensor.isfinite().reshape(count, -1).all(dim=1).cpu())

    mapped(look, examples.inputs)
    return found


def like_probabilities(model: nn.Module, scores: Sequence[Tensor], inputs: Any) -> str | None:
    """What to say where the scores of a binary model look as if they had passed a sigmoid, else None.

    What a linear layer gives without anything behind it are no probabilities.

    Args:
        model: as it was given, or a copy.
        scores: `(N, ...)` each.
        inputs: some, on the device of `model`.
    """
    flat = torch.cat([one.reshape(-1).cpu() for one in scores])
    if len(flat) < _ENOUGH_SCORES or not bool(((flat >= 0) & (flat <= 1)).all()) or _ends_linear(model, inputs):
        return None
    return (
        f"all {len(flat):,} scores of val lie between 0 and 1, as if the model ended in a sigmoid. Scores are raw "
        "here: above 0 means the positive class, so every example counts as positive. If it does end in a sigmoid, "
        "give the model without it; if not, leave it as it is"
    )


def _ends_linear(model: nn.Module, inputs: Tensor) -> bool:
    """Whether what `model` returns is what one of its linear layers gave."""
    given: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, output: given.append(output))
        for module in model.modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            scores = invoke(model, inputs).reshape(-1)
    finally:
        for handle in handles:
            handle.remove()
    return any(one.numel() == scores.numel() and torch.equal(one.reshape(-1), scores) for one in given)


def one_class(targets: Any) -> str | None:
    """What to say where labels of val are all the same, else None.

    >>> one_class(torch.tensor([1, 1, 1]))[:31], one_class(torch.tensor([1, 0]))
    ('all 3 targets of val are 1, so ', None)
    """
    if not bool((targets == targets.reshape(-1)[0]).all()):
        return None
    return (
        f"all {len(targets):,} targets of val are {targets.reshape(-1)[0].item():g}, so the best that can be found is "
        "to say so always; give val examples of all classes"
    )


def trained_on(train: Examples | Stream, judged: Examples | Stream, name: str) -> str | None:
    """What to say where nearly all rows of `judged`, the argument `name`, are also in `train`; else None.

    >>> rows = Examples(inputs=torch.arange(50.0)[:, None], targets=torch.zeros(50))
    >>> (trained_on(rows, rows, "val") or "")[:41]
    '100 % of the rows of val are also in trai'
    """
    if isinstance(train, Stream):
        about, share, most = "about ", _estimated(train, judged), _MOST_ESTIMATED
    else:
        about, share, most = "", leaked(judged.hashes, train.hashes), _MOST_TRAINED_ON
    if share <= most:
        return None
    return (
        f"{about}{100 * share:.0f} % of the rows of {name} are also in train. The metric of rows that the model was "
        "trained on is too good, and the acceptance test on them says little about new ones; give rows that it was not "
        "trained on"
    )


def _estimated(train: Stream, judged: Examples | Stream) -> float:
    """Which share of `judged` is in `train`, from some rows of `train`."""
    some = torch.randperm(len(train), generator=generator("is it trained on", len(train)))[:_STREAMED]
    found = leaked(train.take(some.sort().values).hashes, judged.hashes)
    return min(found * len(train) / len(judged), 1.0)
