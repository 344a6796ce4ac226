"""New weights for a model that is in use: by an optimiser, a trainer, a checkpoint."""

from __future__ import annotations

import torch
from torch import nn

from .._errors import AdapterError


def check_takes(live: nn.Module, part: nn.Module, improved: nn.Module) -> None:
    """Whether the weights of `improved`, a changed copy of `part`, can be put into the live model as they are.

    Args:
        live: the whole model.
        part: the module in it, or around modules of it, that is optimised.
        improved: what `optimize` made of a copy of `part`.

    Raises:
        AdapterError: `improved` has weights that `part` lacks, or a changed weight is used elsewhere, too.
    """
    old, new = _weights(part), _weights(improved)
    if old.keys() != new.keys() or any(old[name].shape != new[name].shape for name in old):
        added = sorted(new.keys() - old.keys()) or sorted(old.keys() ^ new.keys())
        raise AdapterError(
            f"the improved model has the weights {added}, which the model in training lacks: its optimiser and its "
            "checkpoints would not know them. Build those layers with bias=True (norms with affine weights), or name "
            "adapters= that change weights which are there, such as LoRA(rank=4)"
        )
    known = {id(weight) for weight in _weights(live).values()}
    strange = [name for name, weight in old.items() if id(weight) not in known]
    if strange:
        raise AdapterError(
            f"the weights {strange[:5]} are not those of the model in training, so improving them would change nothing "
            "there; let the module that is optimised hold the layers of the model, not copies"
        )
    # A weight that several layers share comes out of the copy as several: a new one, and the old one elsewhere.
    for name, weight in old.items():
        if torch.equal(weight, new[name]):
            continue
        others = [other for other, one in old.items() if one is weight and not torch.equal(new[other], new[name])]
        others += [other for other, one in _outside(live, part) if one is weight]
        if others:
            raise AdapterError(
                f"the weight {name!r} is shared with {others}, which would change along with it; name adapters= that "
                "enter another layer"
            )


def copy_into(part: nn.Module, improved: nn.Module) -> None:
    """Write the weights of `improved` into those of `part`, in place: whoever holds them sees the new values."""
    new = _weights(improved)
    with torch.no_grad():
        for name, weight in _weights(part).items():
            weight.copy_(new[name])


def _weights(module: nn.Module) -> dict[str, nn.Parameter]:
    return dict(module.named_parameters(remove_duplicate=False))


def _outside(live: nn.Module, part: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Weights of modules of `live` that are not in `part`."""
    inside = set(part.modules())
    return [
        (f"{path}.{name}" if path else name, weight)
        for path, module in live.named_modules()
        if module not in inside
        for name, weight in module.named_parameters(recurse=False, remove_duplicate=False)
    ]
